#!/usr/bin/python3
"""deploy/demo/report.py on scrapes and logs made by hand: what it adds up, what it refuses to claim."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'deploy/demo'))
import report as ficus_report  # noqa: E402

SCRAPE = r'''
# HELP ficus_tenant_calls_total Calls routed
# TYPE ficus_tenant_calls_total counter
ficus_tenant_calls_total{capability="policy-inquiry",tenant="acme",stage="live",kind="read",side="new"} 200
ficus_tenant_calls_total{capability="address-update",tenant="acme",stage="live",kind="write",side="new"} 2
ficus_tenant_calls_total{capability="address-update",tenant="odd \"\\\n one",stage="off",kind="write",side="legacy"} 3
ficus_share_configured_percent{capability="policy-inquiry",rule="inquiry-pilot",share="canary"} 20
ficus_share_eligible_total{capability="policy-inquiry",rule="inquiry-pilot",share="canary"} 330
ficus_share_in_total{capability="policy-inquiry",rule="inquiry-pilot",share="canary"} 66
ficus_shadow_begun_total{capability="policy-inquiry"} 1000
ficus_shadow_verdicts_total{capability="policy-inquiry",verdict="match",reason=""} 7
ficus_shadow_verdicts_total{capability="policy-inquiry",verdict="ignored",reason=""} 980
ficus_shadow_verdicts_total{capability="policy-inquiry",verdict="mismatch",reason=""} 3
ficus_shadow_verdicts_total{capability="policy-inquiry",verdict="abandoned",reason="shadow_UNAVAILABLE"} 10
ficus_mismatches_total{capability="policy-inquiry",severity="critical"} 2
ficus_mismatches_total{capability="policy-inquiry",severity="major"} 1
ficus_ignored_total{capability="policy-inquiry",rule="**.updated_at"} 983
ficus_write_owner{capability="address-update",tenant="acme",owner="new"} 1
ficus_write_owner{capability="address-update",tenant="acme",owner="legacy"} 0
ficus_traces_total{outcome="written",reason=""} 3
ficus_call_seconds_bucket{capability="policy-inquiry",side="new",role="primary",le="+Inf"} 200
'''


def trace(method, *paths, tenant='acme'):
    return {'traceId': '0af7651916cd43dd8448eb211c80319c', 'tenant': tenant, 'method': f'insurance.policy.v1.PolicyService/{method}',
            'differences': [{'path': path, 'kind': 'VALUE', 'severity': 'CRITICAL', 'legacy': 'a', 'new': 'b'} for path in paths]}


TRACES = [trace('GetPolicy', 'policy.status'), trace('GetPolicy', 'policy.status', tenant='globex'),
          trace('StreamHistory', 'policy.status', 'policy.status')]
TRAFFIC = {'calls': [{'tenant': 'acme', 'method': 'GetPolicy', 'sent': 200, 'ok': 198}],
           'errors': [{'tenant': 'acme', 'method': 'GetPolicy', 'code': 'UNAVAILABLE', 'message': 'policy-new: connection refused', 'count': 2,
                       'example_policy': 'P-1000000'}],
           'writes': {'written': 5, 'replicated': 5, 'read_back': 5, 'read_back_wrong': 0}, 'wrong_answers': 0,
           'latencies': [{'path': 'direct', 'calls': 9, 'p50_us': 100, 'p99_us': 200}, {'path': 'shadows_off', 'calls': 9, 'p50_us': 180, 'p99_us': 1500}]}


class ReportTest(unittest.TestCase):
    def make(self, scrape=SCRAPE, traces=None, tail=''):
        with tempfile.TemporaryDirectory() as holder:
            metrics, log = pathlib.Path(holder) / 'metrics', pathlib.Path(holder) / 'log'
            metrics.write_text(scrape)
            log.write_text(''.join(json.dumps(line) + '\n' for line in (TRACES if traces is None else traces)) + tail)
            return ficus_report.make_report(str(metrics), str(log), TRAFFIC, limit_seconds=0)

    def test_alignment_counts_ignored_as_aligned_and_leaves_abandoned_out(self):
        of = self.make()['alignment']['policy-inquiry']
        self.assertEqual((of['begun'], of['compared']), (1000, 990))
        self.assertAlmostEqual(of['alignment'], 987 / 990)
        self.assertAlmostEqual(of['coverage'], 0.99)
        self.assertEqual(of['reasons'], {'abandoned{shadow_UNAVAILABLE}': 10})

    def test_alignment_is_unknown_where_coverage_is_low(self):
        report = self.make(SCRAPE.replace('reason="shadow_UNAVAILABLE"} 10', 'reason="shadow_UNAVAILABLE"} 200')
                           .replace('ficus_shadow_begun_total{capability="policy-inquiry"} 1000', 'ficus_shadow_begun_total{capability="policy-inquiry"} 1190'))
        self.assertIn('alignment unknown (coverage under 95%)', ficus_report.render(report))

    def test_alignment_is_never_shown_without_n_and_coverage(self):
        line = next(line for line in ficus_report.render(self.make()).splitlines() if 'alignment' in line)
        self.assertIn('alignment 99.7 %, n = 990, coverage 99.0 % of 1,000 shadows begun', line)

    def test_a_call_that_differs_twice_in_one_place_counts_once(self):
        rows = {(row['method'], row['path']): row for row in self.make()['mismatches']}
        self.assertEqual(rows['StreamHistory', 'policy.status']['calls'], 1)
        self.assertEqual(rows['StreamHistory', 'policy.status']['differences'], 2)
        self.assertEqual(rows['GetPolicy', 'policy.status']['tenants'], {'acme': 1, 'globex': 1})

    def test_indices_do_not_split_a_path(self):
        traces = [trace('ListPolicies', 'policies[3].status'), trace('ListPolicies', 'policies[0].status'), trace('ListPolicies', 'labels[string:2:01].x')]
        self.assertEqual([(row['path'], row['calls']) for row in self.make(traces=traces)['mismatches']],
                         [('policies.status', 2), ('labels[string:2:01].x', 1)])

    def test_shares_stand_beside_what_was_observed(self):
        share = self.make()['shares'][0]
        self.assertEqual((share['configured_percent'], share['observed_percent'], share['in'], share['eligible']), (20, 20, 66, 330))

    def test_owners_and_writes_are_told_by_side(self):
        report = self.make()
        self.assertEqual(report['write_owners'], {'address-update acme': 'new'})
        self.assertEqual(report['writes_by_side'], {'new': 2, 'legacy': 3})

    def test_labels_are_unescaped(self):
        self.assertIn('odd "\\\n one', [row['tenant'] for row in self.make()['calls']])

    def test_books_that_do_not_add_up_are_said_to(self):
        cases = [('a shadow without a verdict', SCRAPE.replace('verdict="match",reason=""} 7', 'verdict="match",reason=""} 6'), TRACES, '1 shadows without a verdict'),
                 ('a trace that is missing', SCRAPE, TRACES[:2], '1 traces missing'),
                 ('traces dropped', SCRAPE + 'ficus_traces_total{outcome="dropped",reason="disk_full"} 1\n', TRACES[:2], '1 dropped')]
        for name, scrape, traces, want in cases:
            with self.subTest(name):
                self.assertIn(want, ficus_report.render(self.make(scrape, traces)))
        self.assertNotIn('incomplete', ficus_report.render(self.make()))

    def test_a_line_still_being_written_is_left_for_later(self):
        self.assertEqual(self.make(tail='{"traceId": "0af7')['settled']['traces_missing'], 0)

    def test_client_errors_are_listed_by_tenant_stage_and_status(self):
        page = ficus_report.render(self.make())
        self.assertIn('2 errors in 200 calls', page)
        self.assertRegex(page, r'acme +live +GetPolicy +UNAVAILABLE +policy-new: connection refused +2')

    def test_added_latency_is_the_difference_to_the_direct_way(self):
        report = self.make()
        self.assertEqual(report['clients']['added_latency'], {'shadows_off': {'p50_us': 80, 'p99_us': 1300}})
        self.assertIn('shadows off: p50 +80 us, p99 +1.30 ms', ficus_report.render(report))

    def test_no_log_and_no_shadow_is_a_report_too(self):
        page = ficus_report.render(self.make('', []))
        self.assertIn('Mismatches, by path (legacy -> new)\n  none', page)


if __name__ == '__main__':
    unittest.main()
