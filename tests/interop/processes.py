"""The processes of an interop run: the two test servers, a client, Ficus between them, and certificates for TLS."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from ficus_harness import Ficus  # noqa: E402

PATIENCE = 20.0         # for what must happen
CLIENT_PATIENCE = 30.0  # for a client's whole run, of some 3 s
CALL_KEY = "x-interop-call"


class Failure(Exception):
    """A run that gives nothing to compare; the text says why."""


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
        if code != 0:
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
        lines = (hung.stdout or b"").split(b"\n")[:-1]
        played = json.loads(lines[-1])["call"] if lines else "nothing"
        raise Failure(f"{run}: the client hangs after {played}\n"
                      + (hung.stderr or b"").decode(errors="replace")) from None
    if done.returncode != 0:
        raise Failure(f"{run}: the client ended with {done.returncode}\n" + done.stderr.decode(errors="replace"))
    return {record["call"]: record for record in map(json.loads, done.stdout.splitlines())}


def start_ficus(policy, tls):
    """Ficus with a TLS listener alone where `tls` is given; a policy may name ca.pem."""
    if not tls:
        return Ficus(policy)
    return Ficus(policy, listen_flag="--tls-listen", flags=["--tls-cert", tls.cert, "--tls-key", tls.key],
                 files={"ca.pem": tls.ca})


def metric_sum(ficus, name, **labels):
    """The sum of Ficus's samples of that name that carry these labels."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{ficus.admin}/metrics", timeout=PATIENCE) as reply:
        text = reply.read().decode()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.partition("{")[0].partition(" ")[0] == name and all(pair in line for pair in wanted))
