"""What a person reads at the end, and the same as JSON.

A summary has `targets`: a list of {what, at_most, unit, measured, met}. `met` is None where a target could not be measured, and
then `why` says why: that is never taken for a pass.
"""
from statistics import median

from relay.stats import median_interval


def summarize(case, samples, floor, subject, peers, peaks_kib, judged=None):
    """All figures of one case as plain values. `samples`: name -> list of Sample, one a round, in the order of the rounds.

    `judged`: whether the case's targets apply; by default when the subject is ficus.
    """
    summary = {
        "case": case.name,
        "title": case.title,
        "unit": case.unit,
        "rounds": len(samples[subject]),
        "proxies": {},
        "ratios": {},
        "floor": None,
        "notes": [],
    }
    if floor:
        summary["floor"] = {"cpu_us_per_call": median(s.proxy_us for s in floor),
                            "calls_per_second": median(s.calls_per_second for s in floor)}
    for name, list_of in samples.items():
        cpu = median_interval([s.proxy_us for s in list_of])
        summary["proxies"][name] = {
            "cpu_us_per_call": cpu.middle,
            "cpu_us_per_call_low": cpu.low,
            "cpu_us_per_call_high": cpu.high,
            "calls_per_second": median(s.calls_per_second for s in list_of),
            "calls_per_sample": list_of[0].calls,
            "core_busy": median(s.core_busy for s in list_of),
            "upstream_us_per_call": median(s.upstream_us for s in list_of),
            "peak_memory_kib": peaks_kib[name],
            "samples": [vars(s) for s in list_of],
        }
    for peer in peers:
        summary["ratios"][peer] = ratio_of([s.proxy_us for s in samples[subject]], [s.proxy_us for s in samples[peer]])
    judged = subject == "ficus" if judged is None else judged
    summary["targets"] = [_target(f"{case.name}: CPU per {case.unit}", peer, bound, summary["ratios"][peer]["median"])
                          for peer, bound in case.targets.items() if judged and peer in summary["ratios"]]
    return summary


def summarize_memory(case, bytes_each, counts, subject, peers):
    """`bytes_each`: figure -> name -> bytes, one a round."""
    summary = {"case": case.name, "title": case.title, "rounds": 0, "figures": {}, "targets": [], "notes": []}
    for figure, of_name in bytes_each.items():
        summary["rounds"] = len(of_name[subject])
        described = {"held": counts[figure], "proxies": {}, "ratios": {peer: ratio_of(of_name[subject], of_name[peer]) for peer in peers}}
        for name, values in of_name.items():
            interval = median_interval(values)
            described["proxies"][name] = {"bytes": interval.middle, "low": interval.low, "high": interval.high, "samples": values}
        summary["figures"][figure] = described
        summary["targets"] += [_target(f"{case.name}: per {figure}", peer, bound, described["ratios"][peer]["median"])
                               for peer, bound in case.targets.items() if subject == "ficus" and peer in peers]
    return summary


def not_available(case, why):
    """The summary of a case that the program at hand cannot do: each of its targets is unmeasured."""
    return {"case": case.name, "title": case.title, "not_available": why, "notes": [],
            "targets": [{**_target(f"{case.name}: CPU per {case.unit}", peer, bound, None), "why": why}
                        for peer, bound in case.targets.items()]}


def ratio_of(values, peer_values):
    ratio = median_interval([a / b for a, b in zip(values, peer_values, strict=True)])
    return {"median": ratio.middle, "low": ratio.low, "high": ratio.high, "coverage": ratio.coverage}


def _target(what, peer, bound, measured):
    return {"what": what, "unit": f"x {peer}", "at_most": bound, "measured": measured,
            "met": None if measured is None else measured <= bound}


def format_case(summary, subject):
    if "not_available" in summary:
        return f"{summary['case']}: {summary['title']}\n  {summary['not_available']}"
    if "figures" in summary:
        return _format_memory(summary, subject)
    unit = summary["unit"]
    lines = [
        f"{summary['case']}: {summary['title']}, {summary['rounds']} rounds",
        f"  {'':16} {'CPU us/' + unit:>14} {'interval':>16} {unit + 's/s':>12} {unit + 's each':>15} {'core busy':>10} {'peak memory':>12}",
    ]
    for name, proxy in summary["proxies"].items():
        interval = f"[{proxy['cpu_us_per_call_low']:.2f}, {proxy['cpu_us_per_call_high']:.2f}]"
        lines.append(f"  {name:16} {proxy['cpu_us_per_call']:14.2f} {interval:>16} {proxy['calls_per_second']:12,.0f} "
                     f"{proxy['calls_per_sample']:15,} {proxy['core_busy']:10.0%} {proxy['peak_memory_kib'] / 1024:8.1f} MiB")
    if summary["floor"] is not None:
        floor = summary["floor"]
        lines.append(f"  {'no proxy (floor)':16} {floor['cpu_us_per_call']:14.2f} {'':>16} {floor['calls_per_second']:12,.0f}")
    name_of_subject = next(iter(summary["proxies"]))
    for peer, ratio in summary["ratios"].items():
        lines.append(f"  CPU per {unit}, {name_of_subject} / {_ratio_text(peer, ratio)}")
    for name, proxy in summary["proxies"].items():
        if proxy["upstream_us_per_call"] >= proxy["cpu_us_per_call"]:
            lines.append(f"  note: behind {name} the upstream cost {proxy['upstream_us_per_call']:.2f} us a {unit}, as much as the "
                         f"proxy: {unit}s/s say more about the upstream here; CPU per {unit} stands")
    return "\n".join(lines + [f"  note: {note}" for note in summary["notes"]])


def _format_memory(summary, subject):
    lines = [f"{summary['case']}: {summary['title']}, {summary['rounds']} rounds of fresh processes"]
    for figure, described in summary["figures"].items():
        lines.append(f"  {'':16} {'KiB per ' + figure:>24} {'interval':>18}   ({described['held']:,} held)")
        for name, proxy in described["proxies"].items():
            interval = f"[{proxy['low'] / 1024:.2f}, {proxy['high'] / 1024:.2f}]"
            lines.append(f"  {name:16} {proxy['bytes'] / 1024:24.2f} {interval:>18}")
        for peer, ratio in described["ratios"].items():
            lines.append(f"  per {figure}, {subject} / {_ratio_text(peer, ratio)}")
    return "\n".join(lines + [f"  note: {note}" for note in summary["notes"]])


def _ratio_text(peer, ratio):
    return f"{peer}: {ratio['median']:.3f}  [{ratio['low']:.3f}, {ratio['high']:.3f}], {ratio['coverage']:.0%} interval of the median"


def format_verdict(summaries):
    """One line a target; empty where none applies."""
    lines = []
    for target in (target for summary in summaries for target in summary["targets"]):
        line = f"target {target['what']}: at most {target['at_most']:g} {target['unit']}"
        if target["met"] is None:
            lines.append(f"{line}: NOT MEASURED, {target['why']}")
        else:
            lines.append(f"{line}, measured {target['measured']:.3f}: {'met' if target['met'] else 'NOT MET'}")
    return "\n".join(lines)


def missed(summaries):
    return any(target["met"] is False for summary in summaries for target in summary["targets"])


def unmeasured(summaries):
    return any(target["met"] is None for summary in summaries for target in summary["targets"])
