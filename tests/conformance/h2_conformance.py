#!/usr/bin/env python3
"""Holds an HTTP/2 server that serves gRPC, or a proxy before one, to RFC 9113 and RFC 7541, case by case.

    h2_conformance.py --target 127.0.0.1:8080                     a table, the totals, exit code 1 if a case fails
    h2_conformance.py --target ... --only 6.9 --verbose           one section, or one case
    h2_conformance.py --target ... --normal any --path /          any server that answers a POST with HEADERS
    h2_conformance.py --list                                      the cases and their requirements

Needs python3-hpack and python3-hyperframe (Debian), nothing of the server's own code.
"""

import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import suite  # noqa: E402
from peer import Target  # noqa: E402
import cases_continuation  # noqa: E402,F401
import cases_flow  # noqa: E402,F401
import cases_frames  # noqa: E402,F401
import cases_frame_types  # noqa: E402,F401
import cases_hpack  # noqa: E402,F401
import cases_http  # noqa: E402,F401
import cases_ping_goaway  # noqa: E402,F401
import cases_settings  # noqa: E402,F401
import cases_start  # noqa: E402,F401
import cases_streams  # noqa: E402,F401


def order(one):
    section = one.id.split("/")[0].replace("hpack-", "")
    return one.rfc != 9113, [int(part) for part in section.split(".")]


def chosen(only):
    """Cases in the order of the RFCs; `only` keeps those of a section, or the one with that id."""
    cases = sorted(suite.CASES.values(), key=order)
    if not only:
        return cases
    return [one for one in cases if any(one.id == want or one.id.split("/")[0] == want or
                                        one.id.split("/")[0].startswith(want + ".") for want in only)]


def table(results, verbose):
    lines = []
    for one in results:
        if verbose or not one.passed:
            verdict = "skip" if one.skipped else "ok" if one.passed else "FAIL"
            lines.append(f"{verdict:4}  {one.id:44} {one.reaction}{' - ' + one.why if one.why else ''}")
            if not one.passed:
                lines.append(f"      {one.requirement}")
    failed = sum(not one.passed for one in results)
    skipped = sum(one.skipped for one in results)
    lines.append(f"{len(results)} cases, {len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return "\n".join(lines)


def target_of(options):
    host, port = options.target.rsplit(":", 1)
    return Target(host, int(port), options.path, options.authority, "https" if options.tls else "http",
                  options.normal == "grpc", options.tls, options.patience)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", help="HOST:PORT of the server")
    parser.add_argument("--path", default="/inventory.v1.Inventory/Do", help="of the well-formed calls")
    parser.add_argument("--authority", default="inventory.test")
    parser.add_argument("--normal", choices=("grpc", "any"), default="grpc",
                        help="what an answer is: grpc: 200 and grpc-status 0; any: HEADERS with a final status")
    parser.add_argument("--tls", action="store_true", help="TLS with ALPN h2; the certificate is not checked")
    parser.add_argument("--strict", action="store_true", help="refuse also what RFC 9113 permits besides; see suite.py")
    parser.add_argument("--only", action="append", metavar="ID", help="a case or a section; may be repeated")
    parser.add_argument("--patience", type=float, default=2.0, help="seconds without a byte that are silence")
    parser.add_argument("--jobs", type=int, default=8, help="cases at a time")
    parser.add_argument("--json", action="store_true", help="results as JSON, a list of objects")
    parser.add_argument("--verbose", action="store_true", help="the table has the passed cases too")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    options = parser.parse_args(arguments)
    cases = chosen(options.only)
    if options.list:
        for one in cases:
            print(f"{one.id:44} {one.requirement}{' (debatable)' if one.expect.permitted else ''}")
        print(f"{len(cases)} cases")
        return 0
    if not options.target or not cases:
        parser.error("--target is missing" if cases else "no such case")
    results = suite.run(cases, target_of(options), options.strict, options.jobs)
    if options.json:
        print(json.dumps([one._asdict() for one in results], indent=1))
    else:
        print(table(results, options.verbose))
    return 0 if all(one.passed for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
