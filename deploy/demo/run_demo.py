#!/usr/bin/python3
"""Runs the demo from binaries that are built: services, replicator, Ficus, traffic, report. deploy/demo.sh builds them.

Every process this starts is ended by it, by its pid, however it ends itself; with --keep they stay, and the report is
followed by what to try next. Standard library only.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import report as ficus_report

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_SECONDS = 30
STOP_AT = 0.25           # of the reads sent, when --stop-new stops the new side
STOPPED_SECONDS = 3
STOPPED_TIMEOUT_MS = 1000  # of calls meanwhile: short enough to fail several times
PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """What went wrong and where to look; shown without a traceback."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def die_with_parent():
    """In the child: end when this script ends in a way that lets it clean up nothing (SIGKILL)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process, limit_seconds=5):
    """Ends one of our children, stopped or not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Demo:
    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build_dir).resolve()
        self.run_dir = pathlib.Path(args.run_dir or tempfile.mkdtemp(prefix='ficus-demo-')).resolve()
        self.run_dir.mkdir(parents=True, exist_ok=True)
        for stale in [*self.run_dir.glob('*.ports.json'), *self.run_dir.glob('*.jsonl*')]:
            stale.unlink()  # of an earlier run: its ports are somebody else's by now
        self.processes = {}  # name -> Popen, in the order they were started

    # ---- processes ----

    def binary(self, *candidates):
        for candidate in candidates:
            if (self.build / candidate).is_file():
                return str(self.build / candidate)
        raise DemoError(f'{self.build / candidates[0]} is not there; build it with deploy/demo.sh')

    def start(self, name, *command):
        log = open(self.run_dir / f'{name}.log', 'wb')
        # A session of its own: Ctrl-C reaches this script alone, which then ends the others in order.
        self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                                start_new_session=True, preexec_fn=None if self.args.keep else die_with_parent)
        log.close()

    def tail(self, name):
        lines = (self.run_dir / f'{name}.log').read_text(errors='replace').splitlines()[-15:]
        return '\n'.join(f'  {line}' for line in lines) or '  (it said nothing)'

    def ports_of(self, name):
        """What the process writes into its port file once it serves."""
        file = self.run_dir / f'{name}.ports.json'
        until = time.monotonic() + START_LIMIT_SECONDS
        while not file.exists():
            if self.processes[name].poll() is not None:
                raise DemoError(f'{name} ended with {self.processes[name].returncode} at its start:\n{self.tail(name)}')
            if time.monotonic() > until:
                raise DemoError(f'{name} did not serve within {START_LIMIT_SECONDS} s:\n{self.tail(name)}')
            time.sleep(0.02)
        return json.loads(file.read_text())

    def check_alive(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise DemoError(f'{name} ended with {process.returncode}:\n{self.tail(name)}')

    def end_all(self):
        """Ends them, the last started first: clients before servers. Says which did not end well."""
        unwell = []
        for name, process in reversed(list(self.processes.items())):
            end(process)
            if process.returncode != 0:
                unwell.append(f'{name} ended with {process.returncode}:\n{self.tail(name)}')
        return unwell

    # ---- the run ----

    def start_services(self):
        service = self.binary('deploy/demo/demo-policy-service')
        for side in ('legacy', 'new'):
            self.start(side, service, '--side', side, '--policies', str(self.args.policies),
                       '--port-file', str(self.run_dir / f'{side}.ports.json'))
        self.legacy, self.new = self.ports_of('legacy'), self.ports_of('new')
        self.start('replicator', self.binary('deploy/demo/demo-replicator'), '--legacy', self.legacy['internal'], '--new', self.new['internal'])

    def start_ficus(self):
        policy = (ROOT / 'deploy/demo/policy.yaml').read_text()
        for placeholder, address in (('127.0.0.1:50051', self.legacy['listen']), ('127.0.0.1:50052', self.new['listen'])):
            assert policy.count(placeholder) == 1, placeholder
            policy = policy.replace(placeholder, address)
        self.policy = self.run_dir / 'policy.yaml'
        self.policy.write_text(policy)
        shutil.copy(self.build / 'gen/insurance_proto.pb', self.run_dir / 'insurance.pb')
        self.mismatch_log = self.run_dir / 'mismatch.jsonl'
        self.ficus = self.binary('facade/ficus', 'ficus')
        # The demo promises exact numbers on a machine that is busy with the demo itself: no shadow is left out for a late loop.
        self.start('ficus', self.ficus, 'serve', '--shadow-max-lag', '0', '--policy', str(self.policy), '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0',
                   '--mismatch-log', str(self.mismatch_log), '--redact-key', str(self.run_dir / 'redact.key'),
                   '--port-file', str(self.run_dir / 'ficus.ports.json'))
        ports = self.ports_of('ficus')
        self.listen, self.admin = ports['listen'], ports['admin']

    def traffic_command(self, timeout_ms):
        return [self.binary('deploy/demo/demo-traffic'), '--ficus', self.listen, '--legacy', self.legacy['listen'], '--new', self.new['listen'],
                '--policies', str(self.args.policies), '--rate', str(self.args.policies * 4 // 10), '--timeout-ms', str(timeout_ms)]

    def stop_new_side(self):
        process = self.processes['new']
        say(f'demo: stopping the new side (kill -STOP {process.pid}) for {STOPPED_SECONDS} s')
        process.send_signal(signal.SIGSTOP)
        timer = threading.Timer(STOPPED_SECONDS, process.send_signal, [signal.SIGCONT])
        timer.daemon = True
        timer.start()

    def play_traffic(self):
        """Runs the traffic to its end, shows its progress, and returns what it saw."""
        with open(self.run_dir / 'traffic.json', 'wb') as out:
            process = subprocess.Popen(self.traffic_command(STOPPED_TIMEOUT_MS if self.args.stop_new else 5000), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
                                       start_new_session=True, preexec_fn=die_with_parent)
        try:
            stopped = not self.args.stop_new
            for line in process.stderr:
                if not self.args.quiet:
                    sys.stderr.write(line)
                reads = re.search(r'reads (\d+) of (\d+)', line)
                if not stopped and reads and int(reads.group(1)) >= STOP_AT * int(reads.group(2)):
                    stopped = True
                    self.stop_new_side()
            code = process.wait()
        finally:
            end(process)
        self.check_alive()
        if code != 0:
            raise DemoError(f'the traffic ended with {code}')
        return json.loads((self.run_dir / 'traffic.json').read_text())

    def run(self):
        say(f'demo: starting the services, the replicator and Ficus; logs are in {self.run_dir}')
        self.start_services()
        self.start_ficus()
        say(f'demo: Ficus listens on {self.listen}, admin on http://{self.admin}; the traffic begins')
        traffic = self.play_traffic()
        say('demo: waiting for the last verdicts')
        return ficus_report.make_report(f'http://{self.admin}/metrics', self.mismatch_log, traffic)

    # ---- after it ----

    def what_next(self):
        pids = {name: process.pid for name, process in self.processes.items()}
        proto = '-I proto --decode insurance.policy.v1.GetPolicyResponse proto/insurance/policy/v1/policy_service.proto'
        traffic = ' '.join(self.traffic_command(STOPPED_TIMEOUT_MS))
        return f'''
Everything keeps running; its files are in {self.run_dir}. From {ROOT} try:

  one read, as acme, who lives on the new side (any gRPC client does; this is curl, the frame written by hand):
    printf '\\0\\0\\0\\0\\013\\n\\011P-1000037' | curl -s --http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers' \\
      -H 'x-tenant-id: acme' --data-binary @- http://{self.listen}/insurance.policy.v1.PolicyService/GetPolicy | tail -c +6 | protoc {proto}
  the same with grpcurl, if you have it:
    grpcurl -plaintext -H 'x-tenant-id: acme' -d '{{"policy_number": "P-1000037"}}' {self.listen} insurance.policy.v1.PolicyService/GetPolicy

  why a call goes where it goes:
    {self.ficus} explain {self.policy} --method insurance.policy.v1.PolicyService/GetPolicy --tenant globex --key P-1000037
  what Ficus counts, and the policy in force:
    curl -s http://{self.admin}/metrics
    curl -s http://{self.admin}/policy
  the mismatches, one JSON object a line:
    tail -n 1 {self.mismatch_log}

  give globex half of its reads from the new side; saving the file is enough (without its test changed, Ficus refuses it
  and says so in {self.run_dir}/ficus.log):
    sed -i -e 's/percent: 20,/percent: 50,/' -e 's/new_share: 20/new_share: 50/' {self.policy}; sleep 1; tail -n 1 {self.run_dir}/ficus.log

  stop the new side for five seconds and play the reads again: only calls that globex and acme have on it fail
    kill -STOP {pids['new']}; (sleep 5; kill -CONT {pids['new']}) & {traffic} --reads-only
  the report again:
    deploy/demo/report.py --metrics http://{self.admin}/metrics --mismatch-log {self.mismatch_log}

  end everything:
    kill -CONT {pids['new']}; kill {' '.join(str(pid) for pid in pids.values())}; rm -r {self.run_dir}
'''


def complaints(report, stop_new):
    """Why the demo did not go as it should; with the new side stopped, failures are what it shows."""
    clients = report['clients']
    writes = clients['writes']
    found = []
    if clients['errors_total'] and not stop_new:
        found.append(f"{clients['errors_total']} calls failed")
    if clients['wrong_answers']:
        found.append(f"{clients['wrong_answers']} answers were of another policy")
    if writes['read_back_wrong']:
        found.append(f"{writes['read_back_wrong']} reads did not show what was written")
    if writes['replicated'] != writes['written']:
        found.append(f"{writes['written'] - writes['replicated']} writes never reached the other side")
    if report['settled']['shadows_without_verdict'] or report['settled']['traces_missing']:
        found.append(f"the books do not add up: {report['settled']}")
    return found


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build-dir', default=str(ROOT / 'build/release'), help='where the binaries are (default build/release)')
    parser.add_argument('--policies', type=int, default=10_000, help='size of the book, a multiple of 1000 (default 10000)')
    parser.add_argument('--keep', action='store_true', help='leave everything running and say what to try next')
    parser.add_argument('--stop-new', action='store_true',
                        help=f'kill -STOP the new side for {STOPPED_SECONDS} s while the traffic runs')
    parser.add_argument('--json', metavar='FILE', help='also write the report as JSON')
    parser.add_argument('--run-dir', help='where logs and the policy go (default: a new directory, removed after a success)')
    parser.add_argument('--quiet', action='store_true', help='without the progress of the traffic')
    args = parser.parse_args()
    if args.policies < 1000 or args.policies % 1000:
        parser.error('--policies must be a multiple of 1000')
    return args


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    args = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    demo = Demo(args)
    code, keep, interrupted = 1, False, False
    try:
        report = demo.run()
        print(ficus_report.render(report), flush=True)
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + '\n')
        wrong = complaints(report, args.stop_new)
        for complaint in wrong:
            say(f'demo: {complaint}')
        code, keep = (1 if wrong else 0), args.keep
        if keep:
            print(demo.what_next(), flush=True)
    except (DemoError, OSError, urllib.error.URLError) as error:
        say(f'demo: {error}')
    except SystemExit:
        interrupted = True
        raise
    finally:
        if not keep:
            for unwell in demo.end_all():
                say(f'demo: {unwell}')
                code = code or 1
            if (code == 0 or interrupted) and not args.run_dir:
                shutil.rmtree(demo.run_dir, ignore_errors=True)
            elif code != 0 and not interrupted:
                say(f'demo: the logs stay in {demo.run_dir}')
    return code


if __name__ == '__main__':
    sys.exit(main())
