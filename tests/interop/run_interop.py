#!/usr/bin/python3
"""Plays the interop cases between one client and one server, directly and through Ficus, and requires no difference.

    run_interop.py --build-dir build/dev --client cpp|python --server cpp|python [--transport cleartext|tls]

Three runs: directly; through Ficus as a plain relay; through Ficus with the test service as a capability whose reads
are all shadowed. Each call of each run must be what the descriptions ask (expectations.py), and each call through Ficus
what it was directly (compare.py), as client and server saw it and, over cleartext, as it stood on the wire on both
sides of Ficus. exit: 0 all the same; 1 a difference, printed."""

import argparse
import os
import shutil
import sys
import tempfile
import time

from processes import CALL_KEY, Failure, Server, Tls, metric_sum, run_client, start_ficus
from ficus_harness import wait_until


def upstream(name, endpoint, tls):
    secure = f", tls: {{ca_file: ca.pem, server_name: {tls.name}}}" if tls else ""
    return f'  {name}: {{endpoints: ["{endpoint}"]{secure}}}\n'


def relay_policy(endpoint, _spare, tls):
    return ("apiVersion: ficus/v1\nname: interop-relay\nupstreams:\n" + upstream("interop", endpoint, tls)
            + "default_upstream: interop\nownership_epoch: 1\n")


def capability_policy(endpoint, spare, tls):
    """Reads and writes by name, without a schema; every read that can be shadowed is, on a second server."""
    return ("apiVersion: ficus/v1\nname: interop-capability\nupstreams:\n" + upstream("interop-legacy", endpoint, tls)
            + upstream("interop-new", spare, tls) +
            "default_upstream: interop-legacy\n"
            "capabilities:\n"
            "  interop:\n"
            "    legacy: interop-legacy\n"
            "    new: interop-new\n"
            "    service: grpc.testing.TestService\n"
            "    reads: [UnaryCall, StreamingOutputCall, FullDuplexCall]\n"
            "    writes: [EmptyCall, StreamingInputCall]\n"
            "rules:\n"
            "  - {name: watched, capability: interop, stage: shadow, reads: {shadow: {percent: 100}}}\n"
            "ownership_epoch: 1\n")


def spoiling_policy(endpoint, spare, tls):
    """A relay that is not faithful: what --self-check must find."""
    spoiled = f'["{endpoint}"], metadata: {{set: {{x-spoiled: "yes"}}}}'
    return relay_policy(endpoint, spare, tls).replace(f'["{endpoint}"]', spoiled)


class Runner:
    def __init__(self, arguments, cases, tls):
        self._arguments, self._cases, self._tls = arguments, cases, tls
        self._server = Server(arguments.build_dir, arguments.server, tls)
        self._spare = Server(arguments.build_dir, arguments.server, tls)

    def stop(self):
        self._server.stop()
        self._spare.stop()

    def run(self, name, policy):
        """{case: [observation of each call]} of one run; `policy` makes the text of Ficus's, None: directly."""
        taps, ficus = [], None

        def tap(target):
            if self._tls:
                return target  # a tap sees only what TLS hides
            taps.append(WireTap(target))
            return taps[-1].address

        try:
            target = tap(self._server.address)
            if policy:
                ficus = start_ficus(policy(target, self._spare.address, self._tls), self._tls)
                target = tap(ficus.address)
            run = self._observe(name, target, taps)
            if policy is capability_policy:
                check_capability_was_used(ficus, self._cases)
            return run
        except Failure as failure:
            raise Failure(f"{failure}\n---- ficus's log\n{ficus.log()}" if ficus else str(failure)) from None
        finally:
            if ficus:
                ficus.stop()
            for one in taps:
                one.close()

    def _observe(self, name, target, taps):
        arguments = self._arguments
        clients = run_client(arguments.build_dir, arguments.client, target, name, list(self._cases), self._tls)
        tags = {case: [f"{name} {case} {i + 1}" for i in range(len(calls))] for case, calls in self._cases.items()}
        servers = self._server.records({tag for case, calls in self._cases.items()
                                        for tag, call in zip(tags[case], calls) if call.server == "required"})
        wires = [one.calls(CALL_KEY) for one in taps]  # the server's first, the client's last
        return {case: [{"client": clients.get(tag), "server": servers.get(tag),
                        "client_wire": wires[-1].get(tag) if wires else None,
                        "server_wire": wires[0].get(tag) if wires else None} for tag in tags[case]] for case in tags}


def check_capability_was_used(ficus, cases):
    """That the run took the way it is about: its calls the capability's, its single reads shadowed and alike."""
    calls = [call for calls in cases.values() for call in calls if call.server == "required"]
    reads = sum(call.method == "UnaryCall" for call in calls)
    def its_calls():
        return metric_sum(ficus, "ficus_calls_total", capability="interop")

    if not wait_until(lambda: its_calls() >= len(calls)):
        raise Failure(f"of {len(calls)} calls, too few were the capability's: {its_calls()}")
    begun = metric_sum(ficus, "ficus_shadow_begun_total")
    if begun < reads:
        raise Failure(f"of {reads} single reads, too few were shadowed: {begun}")

    def verdicts(**labels):
        return metric_sum(ficus, "ficus_shadow_verdicts_total", **labels)

    if not wait_until(lambda: verdicts() == metric_sum(ficus, "ficus_shadow_begun_total")):
        raise Failure("shadows without a verdict")
    if verdicts(verdict="mismatch") or verdicts(verdict="match") < reads:
        raise Failure(f"two servers alike, and yet of {reads} reads {verdicts(verdict='match')} matched "
                      f"and {verdicts(verdict='mismatch')} did not")


def judge(cases, name, run, direct):
    """{case: [complaint]} of a run."""
    complaints = {}
    for case, calls in cases.items():
        found = complaints.setdefault(case, [])
        for i, call in enumerate(calls):
            seen = run[case][i]
            words = [f"client: {text}" for text in check_client(call, seen["client"])]
            words += [f"server: {text}" for text in check_server(call, seen["server"])]
            words += [f"wire: {text}" for text in check_wire(call, seen["client_wire"], seen["server_wire"])]
            if direct is not None:
                words += [f"not as directly: {text}" for text in compare_call(call, direct[case][i], seen, CALL_KEY)]
            found += [f"{name}, call {i + 1} ({call.method}): {text}" for text in words]
    return complaints


def print_table(title, cases, verdicts):
    print(title)
    print("  %-30s %5s  %s" % ("case", "calls", "  ".join("%-10s" % name for name in verdicts)))
    for case, calls in cases.items():
        cells = ["%-10s" % ("ok" if not complaints[case] else f"{len(complaints[case])} wrong")
                 for complaints in verdicts.values()]
        print("  %-30s %5d  %s" % (case, len(calls), "  ".join(cells)))
    for complaints in verdicts.values():
        for text in (text for found in complaints.values() for text in found):
            print("  " + text)


def check_spoiled(cases, verdicts):
    """The added header, found in each call that is sure to arrive, by the server and on the wire to it; only that."""
    missed = 0
    for case, calls in cases.items():
        for i, call in enumerate(calls):
            found = [text for text in verdicts["spoiled"][case] if f"call {i + 1} " in text]
            wanted = ["server_wire.request.headers.x-spoiled"] if call.server != "optional" else []
            wanted += ["server.metadata.x-spoiled"] if call.server == "required" else []
            if len(found) != len(wanted) or not all(any(want in text for text in found) for want in wanted):
                missed += 1
                print(f"self-check: {case}, call {i + 1}: wanted {wanted}, found {found}")
    print(f"self-check: {missed} calls misjudged")
    return 1 if missed or any(verdicts["direct"].values()) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--client", choices=["cpp", "python"], required=True)
    parser.add_argument("--server", choices=["cpp", "python"], required=True)
    parser.add_argument("--transport", choices=["cleartext", "tls"], default="cleartext")
    parser.add_argument("--direct-only", action="store_true", help="hold only the peers against the descriptions")
    parser.add_argument("--self-check", action="store_true",
                        help="through a Ficus that adds a header: exit 0 only if that is found in every call")
    parser.add_argument("--case", nargs="*", help="only these")
    parser.add_argument("--tls-ca", help="with --tls-cert, --tls-key: these PEM files; else some are made on the spot")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--tls-name", default="interop.test")
    arguments = parser.parse_args()
    arguments.build_dir = os.path.abspath(arguments.build_dir)
    os.environ.setdefault("FICUS_BINARY", os.path.join(arguments.build_dir, "facade", "ficus"))
    sys.path.insert(0, os.path.join(arguments.build_dir, "gen", "python"))
    return arguments


def main(arguments):
    cases = {case: calls for case, calls in CASES.items() if not arguments.case or case in arguments.case}
    begun = time.monotonic()
    directory = tempfile.mkdtemp(prefix="ficus-interop-")
    try:
        tls = None
        if arguments.transport == "tls":
            tls = Tls(directory, arguments.tls_ca, arguments.tls_cert, arguments.tls_key, arguments.tls_name)
        runner = Runner(arguments, cases, tls)
        verdicts, direct = {}, None
        through = {"relay": relay_policy, "capability": capability_policy}
        if arguments.direct_only:
            through = {}
        if arguments.self_check:
            through = {"spoiled": spoiling_policy}
        for name, policy in {"direct": None, **through}.items():
            run = runner.run(name, policy)
            verdicts[name] = judge(cases, name, run, direct)
            direct = direct or run
        runner.stop()
    finally:
        shutil.rmtree(directory)
    print_table(f"{arguments.client} client, {arguments.server} server, {arguments.transport}", cases, verdicts)
    if arguments.self_check:
        return check_spoiled(cases, verdicts)
    wrong = sum(len(found) for complaints in verdicts.values() for found in complaints.values())
    print(f"{wrong} wrong, {time.monotonic() - begun:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    ARGUMENTS = parse_arguments()
    from compare import compare_call
    from expectations import CASES, check_client, check_server, check_wire
    from wire_tap import WireTap
    try:
        sys.exit(main(ARGUMENTS))
    except Failure as reason:
        print(f"FAILED: {reason}")
        sys.exit(1)
