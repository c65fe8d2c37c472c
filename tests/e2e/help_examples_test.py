#!/usr/bin/python3
"""Runs the examples of `ficus COMMAND --help`, so that they stay true.

    help_examples_test.py --ficus PROGRAM

Every command that `ficus --help` lists has at least one example: a line of "Examples:" that begins with `ficus`, and those
that a backslash joins to it. Each is run by bash, as it stands, in a directory with copies of what examples name (policies/,
p.yaml, certificates, answers, a key). It must end with 0, or with N where a remark says `# exit N`; those of `status` beside
a facade whose control socket is where they (or the command's default) say. Those of `serve` must come to serve and, after
SIGTERM, end with 0. Only the addresses' ports are changed to 0, --admin is added where it is missing, and /run/ficus becomes
a directory of the test's own: an example must not need a free port 8080 or root.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 20
SERVING = re.compile(r" info serving .*")
ASK_A_FACADE = {"status"}     # commands that need one that runs
OPTIONS = None


def commands_of(help_text):
    """The names under "Subcommands:"."""
    _, _, listed = help_text.partition("\nSubcommands:\n")
    return re.findall(r"^  (\w[\w-]*)\s", listed, re.MULTILINE)


def examples_of(help_text):
    """Each example as one text for bash. An "Examples:" with nothing to run below it is an error."""
    _, _, below = help_text.partition("\nExamples:\n")
    lines = below.partition("\n\n")[0].splitlines()
    examples, goes_on = [], False
    for line in lines:
        if goes_on:
            examples[-1] += "\n" + line
        elif line.startswith("  ficus "):
            examples.append(line.strip())
        else:
            raise ValueError(f"neither an example nor the rest of one: {line!r}")
        goes_on = line.endswith("\\")
    if goes_on:
        raise ValueError("the last example ends with a backslash")
    if not examples:
        raise ValueError("no examples")
    return examples


def exit_code_of(example):
    """What a remark says the example ends with."""
    said = re.findall(r"#.*\bexit (\d+)\b", example)
    return int(said[-1]) if said else 0


def on_any_machine(example, run_dir):
    """An example of `serve` that needs no port of its own and no /run/ficus."""
    changed = re.sub(r"(?<=[ =])[\d.]+:\d+", "127.0.0.1:0", example).replace("/run/ficus/", f"{run_dir}/")
    # In front, since a remark may stand at the end.
    return changed if "--admin" in changed else changed.replace(" serve ", " serve --admin 127.0.0.1:0 ", 1)


def at_the_tests_facade(example, run_dir):
    """An example of a command that asks a running facade: its control socket, written out or the default, is in `run_dir`."""
    changed = example.replace("/run/ficus/", f"{run_dir}/")
    if "--control" in changed:
        return changed
    return re.sub(r"^(ficus \S+)", rf"\1 --control {run_dir}/control.sock", changed)


def environment(directory):
    kept = {name: value for name, value in os.environ.items() if name not in ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET")}
    return {**kept, "PATH": f"{directory}/bin:/usr/bin:/bin"}


def make_certificates(directory):
    """server.pem, server.key and clients-ca.pem, as the examples call them: one throw-away certificate for all."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.pem"],
                   cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS)
    shutil.copy(directory / "server.pem", directory / "clients-ca.pem")


# What GetPolicy answers. `new` differs from `legacy` in what the example policy ignores, `repriced` in the premium too.
LEGACY_ANSWER = """policy {
  policy_number: "P-0001234" holder { full_name: "Ada Lovelace" email: "ada@example.org" } product: "home"
  status: POLICY_STATUS_IN_FORCE premium { currency: "EUR" amount: 42000 }
  endorsements { endorsement_id: "E-1" kind: "address" } endorsements { endorsement_id: "E-2" kind: "driver" }
  updated_at { seconds: 1767225600 } }"""
ANSWERS = {
    "legacy": LEGACY_ANSWER,
    "new": LEGACY_ANSWER.replace("1767225600", "1767225601"),
    "repriced": LEGACY_ANSWER.replace("amount: 42000", "amount: 43050").replace("1767225600", "1767225601"),
}


def make_answers(directory):
    """NAME.bin, a bare message, and NAME.grpc, the same in gRPC's frame; and a key file as serve makes it."""
    for name, text in ANSWERS.items():
        message = subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", "--encode=insurance.policy.v1.GetPolicyResponse",
                                  "insurance/policy/v1/policy_service.proto"], input=text.encode(), check=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS).stdout
        (directory / f"{name}.bin").write_bytes(message)
        (directory / f"{name}.grpc").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    (directory / "redact.key").write_text("0123456789abcdef" * 4 + "\n", encoding="ascii")
    (directory / "redact.key").chmod(0o600)


class Place:
    """A directory where examples find what they name; removed by the test."""

    def __init__(self, test):
        holder = tempfile.TemporaryDirectory(prefix="ficus-help-")
        test.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name)
        (self.path / "bin").mkdir()
        (self.path / "bin" / "ficus").symlink_to(OPTIONS.ficus)
        (self.path / "run").mkdir(mode=0o700)
        shutil.copytree(ROOT / "policies", self.path / "policies")
        shutil.copy(self.path / "policies" / "first-step.yaml", self.path / "p.yaml")
        make_certificates(self.path)
        make_answers(self.path)

    def run(self, script):
        """(exit code, all it printed)"""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.path, env=environment(self.path),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=LIMIT_SECONDS, check=False)
        return done.returncode, done.stdout

    def serve(self, script, meanwhile=lambda: None):
        """(exit code, what it said in the event `serving`, all it printed). Once it serves, `meanwhile` runs; then SIGTERM."""
        log_path = self.path / "serve.log"
        with open(log_path, "wb") as log:
            # exec: the signal is ficus's, not the shell's.
            process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", "exec " + script], cwd=self.path,
                                       env=environment(self.path), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            end = time.monotonic() + LIMIT_SECONDS
            while process.poll() is None and not self.serving(log_path) and time.monotonic() < end:
                time.sleep(0.01)
            if process.poll() is None:
                meanwhile()
                process.send_signal(signal.SIGTERM)
            code = process.wait(LIMIT_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return code, self.serving(log_path), log_path.read_text(encoding="utf-8", errors="replace")

    @staticmethod
    def serving(log_path):
        found = SERVING.search(log_path.read_text(encoding="utf-8", errors="replace"))
        return found.group() if found else ""


class ReaderTest(unittest.TestCase):
    """The reader of help texts and the judge themselves: what they take and what they refuse."""

    def test_commands_are_those_listed(self):
        self.assertEqual(commands_of("Usage\n\nSubcommands:\n  serve      Serve\n  check      Check\n"), ["serve", "check"])
        self.assertEqual(commands_of("Usage\n"), [])

    def test_a_backslash_joins_lines_and_an_empty_one_ends(self):
        self.assertEqual(examples_of("Usage\n\nExamples:\n  ficus a \\\n      --b\n  ficus c   # d\n\n  ficus not this\n"),
                         ["ficus a \\\n      --b", "ficus c   # d"])

    def test_what_is_no_example_is_an_error(self):
        for name, text in [("none", "Usage\n"), ("empty", "Usage\n\nExamples:\n\nMore\n"),
                           ("a remark on a line of its own", "\nExamples:\n  ficus a\n  see above\n"),
                           ("the rest of one without a backslash", "\nExamples:\n  ficus a\n      --b\n"),
                           ("a backslash at the end", "\nExamples:\n  ficus a \\\n\n  --b\n")]:
            with self.subTest(name), self.assertRaises(ValueError):
                examples_of(text)

    def test_a_remark_may_say_another_exit_code(self):
        self.assertEqual(exit_code_of("ficus a --b"), 0)
        self.assertEqual(exit_code_of("ficus a --exit 1"), 0)
        self.assertEqual(exit_code_of("ficus a \\\n  --b   # exit 3, for want of --c"), 3)
        self.assertEqual(exit_code_of("ficus a   # a mismatch: exit 1"), 1)

    def test_only_ports_and_paths_that_a_machine_may_lack_are_changed(self):
        self.assertEqual(on_any_machine("ficus serve --policy p --listen 10.0.0.1:8080 --takeover /run/ficus/t.sock", "/r"),
                         "ficus serve --admin 127.0.0.1:0 --policy p --listen 127.0.0.1:0 --takeover /r/t.sock")
        self.assertEqual(on_any_machine("ficus serve --listen=0.0.0.0:1 --admin 127.0.0.1:9901", "/r"),
                         "ficus serve --listen=127.0.0.1:0 --admin 127.0.0.1:0")

    def test_a_question_goes_to_the_facade_of_the_test(self):
        self.assertEqual(at_the_tests_facade("ficus status --json", "/r"), "ficus status --control /r/control.sock --json")
        self.assertEqual(at_the_tests_facade("ficus status --control /run/ficus/control.sock", "/r"),
                         "ficus status --control /r/control.sock")

    def test_examples_that_are_wrong_do_not_pass(self):
        place = Place(self)
        for name, script, want in [
            ("an unknown flag", "ficus check --nonsense policies/insurer.yaml", "--nonsense"),
            ("a wrong value", "ficus check --format xml policies/insurer.yaml", "is not allowed"),
            ("a missing flag", "ficus explain policies/insurer.yaml", "--method"),
            ("a file that is not there", "ficus check policies/absent.yaml", "absent.yaml"),
            ("a facade that is not there", f"ficus status --control {place.path}/run/control.sock", "nothing listens"),
            ("an unknown command", "ficus chekc policies/insurer.yaml", "chekc"),
        ]:
            with self.subTest(name):
                code, said = place.run(script)
                self.assertEqual(code, 2, said)
                self.assertIn(want, said)
        for name, script, want in [
            ("an unknown flag", "ficus serve --policy p.yaml --lisen 127.0.0.1:0", "--lisen"),
            ("nothing to serve on", "ficus serve --policy p.yaml --admin 127.0.0.1:0", "nothing to serve on"),
            ("a certificate that is not there", "ficus serve --policy p.yaml --admin 127.0.0.1:0 --tls-listen 127.0.0.1:0 "
                                                "--tls-cert absent.pem --tls-key server.key", "absent.pem"),
            ("a policy that is not there", "ficus serve --policy absent.yaml --listen 127.0.0.1:0 --admin 127.0.0.1:0", "P200"),
        ]:
            with self.subTest("serve: " + name):
                code, serving, said = place.serve(script)
                self.assertEqual((code, serving), (2, ""), said)
                self.assertIn(want, said)


class HelpExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        def help_of(*words):
            return subprocess.run([OPTIONS.ficus, *words, "--help"], check=True, stdout=subprocess.PIPE, text=True,
                                  timeout=LIMIT_SECONDS).stdout
        cls.commands = {name: help_of(name) for name in commands_of(help_of())}

    def test_the_commands_are_there(self):
        self.assertLessEqual({"serve", "check", "explain", "compare", "status"}, set(self.commands))

    def test_every_example_runs(self):
        for command, text in self.commands.items():
            for number, example in enumerate(examples_of(text), 1):
                with self.subTest(command=command, number=number):
                    self.assertRegex(example, rf"^ficus {command}( |$)", "an example of another command")
                    place = Place(self)
                    if command == "serve":
                        code, serving, said = place.serve(on_any_machine(example, place.path / "run"))
                        self.assertEqual(code, 0, f"{example}\n{said}")
                        self.assertTrue(serving, f"{example}\nended before it served\n{said}")
                        self.assertEqual("TLS 127.0.0.1:" in serving, "--tls-listen" in example, serving)
                    elif command in ASK_A_FACADE:
                        self.run_beside_a_facade(place, example)
                    else:
                        code, said = place.run(example)
                        self.assertEqual(code, exit_code_of(example), f"{example}\n{said}")

    def run_beside_a_facade(self, place, example):
        run_dir = place.path / "run"
        answers = []
        code, _, said = place.serve(
            f"ficus serve --policy p.yaml --listen 127.0.0.1:0 --admin 127.0.0.1:0 --control {run_dir}/control.sock",
            lambda: answers.append(place.run(at_the_tests_facade(example, run_dir))))
        self.assertEqual(code, 0, said)
        self.assertEqual(len(answers), 1, said)
        self.assertEqual(answers[0][0], 0, f"{example}\n{answers[0][1]}")

    def test_serve_shows_cleartext_tls_and_a_takeover(self):
        examples = "\n".join(examples_of(self.commands["serve"]))
        for flag in ("--listen", "--tls-listen", "--tls-cert", "--tls-key", "--tls-client", "--takeover", "--control"):
            self.assertRegex(examples, rf"{flag}[ =]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ficus", type=pathlib.Path, required=True)
    OPTIONS, rest = parser.parse_known_args()
    OPTIONS.ficus = OPTIONS.ficus.resolve()
    unittest.main(argv=[sys.argv[0], "-v", *rest])
