"""What a person reads at the end, and the same as JSON."""
from statistics import median

from relay.stats import median_interval

TARGET_PEER = "nghttpx"


def summarize(case, samples, floor, subject, peers, peaks_kib):
    """All figures of one case as plain values. `samples`: name -> list of Sample, one a round, in the order of the rounds."""
    summary = {
        "case": case.name,
        "title": case.title,
        "calls_per_sample": samples[subject][0].calls,
        "rounds": len(samples[subject]),
        "proxies": {},
        "ratios": {},
        "floor": {
            "cpu_us_per_call": median(s.proxy_us for s in floor),
            "calls_per_second": median(s.calls_per_second for s in floor),
        },
    }
    for name, list_of in samples.items():
        cpu = median_interval([s.proxy_us for s in list_of])
        summary["proxies"][name] = {
            "cpu_us_per_call": cpu.middle,
            "cpu_us_per_call_low": cpu.low,
            "cpu_us_per_call_high": cpu.high,
            "calls_per_second": median(s.calls_per_second for s in list_of),
            "core_busy": median(s.core_busy for s in list_of),
            "upstream_us_per_call": median(s.upstream_us for s in list_of),
            "peak_memory_kib": peaks_kib[name],
            "samples": [vars(s) for s in list_of],
        }
    for peer in peers:
        ratio = median_interval([a.proxy_us / b.proxy_us for a, b in zip(samples[subject], samples[peer])])
        summary["ratios"][peer] = {"median": ratio.middle, "low": ratio.low, "high": ratio.high, "coverage": ratio.coverage}
    summary["target"] = _target(case, subject, summary["ratios"])
    return summary


def _target(case, subject, ratios):
    if case.target is None or subject != "ficus" or TARGET_PEER not in ratios:
        return None
    return {"peer": TARGET_PEER, "at_most": case.target, "met": ratios[TARGET_PEER]["median"] <= case.target}


def format_case(summary, subject):
    lines = [
        f"{summary['case']}: {summary['title']}, {summary['rounds']} rounds of {summary['calls_per_sample']:,} calls each",
        f"  {'':16} {'CPU us/call':>12} {'interval':>16} {'calls/s':>10} {'core busy':>10} {'peak memory':>12}",
    ]
    for name, proxy in summary["proxies"].items():
        interval = f"[{proxy['cpu_us_per_call_low']:.2f}, {proxy['cpu_us_per_call_high']:.2f}]"
        lines.append(f"  {name:16} {proxy['cpu_us_per_call']:12.2f} {interval:>16} {proxy['calls_per_second']:10,.0f} "
                     f"{proxy['core_busy']:10.0%} {proxy['peak_memory_kib'] / 1024:8.1f} MiB")
    floor = summary["floor"]
    lines.append(f"  {'no proxy (floor)':16} {floor['cpu_us_per_call']:12.2f} {'':>16} {floor['calls_per_second']:10,.0f}")
    for peer, ratio in summary["ratios"].items():
        lines.append(f"  CPU per call, {subject} / {peer}: {ratio['median']:.3f}  [{ratio['low']:.3f}, {ratio['high']:.3f}], "
                     f"{ratio['coverage']:.0%} interval of the median")
    for name, proxy in summary["proxies"].items():
        if proxy["upstream_us_per_call"] >= proxy["cpu_us_per_call"]:
            lines.append(f"  note: behind {name} the upstream cost {proxy['upstream_us_per_call']:.2f} us a call, as much as the "
                         f"proxy: calls/s say more about the upstream here; CPU per call stands")
    return "\n".join(lines)


def format_verdict(summaries):
    """One line a target; empty where none applies."""
    lines = []
    for summary in summaries:
        target = summary["target"]
        if target is not None:
            ratio = summary["ratios"][target["peer"]]["median"]
            lines.append(f"target {summary['case']}: at most {target['at_most']:.2f} x {target['peer']}, measured {ratio:.3f}: "
                         f"{'met' if target['met'] else 'NOT MET'}")
    return "\n".join(lines)
