"""A real `ficus serve` for Python tests: the same promises as tests/support/ficus_process.h. The binary comes from the
environment (FICUS_BINARY); ctest sets it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

PATIENCE = 15.0
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")
PATH = "/inventory.v1.Inventory/Do"
# grpcio takes proxies from the environment; loopback is nobody's proxy's business.
GRPC_OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0),
                ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def wait_until(condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def pass_through_policy(endpoint):
    return ("apiVersion: ficus/v1\nname: relay\nupstreams:\n"
            f'  policy-new: {{endpoints: ["{endpoint}"]}}\n'
            "default_upstream: policy-new\nownership_epoch: 1\n")


class Ficus:
    """Started ready; stop() ends it and raises unless it ended well. `files`: name -> path, copied beside the policy."""

    def __init__(self, policy, workers=1, drain_seconds=2.0, listen_flag="--listen", flags=(), files=None,
                 shadow_max_lag="0"):
        # Tests share the cores with one another: a loop that runs late says nothing of ficus.
        self.dir = tempfile.TemporaryDirectory(prefix="ficus-e2e-")
        policy_path = os.path.join(self.dir.name, "policy.yaml")
        ports = os.path.join(self.dir.name, "ports.json")
        for name, path in (files or {}).items():
            shutil.copy(path, os.path.join(self.dir.name, name))
        self.log_path = os.path.join(self.dir.name, "stderr.log")
        with open(policy_path, "w", encoding="utf-8") as file:
            file.write(policy)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [os.environ["FICUS_BINARY"], "serve", "--policy", policy_path, listen_flag, "127.0.0.1:0",
                 "--admin", "127.0.0.1:0", "--workers", str(workers), "--port-file", ports,
                 "--drain-timeout", str(drain_seconds), "--shadow-max-lag", shadow_max_lag, *flags], stdout=log, stderr=log)
        addresses = {}

        def started():
            try:
                with open(ports, encoding="utf-8") as file:
                    addresses.update(json.load(file))
            except (OSError, ValueError):
                pass
            return "admin" in addresses or self.process.poll() is not None

        listen = listen_flag.lstrip("-").replace("-", "_")  # its name in the port file
        if not wait_until(started) or listen not in addresses:
            self.process.kill()
            raise AssertionError("ficus did not start\n" + self.log())
        self.address = addresses[listen]
        self.admin = addresses["admin"]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("ficus did not end\n" + self.log()) from None
        log = self.log()
        self.dir.cleanup()
        if code not in (0, 4) or any(mark in log for mark in SANITIZER_MARKS):
            raise AssertionError(f"ficus ended with {code}\n{log}")
        return code


class FicusTestCase(unittest.TestCase):
    """Prints ficus's log with a failure."""

    def start_ficus(self, endpoint, **options):
        ficus = Ficus(pass_through_policy(endpoint), **options)

        def end():
            log = ficus.log() if ficus.process.poll() is None else ""
            outcome = self._outcome.result
            failed = any(test is self for test, _ in outcome.failures + outcome.errors)
            ficus.stop()
            if failed:
                print("---- ficus's log\n" + log)

        self.addCleanup(end)
        return ficus
