#!/usr/bin/python3
"""What Ficus says of the traffic it carried: a report from its /metrics and its mismatch log.

Nothing of it is known from elsewhere, but for what only clients can know (the errors they saw, the latency without
Ficus), which stands apart and comes from demo-traffic's output. Standard library only.
"""

import argparse
import collections
import json
import re
import sys
import time
import urllib.request

COMPARED = ("match", "ignored", "noise", "lag", "mismatch")
COVERAGE_KNOWN = 0.95  # below it alignment reads unknown: POLICY 6

SAMPLE = re.compile(r'^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?\s+(\S+)')
LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPES = {r'\\': '\\', r'\"': '"', r'\n': '\n'}


class Metrics:
    """Samples of one scrape of the Prometheus text format."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            found = SAMPLE.match(line)
            if line.startswith('#') or not found:
                continue
            labels = {name: re.sub(r'\\.', lambda e: ESCAPES.get(e.group(), e.group()), value)
                      for name, value in LABEL.findall(found.group(2) or '')}
            self.samples.append((found.group(1), labels, float(found.group(3))))

    def of(self, name, **want):
        """(labels, value) of each sample of the family that has these labels."""
        return [(labels, value) for sample, labels, value in self.samples
                if sample == name and all(labels.get(key) == value for key, value in want.items())]

    def by(self, name, *keys, **want):
        """The family's values, added up by these labels, without zeros."""
        sums = collections.Counter()
        for labels, value in self.of(name, **want):
            sums[tuple(labels.get(key, '') for key in keys)] += value
        return {key: int(value) for key, value in sorted(sums.items()) if value}

    def total(self, name, **want):
        return int(sum(value for _, value in self.of(name, **want)))


def read_metrics(source):
    """From a URL (past any proxy of the environment) or a file."""
    if source.startswith('http'):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(source, timeout=10) as answer:
            return Metrics(answer.read().decode())
    with open(source, encoding='utf-8') as file:
        return Metrics(file.read())


def read_traces(path):
    """The traces of a mismatch log; a last line without its end is still being written and left out."""
    try:
        with open(path, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]
    except FileNotFoundError:
        return []


def wait_until_settled(source, log, limit_seconds):
    """Waits until every shadow has its verdict and every trace stands in the log. Returns both and what is missing."""
    until = time.monotonic() + limit_seconds
    while True:
        metrics, traces = read_metrics(source), read_traces(log)
        open_shadows = metrics.total('ficus_shadow_begun_total') - metrics.total('ficus_shadow_verdicts_total')
        dropped = metrics.total('ficus_traces_total', outcome='dropped')
        missing = metrics.total('ficus_shadow_verdicts_total', verdict='mismatch') - dropped - len(traces)
        if (open_shadows == 0 and missing == 0) or time.monotonic() > until:
            return metrics, traces, {'shadows_without_verdict': open_shadows, 'traces_missing': missing, 'traces_dropped': dropped}
        time.sleep(0.1)


def path_without_indices(path):
    return re.sub(r'\[\d+\]', '', path)


def mismatches_by_path(traces):
    """One row a (method, path, kind, severity): how many calls, how many of each tenant, and one example."""
    rows = {}
    for trace in traces:
        seen = set()
        for difference in trace.get('differences', []):
            path = path_without_indices(difference.get('path', '')) or '(the whole answer)'
            key = (trace.get('method', '').rpartition('/')[2], path, difference.get('kind', ''), difference.get('severity', ''))
            row = rows.setdefault(key, {'calls': 0, 'differences': 0, 'tenants': collections.Counter(), 'example': None})
            row['differences'] += 1
            if key not in seen:  # a stream may differ in the same place more than once
                seen.add(key)
                row['calls'] += 1
                row['tenants'][trace.get('tenant', '')] += 1
            if row['example'] is None:
                row['example'] = {'legacy': difference.get('legacy'), 'new': difference.get('new'),
                                  'path': difference.get('path', ''), 'trace_id': trace.get('traceId', ''),
                                  'tenant': trace.get('tenant', ''), 'key': trace.get('keyDigest', '')}
    return [{'method': method, 'path': path, 'kind': kind.lower(), 'severity': severity.lower(), 'calls': row['calls'],
             'differences': row['differences'], 'tenants': dict(sorted(row['tenants'].items())), 'example': row['example']}
            for (method, path, kind, severity), row in sorted(rows.items(), key=lambda item: (item[0][0], -item[1]['calls'], item[0]))]


def account(metrics, traces, settled):
    """Ficus's own account, as plain data."""
    verdicts = {}
    for (capability, verdict, reason), count in metrics.by('ficus_shadow_verdicts_total', 'capability', 'verdict', 'reason').items():
        of = verdicts.setdefault(capability, {'verdicts': collections.Counter(), 'reasons': {}})
        of['verdicts'][verdict] += count
        if reason:
            of['reasons'][f'{verdict}{{{reason}}}'] = count
    alignment = {}
    for (capability,), begun in metrics.by('ficus_shadow_begun_total', 'capability').items():
        of = verdicts.get(capability, {'verdicts': {}, 'reasons': {}})
        compared = sum(of['verdicts'].get(verdict, 0) for verdict in COMPARED)
        aligned = of['verdicts'].get('match', 0) + of['verdicts'].get('ignored', 0)
        alignment[capability] = {
            'begun': begun, 'compared': compared, 'verdicts': dict(of['verdicts']), 'reasons': of['reasons'],
            'coverage': compared / begun if begun else None,
            'alignment': aligned / compared if compared else None,
        }

    shares = []
    for labels, configured in metrics.of('ficus_share_configured_percent'):
        want = {key: labels.get(key, '') for key in ('capability', 'rule', 'share')}
        eligible = metrics.total('ficus_share_eligible_total', **want)
        taken = metrics.total('ficus_share_in_total', **want)
        if configured or eligible:
            shares.append({**want, 'configured_percent': configured, 'eligible': eligible, 'in': taken,
                           'observed_percent': 100 * taken / eligible if eligible else None})
    shares.sort(key=lambda share: (share['capability'], share['rule'], share['share']))

    return {
        'calls': [dict(zip(('tenant', 'stage', 'capability', 'kind', 'side', 'calls'), (*key, count))) for key, count in
                  metrics.by('ficus_tenant_calls_total', 'tenant', 'stage', 'capability', 'kind', 'side').items()],
        'statuses': [dict(zip(('role', 'side', 'grpc_status', 'calls'), (*key, count))) for key, count in
                     metrics.by('ficus_calls_total', 'role', 'side', 'grpc_status').items()],
        'shares': shares,
        'alignment': alignment,
        'not_shadowed': {reason: count for (reason,), count in metrics.by('ficus_not_shadowed_total', 'reason').items()},
        'mismatches': mismatches_by_path(traces),
        'mismatches_by_severity': {severity: count for (severity,), count in metrics.by('ficus_mismatches_total', 'severity').items()},
        'ignored': {rule: count for (rule,), count in metrics.by('ficus_ignored_total', 'rule').items()},
        'write_owners': {f'{capability} {tenant}': owner for (capability, tenant, owner), set_ in
                         metrics.by('ficus_write_owner', 'capability', 'tenant', 'owner').items() if set_},
        'writes_by_side': {side: count for (side,), count in
                           metrics.by('ficus_tenant_calls_total', 'side', kind='write').items()},
        'settled': settled,
    }


def clients_view(traffic):
    """What only clients know."""
    latency = {entry['path']: entry for entry in traffic.get('latencies', [])}
    added = {}
    for name in ('shadows_off', 'shadows_on'):
        if name in latency and 'direct' in latency:
            added[name] = {point: latency[name][point] - latency['direct'][point] for point in ('p50_us', 'p99_us')}
    return {
        'sent': sum(calls['sent'] for calls in traffic.get('calls', [])),
        'errors_total': sum(error['count'] for error in traffic.get('errors', [])),
        'errors': traffic.get('errors', []),
        'wrong_answers': traffic.get('wrong_answers', 0),
        'writes': traffic.get('writes', {}),
        'latencies': traffic.get('latencies', []),
        'added_latency': added,
    }


def table(rows, header):
    """Lines of columns; numbers to the right."""
    cells = [header] + [[f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    return ['  ' + '  '.join(cell.rjust(width) if is_right else cell.ljust(width)
                             for cell, width, is_right in zip(row, widths, right)).rstrip() for row in cells]


def percent(value, digits=1):
    return 'unknown' if value is None else f'{100 * value:.{digits}f} %'


def readable_time(microseconds):
    sign = '+' if microseconds >= 0 else '-'
    size = abs(microseconds)
    return f'{sign}{size / 1000:.2f} ms' if size >= 1000 else f'{sign}{size:.0f} us'


def render(report):
    """The report for people."""
    out = ['', 'Calls, by tenant, stage and side (Ficus)']
    out += table([[row['tenant'], row['stage'], row['kind'], row['side'], row['calls']] for row in report['calls']],
                 ['tenant', 'stage', 'kind', 'side', 'calls'])

    out += ['', 'Shares, configured and observed']
    out += table([[share['rule'], share['share'], f"{share['configured_percent']:g} %",
                   'no calls' if share['observed_percent'] is None else f"{share['observed_percent']:.2f} %", share['in'], share['eligible']]
                  for share in report['shares']], ['rule', 'share', 'configured', 'observed', 'in', 'of'])

    out += ['', 'Do the sides answer alike?']
    for capability, of in report['alignment'].items():
        known = of['coverage'] is not None and of['coverage'] >= COVERAGE_KNOWN
        shown = percent(of['alignment']) if known else f'unknown (coverage under {COVERAGE_KNOWN:.0%})'
        out.append(f"  {capability}: alignment {shown}, n = {of['compared']:,}, coverage {percent(of['coverage'])} of {of['begun']:,} shadows begun")
        out.append('    ' + ', '.join(f'{verdict} {count:,}' for verdict, count in sorted(of['verdicts'].items())))
        out += [f'    {reason} {count:,}' for reason, count in sorted(of['reasons'].items())]
    if report['not_shadowed']:
        out.append('  not shadowed: ' + ', '.join(f'{reason} {count:,}' for reason, count in report['not_shadowed'].items()))

    out += ['', 'Mismatches, by path (legacy -> new)']
    if report['mismatches']:
        out += table([[row['method'], row['path'], row['kind'], row['severity'], row['calls'],
                       f"{row['example']['legacy']} -> {row['example']['new']}", row['example']['trace_id']]
                      for row in report['mismatches']], ['method', 'path', 'kind', 'severity', 'calls', 'example', 'its trace'])
        out.append('  by gravest difference: ' + ', '.join(f'{severity} {count:,}' for severity, count in report['mismatches_by_severity'].items()))
    else:
        out.append('  none')
    lost = report['settled']
    if any(lost.values()):
        out.append(f"  incomplete: {lost['shadows_without_verdict']} shadows without a verdict, {lost['traces_missing']} traces missing, "
                   f"{lost['traces_dropped']} dropped")

    out += ['', 'Ignored, by rule']
    out += table([[rule, count] for rule, count in report['ignored'].items()], ['rule', 'differences']) if report['ignored'] else ['  none']

    out += ['', 'Writes']
    out.append('  owner: ' + ', '.join(f'{name} {owner}' for name, owner in report['write_owners'].items()))
    out.append('  by owner: ' + ', '.join(f'{side} {count:,}' for side, count in report['writes_by_side'].items()))

    clients = report.get('clients')
    if clients:
        writes = clients['writes']
        out.append(f"  clients wrote {writes['written']:,}, both sides have {writes['replicated']:,}, "
                   f"read back {writes['read_back']:,} times, {writes['read_back_wrong']:,} of them wrong")
        out += ['', f"Clients (their own account): {clients['errors_total']:,} errors in {clients['sent']:,} calls"]
        if clients['errors']:
            stages = {row['tenant']: row['stage'] for row in report['calls']}
            out += table([[error['tenant'], stages.get(error['tenant'], '?'), error['method'], error['code'], error['message'], error['count']]
                          for error in clients['errors']], ['tenant', 'stage', 'method', 'code', 'message', 'calls'])
        if clients['wrong_answers']:
            out.append(f"  {clients['wrong_answers']:,} answers were not of the policy asked for")
        if clients['added_latency']:
            direct = next(entry for entry in clients['latencies'] if entry['path'] == 'direct')
            out += ['', f"Latency added by Ficus, one call at a time (direct: p50 {direct['p50_us']:.0f} us, p99 {direct['p99_us']:.0f} us, n = {direct['calls']:,})"]
            for name, added in clients['added_latency'].items():
                out.append(f"  {name.replace('_', ' ')}: p50 {readable_time(added['p50_us'])}, p99 {readable_time(added['p99_us'])}")
    out.append('')
    return '\n'.join(out)


def make_report(metrics_source, mismatch_log, traffic=None, limit_seconds=15.0):
    report = account(*wait_until_settled(metrics_source, mismatch_log, limit_seconds))
    if traffic is not None:
        report['clients'] = clients_view(traffic)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--metrics', required=True, help='URL of /metrics, or a file with a scrape')
    parser.add_argument('--mismatch-log', required=True, help='the file of `ficus serve --mismatch-log`')
    parser.add_argument('--traffic', help="demo-traffic's output")
    parser.add_argument('--wait', type=float, default=15.0, help='seconds to wait for open shadows (default 15)')
    parser.add_argument('--json', action='store_true', help='print data, not a page')
    args = parser.parse_args()
    traffic = None
    if args.traffic:
        with open(args.traffic, encoding='utf-8') as file:
            traffic = json.load(file)
    report = make_report(args.metrics, args.mismatch_log, traffic, args.wait)
    print(json.dumps(report, indent=2) if args.json else render(report))
    return 0


if __name__ == '__main__':
    sys.exit(main())
