#!/usr/bin/python3
"""Plays the interop cases between one client and one server, directly and through Ficus, and requires both to be the same.

    run_interop.py --build-dir build/dev --client cpp|python --server cpp|python [--transport cleartext|tls] [--case NAME ...]

Three runs: directly; through Ficus as a plain relay; through Ficus with the test service as a capability whose reads are
all shadowed. Each call of each run must be what the descriptions ask (expectations.py), and each call through Ficus what it
was directly (compare.py), as client and server saw it and, over cleartext, as it stood on the wire on both sides of Ficus.
exit: 0 all the same; 1 a difference, printed."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
PATIENCE = 20.0        # for what must happen
CLIENT_PATIENCE = 40.0  # for a client's whole run
CALL_KEY = "x-interop-call"
SANITIZERS = (b"ERROR: AddressSanitizer", b"ERROR: LeakSanitizer", b"runtime error:", b"WARNING: ThreadSanitizer")


class Failure(Exception):
    pass


def peer_command(build_dir, kind, language):
    if language == "cpp":
        return [os.path.join(build_dir, "tests", "interop", f"interop_{kind}")]
    return ["/usr/bin/python3", "-B", os.path.join(HERE, f"interop_{kind}.py")]


def peer_environment(build_dir):
    return {**os.environ, "PYTHONPATH": os.path.join(build_dir, "gen", "python")}


class Tls:
    """PEM files: a CA, and a certificate of it for `name` that the test server and Ficus's listener share."""

    def __init__(self, directory, ca=None, cert=None, key=None, name="interop.test"):
        self.ca, self.cert, self.key, self.name = ca, cert, key, name
        if not ca:
            self._make(directory)

    def _make(self, directory):
        self.ca, self.cert, self.key = (os.path.join(directory, name) for name in ("ca.pem", "cert.pem", "key.pem"))
        ca_key, request, extensions = (os.path.join(directory, name) for name in ("ca.key", "request.pem", "ext"))
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName=DNS:{self.name}\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for arguments in (
                ["req", "-x509", *new_key, "-keyout", ca_key, "-out", self.ca, "-days", "2", "-subj", "/CN=interop CA"],
                ["req", *new_key, "-keyout", self.key, "-out", request, "-subj", "/CN=interop"],
                ["x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
                 "-extfile", extensions, "-out", self.cert]):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Server:
    """The test server as a process, and the records it prints."""

    def __init__(self, build_dir, language, tls):
        command = peer_command(build_dir, "server", language)
        if tls:
            command += ["--tls-cert", tls.cert, "--tls-key", tls.key]
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                                         env=peer_environment(build_dir))
        first = self._process.stdout.readline()
        if not first:
            raise Failure("the server did not start\n" + self.stderr())
        self.address = "127.0.0.1:%d" % json.loads(first)["port"]
        self._records, self._news = {}, threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            record = json.loads(line)
            tag = record["metadata"].get(CALL_KEY, ["(no tag)"])[0]
            with self._news:
                if tag in self._records:
                    record["twice"] = True  # the call was made twice: a difference that compare.py shows
                self._records[tag] = record
                self._news.notify_all()

    def records(self, required):
        """All so far, once those of `required` (tags) are there or patience is over."""
        with self._news:
            self._news.wait_for(lambda: required <= self._records.keys(), PATIENCE)
            return dict(self._records)

    def stderr(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def stop(self):
        self._process.stdin.close()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise Failure("the server did not end\n" + self.stderr()) from None
        if code != 0 or any(mark.decode() in self.stderr() for mark in SANITIZERS):
            raise Failure(f"the server ended with {code}\n" + self.stderr())


def run_client(build_dir, language, target, run, cases, tls):
    """The client's records, by tag."""
    command = [*peer_command(build_dir, "client", language), "--target", target, "--run", run, "--case", *cases]
    if tls:
        command += ["--tls-ca", tls.ca, "--tls-name", tls.name]
    try:
        done = subprocess.run(command, env=peer_environment(build_dir), capture_output=True, timeout=CLIENT_PATIENCE,
                              check=False)
    except subprocess.TimeoutExpired as hung:
        played = [json.loads(line)["call"] for line in (hung.stdout or b"").splitlines(keepends=True) if line.endswith(b"\n")]
        raise Failure(f"{run}: the client hangs after {played[-1:] or 'nothing'}\n"
                      + (hung.stderr or b"").decode(errors="replace")) from None
    if done.returncode != 0 or any(mark in done.stderr for mark in SANITIZERS):
        raise Failure(f"{run}: the client ended with {done.returncode}\n" + done.stderr.decode(errors="replace"))
    return {record["call"]: record for record in map(json.loads, done.stdout.splitlines())}


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


def start_ficus(policy, tls):
    from ficus_harness import Ficus  # after FICUS_BINARY is set
    if not tls:
        return Ficus(policy)
    return Ficus(policy, listen_flag="--tls-listen", flags=["--tls-cert", tls.cert, "--tls-key", tls.key],
                 files={"ca.pem": tls.ca})


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
            return self._observe(name, target, taps)
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


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--client", choices=["cpp", "python"], required=True)
    parser.add_argument("--server", choices=["cpp", "python"], required=True)
    parser.add_argument("--transport", choices=["cleartext", "tls"], default="cleartext")
    parser.add_argument("--direct-only", action="store_true", help="hold only the peers against the descriptions")
    parser.add_argument("--case", nargs="*", help="only these")
    parser.add_argument("--tls-ca", help="with --tls-cert and --tls-key: these PEM files instead of some made on the spot")
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
        through = {} if arguments.direct_only else {"relay": relay_policy, "capability": capability_policy}
        for name, policy in {"direct": None, **through}.items():
            run = runner.run(name, policy)
            verdicts[name] = judge(cases, name, run, direct)
            direct = direct or run
        runner.stop()
    finally:
        shutil.rmtree(directory)
    print_table(f"{arguments.client} client, {arguments.server} server, {arguments.transport}", cases, verdicts)
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
