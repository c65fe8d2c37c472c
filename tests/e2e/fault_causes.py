"""What a client may see under faults, and why: the causes that explain an error, and the account of a run. Pure; times
are CLOCK_MONOTONIC's seconds."""

import re
import urllib.parse
from dataclasses import dataclass

CODES = {"4": "DEADLINE_EXCEEDED", "14": "UNAVAILABLE"}  # those that a cause may name; the rest is shown as it came


@dataclass(frozen=True)
class Cause:
    """One reason for errors of these lanes: a code, what the message says, and when. `most`: so many at the most;
    `began_by`: of calls that had begun by then; `aged`: of calls so many seconds old. An error that is in two causes is
    in none."""
    name: str
    lanes: tuple
    code: str
    message: str  # a regular expression for all of it
    begin: float
    end: float
    most: int = None
    began_by: float = float("inf")
    aged: float = 0.0
    least: int = 0  # fewer show that the fault was none

    def explains(self, lane, error):
        return (lane in self.lanes and code_of(error) == self.code and self.begin <= error["ended"] <= self.end
                and error["began"] <= self.began_by and error["ended"] - error["began"] >= self.aged
                and re.fullmatch(self.message, message_of(error)) is not None)


def code_of(error):
    return CODES.get(error["code"], error["code"])


def message_of(error):
    return urllib.parse.unquote(error["message"])


def account(lanes, causes, began):
    """(rows, problems): rows are {lane, cause, window, count, first, last}, problems sentences. `lanes`: name -> what
    fault_load printed of it. Times in rows count from `began`."""
    rows, problems = [], []
    unnamed = {}
    counted = {}
    for lane, seen in lanes.items():
        for error in seen["errors"]:
            fitting = [cause for cause in causes if cause.explains(lane, error)]
            if len(fitting) == 1:
                counted.setdefault((lane, fitting[0]), []).append(error["ended"])
            else:
                why = " and ".join(cause.name for cause in fitting) or "no cause"
                unnamed.setdefault((lane, code_of(error), message_of(error), why), []).append(error)
    for (lane, code, message, why), errors in unnamed.items():
        begun, ended = ("{:.3f} s to {:.3f} s".format(min(times) - began, max(times) - began)
                        for times in ([error[key] for error in errors] for key in ("began", "ended")))
        problems.append(f"{lane}: {len(errors)} x {code} \"{message}\" from {ended}, begun from {begun}: "
                        f"{why} explains it")
    for cause in causes:
        for lane in cause.lanes:
            times = counted.get((lane, cause), [])
            if cause.most is not None and len(times) > cause.most:
                problems.append(f"{lane}: {len(times)} errors by \"{cause.name}\", which explains {cause.most}")
            if len(times) < cause.least:
                problems.append(f"{lane}: {len(times)} errors by \"{cause.name}\": the fault was none")
            rows.append({"lane": lane, "cause": cause.name, "code": cause.code,
                         "window": [round(cause.begin - began, 3), round(cause.end - began, 3)], "count": len(times),
                         "first": round(min(times) - began, 3) if times else None,
                         "last": round(max(times) - began, 3) if times else None})
    return rows, problems
