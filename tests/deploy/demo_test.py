#!/usr/bin/python3
"""The demo, whole and small: real processes, real ports, and exact counts from Ficus's own account."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = None
POLICIES = 1000


class DemoTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)

    def command(self, *flags):
        # The run directory is given, so that logs survive a failure until we printed them.
        return ['/usr/bin/python3', '-B', str(ROOT / 'deploy/demo/run_demo.py'), '--build-dir', BUILD, '--policies', str(POLICIES),
                '--run-dir', str(self.dir / 'run'), '--json', str(self.dir / 'report.json'), '--quiet', *flags]

    def demo(self, *flags):
        # A proxy that is not there: nothing of the demo may ask it for loopback.
        environment = {**os.environ, 'http_proxy': 'http://127.0.0.1:9', 'https_proxy': 'http://127.0.0.1:9', 'grpc_proxy': 'http://127.0.0.1:9'}
        done = subprocess.run(self.command(*flags), capture_output=True, text=True, timeout=55, env=environment)
        if done.returncode != 0:
            logs = '\n'.join(f'--- {file.name}\n{file.read_text(errors="replace")[-3000:]}' for file in sorted((self.dir / 'run').glob('*.log')))
            self.fail(f'exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{logs}')
        return done.stdout, json.loads((self.dir / 'report.json').read_text())

    def test_the_report_counts_every_call_and_every_seeded_mistake(self):
        page, report = self.demo()
        calls = {(row['tenant'], row['stage'], row['kind'], row['side']): row['calls'] for row in report['calls']}
        # 20 % of the keys; which ones hangs on nothing but their numbers and the capability's name.
        canary = 58
        self.assertEqual(calls, {
            ('northwind', 'off', 'read', 'legacy'): 320,      # 300 GetPolicy, 20 pages
            ('northwind', 'off', 'write', 'legacy'): 2,
            ('initech', 'shadow', 'read', 'legacy'): 570,     # 500 GetPolicy, 50 histories, 20 pages
            ('initech', 'shadow', 'write', 'legacy'): 2,
            ('globex', 'canary', 'read', 'legacy'): 330 - canary,  # 300 GetPolicy, 30 histories
            ('globex', 'canary', 'read', 'new'): canary,
            ('globex', 'canary', 'write', 'legacy'): 2,
            ('acme', 'live', 'read', 'new'): 220,             # 200 GetPolicy, 20 histories
            ('acme', 'live', 'write', 'new'): 2,
        })

        shares = {(share['rule'], share['share']): share for share in report['shares']}
        self.assertEqual((shares['inquiry-pilot', 'canary']['eligible'], shares['inquiry-pilot', 'canary']['in']), (330, canary))
        self.assertEqual(shares['inquiry-pilot', 'canary']['configured_percent'], 20)
        self.assertEqual((shares['inquiry-initech', 'shadow']['eligible'], shares['inquiry-initech', 'shadow']['in']), (570, 570))

        inquiry = report['alignment']['policy-inquiry']
        self.assertEqual(inquiry['begun'], 1120)  # 1000 GetPolicy, 100 histories, 20 pages
        self.assertEqual(inquiry['verdicts'], {'mismatch': 17, 'ignored': 1103})
        self.assertEqual((inquiry['compared'], inquiry['coverage']), (1120, 1))
        self.assertAlmostEqual(inquiry['alignment'], 1103 / 1120)
        self.assertEqual(list(report['alignment']), ['policy-inquiry'])
        self.assertEqual(report['not_shadowed'], {})

        # In every thousand 5 reinstated, 4 backdated and 4 rounded policies; of the first hundred one of each of two.
        self.assertEqual({(row['method'], row['path'], row['severity']): row['calls'] for row in report['mismatches']}, {
            ('GetPolicy', 'policy.status', 'critical'): 5,
            ('GetPolicy', 'policy.cancellation.effective_on', 'major'): 4,
            ('GetPolicy', 'policy.premium.amount', 'critical'): 4,
            ('StreamHistory', 'policy.status', 'critical'): 1,
            ('StreamHistory', 'policy.premium.amount', 'critical'): 1,
            ('ListPolicies', 'policies.status', 'critical'): 1,
            ('ListPolicies', 'policies.premium.amount', 'critical'): 1,
        })
        self.assertEqual(report['mismatches_by_severity'], {'critical': 13, 'major': 4})
        # Every policy in every answer: 1000 of GetPolicy, 100 listed, and one an event of the histories.
        self.assertEqual(report['ignored'], {'**.updated_at': 1515, 'policy.endorsements': 1215, 'policies.endorsements': 100})

        self.assertEqual(report['writes_by_side'], {'legacy': 6, 'new': 2})
        owners = report['write_owners']
        self.assertEqual((owners['address-update acme'], owners['address-update globex'], owners['address-update initech'],
                          owners['address-update northwind']), ('new', 'legacy', 'legacy', 'legacy'))

        clients = report['clients']
        self.assertEqual((clients['errors_total'], clients['wrong_answers'], clients['sent']), (0, 0, 1448))
        self.assertEqual({key: clients['writes'][key] for key in ('written', 'replicated', 'read_back_wrong')},
                         {'written': 8, 'replicated': 8, 'read_back_wrong': 0})
        self.assertGreaterEqual(clients['writes']['read_back'], 8)
        self.assertEqual(set(clients['added_latency']), {'shadows_off', 'shadows_on'})

        # The page names the mistakes to a reader who knows nothing of them.
        self.assertRegex(page, r'GetPolicy +policy\.status +value +critical +5 +\S*REINSTATED \(?.*-> \S*LAPSED')
        self.assertRegex(page, r'GetPolicy +policy\.cancellation\.effective_on +value +major +4 +20\d\d-\d\d-\d\d -> 20\d\d-\d\d-\d\d')
        self.assertRegex(page, r'GetPolicy +policy\.premium\.amount +value +critical +4 +\d+ -> \d+')
        self.assertIn('alignment 98.5 %, n = 1,120, coverage 100.0 %', page)

        # What is not declared plain appears nowhere in the trace log.
        log = (self.dir / 'run/mismatch.jsonl').read_text()
        for secret in ('@example.com', 'Neuer Weg', 'P-1000'):
            self.assertNotIn(secret, log)

    def test_a_stopped_new_side_costs_only_calls_of_tenants_that_are_served_by_it(self):
        page, report = self.demo('--stop-new')
        errors = report['clients']['errors']
        self.assertEqual({error['tenant'] for error in errors} - {'globex', 'acme'}, set(), errors)
        self.assertGreater(sum(error['count'] for error in errors if error['tenant'] == 'acme'), 0)
        for error in errors:
            self.assertTrue(error['message'].startswith('policy-new'), error)
            self.assertIn(error['code'], ('DEADLINE_EXCEEDED', 'UNAVAILABLE'))
        self.assertRegex(page, r'acme +live +GetPolicy +(DEADLINE_EXCEEDED|UNAVAILABLE) +policy-new')
        self.assertEqual(report['settled'], {'shadows_without_verdict': 0, 'traces_missing': 0, 'traces_dropped': 0})
        # The shadows that went to the stopped side are accounted for by name, and none of them is a mismatch.
        inquiry = report['alignment']['policy-inquiry']
        self.assertEqual(inquiry['begun'], sum(inquiry['verdicts'].values()))
        self.assertLessEqual(inquiry['verdicts'].get('mismatch', 0), 17)

    def test_an_interrupt_leaves_no_process_behind(self):
        process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if 'Ficus listens' in line:
                break
        children = self.children_of(process.pid)
        self.assertGreaterEqual(len(children), 4)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        self.assertEqual(process.wait(30), 128 + signal.SIGINT)
        until = time.monotonic() + 10
        while (alive := [pid for pid in children if os.path.exists(f'/proc/{pid}')]) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(alive, [])

    @staticmethod
    def children_of(pid):
        return [int(child) for child in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--build-dir', required=True)
    known, rest = parser.parse_known_args()
    BUILD = known.build_dir
    unittest.main(argv=[sys.argv[0], *rest])
