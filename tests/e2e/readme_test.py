#!/usr/bin/python3
"""Runs the commands of README.md, so that they stay true; and sees that the files it names are there.

    readme_test.py --build-dir DIR [--readme FILE] [--whole-demo]

Every ```sh block is run from the repository's root by `bash -euo pipefail`, as one script, and must end with 0. An HTML
comment on the line above a block (readers do not see it) says what else holds:

    <!-- readme: build -->       the commands use binaries: build/release/ stands for the tree under test, --build-dir
    <!-- readme: needs=demo -->  ./deploy/demo.sh builds `release` first, which takes minutes. Here what it does after
                                 building is run, on the tree under test and a small book; --whole-demo runs the
                                 script itself
    <!-- readme: exit=N -->      the block ends with N
    <!-- readme: skip -->        not run. For ./tests/run.sh alone: it would run this very test

Words may be combined: <!-- readme: build exit=1 -->. An unknown word is an error, and so is a block in another shell
language (bash, console) or a marker without a block: a command that is not run by a typo is worse than none.
"""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK_LIMIT_SECONDS = 50
NOT_RUN = re.compile(r"\./tests/run\.sh\b[^\n;&|]*")     # the one command that a block may be skipped for
DEMO = "./deploy/demo.sh"
SHELL_FENCES = {"bash", "shell", "console", "zsh", "shell-session"}
MARKER = re.compile(r"^<!--\s*readme:\s*(.*?)\s*-->$")
# Names in `...` that begin with one of our folders are files, and must be there.
NAMED_FILE = re.compile(r"`((?:\./)?(?:cmake|deploy|facade|policies|proto|routing|tests)/[\w./*-]*)[^`]*`")
OPTIONS = None


class Block:
    def __init__(self, line, commands, words):
        self.line, self.commands, self.words = line, commands, words
        self.exit = 0
        self.skip = self.build = self.demo = False
        for word in words:
            if word == "skip":
                self.skip = True
            elif word == "build":
                self.build = True
            elif word == "needs=demo":
                self.demo = True
            elif re.fullmatch(r"exit=\d+", word):
                self.exit = int(word[5:])
            else:
                raise ValueError(f"line {line}: unknown word {word!r} in a readme marker")
        stripped = [re.sub(r"\s+#.*", "", command).strip() for command in commands if command.strip()]
        if not stripped:
            raise ValueError(f"line {line}: an empty block")
        if self.skip and not all(NOT_RUN.fullmatch(command) for command in stripped):
            raise ValueError(f"line {line}: only ./tests/run.sh may be skipped, not {stripped}")
        if not self.skip and any(NOT_RUN.match(command) for command in stripped):
            raise ValueError(f"line {line}: ./tests/run.sh would run this test again; mark the block `skip`")
        if self.demo != any(command.startswith(DEMO) for command in stripped):
            raise ValueError(f"line {line}: `needs=demo` belongs to blocks with {DEMO}, and to no others")

    def script(self, build_dir, whole_demo):
        text = "\n".join(self.commands)
        if self.build:
            text = text.replace("build/release/", shlex.quote(str(build_dir)) + "/")
        if self.demo and not whole_demo:
            runner = f"/usr/bin/python3 -B deploy/demo/run_demo.py --build-dir {shlex.quote(str(build_dir))} --policies 1000 --quiet"
            text = text.replace(DEMO, runner)
        return text


def blocks_of(text):
    blocks, words, marked_at, fence = [], [], 0, None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.rstrip() == "```":
                if fence == "sh":
                    blocks.append(Block(number - len(lines) - 1, lines, words))
                elif words:
                    raise ValueError(f"line {marked_at}: a readme marker above a block that is not sh")
                fence, words, marked_at = None, [], 0
            else:
                lines.append(line)
            continue
        marker = MARKER.match(line)
        if marker:
            words, marked_at = marker.group(1).split(), number
        elif line.startswith("```"):
            fence, lines = line[3:].strip(), []
            if fence in SHELL_FENCES:
                raise ValueError(f"line {number}: write ```sh, so that the block is run")
        elif marked_at and line.strip():
            raise ValueError(f"line {marked_at}: a readme marker without a block below it")
    if fence is not None:
        raise ValueError("an unclosed block at the end")
    return blocks


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "no_proxy": "127.0.0.1,localhost,::1", "PATH": "/usr/bin:/bin:" + kept.get("PATH", "")}


class MarkerTest(unittest.TestCase):
    """The reader of blocks itself: what it takes and what it refuses."""

    def test_a_block_knows_its_line_and_words(self):
        (block,) = blocks_of("text\n\n<!-- readme: build exit=2 -->\n```sh\necho a \\\n  b\n```\n")
        self.assertEqual((block.line, block.exit, block.build, block.skip), (4, 2, True, False))
        self.assertEqual(block.script("/tree", False), "echo a \\\n  b")

    def test_binaries_are_those_of_the_tree_under_test(self):
        (block,) = blocks_of("<!-- readme: build -->\n```sh\nbuild/release/facade/ficus check x\n```\n")
        self.assertEqual(block.script("/a tree", False), "'/a tree'/facade/ficus check x")

    def test_the_demo_runs_on_the_tree_unless_whole(self):
        (block,) = blocks_of("<!-- readme: needs=demo -->\n```sh\n./deploy/demo.sh   # plays\n```\n")
        self.assertIn("run_demo.py --build-dir /tree", block.script("/tree", False))
        self.assertEqual(block.script("/tree", True), "./deploy/demo.sh   # plays")

    def test_mistakes_are_errors(self):
        for name, text, want in [
            ("an unknown word", "<!-- readme: skpi -->\n```sh\ntrue\n```\n", "unknown word"),
            ("skipping another command", "<!-- readme: skip -->\n```sh\n./deploy/demo.sh\n```\n", "only ./tests/run.sh"),
            ("skipping a second command", "<!-- readme: skip -->\n```sh\n./tests/run.sh\nfalse\n```\n", "only ./tests/run.sh"),
            ("skipping one behind it", "<!-- readme: skip -->\n```sh\n./tests/run.sh && false\n```\n", "only ./tests/run.sh"),
            ("run.sh unmarked", "```sh\n./tests/run.sh\n```\n", "mark the block"),
            ("the demo unmarked", "```sh\n./deploy/demo.sh\n```\n", "needs=demo"),
            ("needs=demo elsewhere", "<!-- readme: needs=demo -->\n```sh\ntrue\n```\n", "needs=demo"),
            ("another shell language", "```bash\ntrue\n```\n", "write ```sh"),
            ("a marker without a block", "<!-- readme: build -->\nText.\n", "without a block"),
            ("a marker above a picture", "<!-- readme: build -->\n```\n->\n```\n", "not sh"),
            ("an unclosed block", "```sh\ntrue\n", "unclosed"),
            ("an empty block", "```sh\n```\n", "empty"),
        ]:
            with self.subTest(name):
                with self.assertRaisesRegex(ValueError, re.escape(want)):
                    blocks_of(text)


class ReadmeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = OPTIONS.readme.read_text(encoding="utf-8")
        cls.blocks = blocks_of(cls.text)

    def test_every_command_ends_as_it_says(self):
        self.assertTrue([block for block in self.blocks if not block.skip], "README has no command to run")
        for block in self.blocks:
            if block.skip:
                continue
            with self.subTest(line=block.line):
                limit = None if OPTIONS.whole_demo and block.demo else BLOCK_LIMIT_SECONDS
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.script(OPTIONS.build_dir, OPTIONS.whole_demo)],
                                      cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit, check=False)
                self.assertEqual(done.returncode, block.exit, f"{OPTIONS.readme.name}:{block.line}\n{done.stdout[-4000:]}")

    def test_the_two_commands_are_there_and_can_be_started(self):
        for command in (DEMO, "./tests/run.sh"):
            self.assertTrue(any(line.startswith(command) for block in self.blocks for line in block.commands), f"README does not say {command}")
            self.assertTrue(os.access(ROOT / command, os.X_OK), f"{command} is not executable")
            subprocess.run([ROOT / command, "--help"], check=True, stdout=subprocess.DEVNULL, timeout=10)

    def test_every_file_it_names_is_there(self):
        names = sorted(set(NAMED_FILE.findall(self.text)))
        self.assertTrue(names)
        for name in names:
            with self.subTest(name):
                self.assertTrue(list(ROOT.glob(name.removeprefix("./").rstrip("/"))), f"README names {name}, which is not there")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, required=True)
    parser.add_argument("--readme", type=pathlib.Path, default=ROOT / "README.md")
    parser.add_argument("--whole-demo", action="store_true")
    OPTIONS, rest = parser.parse_known_args()
    OPTIONS.build_dir = OPTIONS.build_dir.resolve()
    unittest.main(argv=[sys.argv[0], "-v", *rest])
