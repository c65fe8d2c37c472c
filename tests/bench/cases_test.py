"""Unit tests of the bench's judging: what each case takes for a measurement, a target met, missed or unmeasured."""
import io
import json
import contextlib
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import run_bench
import run_instructions
from relay import cases, host, load, metrics, paced, pairs, proxies, report


class CasesTest(unittest.TestCase):
    def test_bounds_are_those_that_were_set(self):
        wanted = {"8x32": {"nghttpx": 0.85, "generic": 0.25}, "8x1": {"nghttpx": 1.0}, "8x16-10k": {"nghttpx": 0.85}, "tls": {"nghttpx": 0.9},
                  "streams": {"nghttpx": 0.9}, "streams-1k": {"nghttpx": 0.9}, "shadow": {"unshadowed": 2.0},
                  "workers": {"1 worker": 1.1}, "memory": {"nghttpx": 1.0}}
        self.assertEqual({case.name: case.targets for case in cases.CASES}, wanted)
        self.assertEqual(cases.OWN_P99_AT_MOST_US, 100)

    def test_every_case_has_someone_to_measure_it(self):
        for case in cases.CASES:
            with self.subTest(case.name):
                self.assertIn(case.kind, run_bench.RUN)
                self.assertTrue(case.title)
                self.assertLessEqual(set(case.peers), set(proxies.STARTERS))


class ExitCodeTest(unittest.TestCase):
    @staticmethod
    def summaries(*mets):
        return [{"targets": [{"met": met, "what": "x", "at_most": 1, "unit": "x y", "measured": 1.0, "why": "because"} for met in mets]}]

    def test_missed_beats_unmeasured_and_unmeasured_is_no_pass(self):
        for mets, code in (((True, True), 0), ((True, False), 1), ((None, False), 1), ((True, None), 5), ((), 0)):
            with self.subTest(mets):
                self.assertEqual(run_bench.exit_code(self.summaries(*mets), quick=False), code)
                self.assertEqual(run_bench.exit_code(self.summaries(*mets), quick=True), 0)

    def test_unmeasured_target_is_said_with_its_reason(self):
        self.assertRegex(report.format_verdict(self.summaries(None)), "NOT MEASURED, because$")

    def test_case_that_the_build_cannot_do_leaves_each_of_its_targets_unmeasured(self):
        run_bench.RUN["calls"], before = self.cannot, run_bench.RUN["calls"]
        try:
            summary = run_bench.run_case(cases.BY_NAME["tls"], None)
        finally:
            run_bench.RUN["calls"] = before
        self.assertEqual([target["met"] for target in summary["targets"]], [None])
        self.assertIn("no such flag", report.format_case(summary, "ficus"))
        self.assertEqual(run_bench.exit_code([summary], quick=False), 5)

    @staticmethod
    def cannot(case, run):
        raise proxies.NotAvailable("not available in this build: no such flag")

    def test_flag_is_sought_in_what_serve_says_of_itself(self):
        with tempfile.TemporaryDirectory() as directory:
            ficus = Path(directory) / "ficus"
            ficus.write_text("#!/bin/sh\necho '  --tls-listen TEXT'\n")
            ficus.chmod(0o755)
            programs = SimpleNamespace(ficus=ficus)
            self.assertTrue(proxies.serve_knows(programs, "--tls-listen"))
            self.assertFalse(proxies.serve_knows(programs, "--other"))


class ClientTest(unittest.TestCase):
    def test_only_a_client_that_ended_well_is_believed(self):
        self.assertEqual(load.parse_client(0, 'connected\n{"calls":3}\n', ""), {"calls": 3})
        for name, status, text in (("failed", 1, '{"calls":3}'), ("no account", 0, "connected"), ("silent", 0, "")):
            with self.subTest(name), self.assertRaisesRegex(host.BenchError, "it said why|ended with"):
                load.parse_client(status, text, "it said why")

    def test_load_that_fell_behind_its_rate_or_lost_calls_is_refused(self):
        said = {"calls": 1000, "messages": 1000, "seconds": 1.0}
        load.check_pace(said, 1000, 1000)
        load.check_pace({**said, "seconds": 9.0}, 1000, 0)
        for name, wrong in (("slow", {**said, "seconds": 1.1}), ("calls", {**said, "calls": 999}), ("messages", {**said, "messages": 999})):
            with self.subTest(name), self.assertRaises(host.BenchError):
                load.check_pace(wrong, 1000, 1000)

    def test_slower_proxies_make_fewer_calls_and_near_equals_the_same(self):
        counts = pairs.calls_a_sample({"a": 1000.0, "b": 600.0, "c": 100.0, "d": 1.0}, 2.0, 50)
        self.assertEqual(counts, {"a": 2000, "b": 2000, "c": 200, "d": 50})


class MetricsTest(unittest.TestCase):
    TEXT = ("# HELP own_seconds x\n# TYPE own_seconds histogram\n"
            'own_seconds_bucket{direction="request",worker="0",le="0.0001"} 90\n'
            'own_seconds_bucket{worker="0",direction="request",le="0.0002"} 100\n'
            'own_seconds_bucket{direction="request",worker="0",le="+Inf"} 100\n'
            'own_seconds_bucket{direction="answer",worker="0",le="+Inf"} 7\n'
            'odd{text="a\\"b,c=\\"d",more="}"} 1.5e3 1700000000\nplain 4\n')

    def test_reads_names_labels_and_numbers_as_the_format_writes_them(self):
        samples = metrics.parse(self.TEXT)
        self.assertEqual(samples[("plain", ())], 4)
        self.assertEqual(samples[("odd", (("more", "}"), ("text", 'a"b,c="d')))], 1500)
        self.assertEqual(metrics.total(samples, "own_seconds_bucket", direction="answer"), 7)
        self.assertIsNone(metrics.total(samples, "absent"))

    def test_quantile_lies_within_its_bucket(self):
        counts = metrics.buckets(metrics.parse(self.TEXT), "own_seconds", direction="request")
        value, low, high = metrics.quantile(counts, 0.95)
        self.assertEqual((low, high), (0.0001, 0.0002))
        self.assertAlmostEqual(value, 0.00015)
        self.assertAlmostEqual(metrics.quantile(counts, 0.45)[0], 0.00005)

    def test_there_is_no_quantile_of_nothing_nor_beyond_the_last_bound(self):
        self.assertIsNone(metrics.quantile({}, 0.99))
        self.assertIsNone(metrics.quantile({0.1: 0, float("inf"): 0}, 0.99))
        self.assertIsNone(metrics.quantile({0.1: 1, float("inf"): 100}, 0.99))

    def test_what_came_before_the_measurement_is_taken_off(self):
        self.assertEqual(metrics.since({1.0: 5, 2.0: 9}, {1.0: 6, 2.0: 19}), {1.0: 1, 2.0: 10})


def own_seconds(direction, counts):
    return {("ficus_own_seconds_bucket", (("direction", direction), ("le", bound))): count for bound, count in counts.items()}


class ShadowTest(unittest.TestCase):
    FAST = {"0.00005": 100.0, "0.0001": 100.0, "0.001": 100.0, "+Inf": 100.0}

    def targets(self, shadowed):
        plain = own_seconds("request", self.FAST) | own_seconds("answer", self.FAST)
        nothing = {"shadowed": {}, "unshadowed": {}}
        return paced.own_time_targets(nothing, {"shadowed": shadowed, "unshadowed": plain})

    def test_added_time_is_judged_each_way(self):
        slow = {"0.00005": 0.0, "0.0001": 0.0, "0.001": 100.0, "+Inf": 100.0}
        request, answer = self.targets(own_seconds("request", self.FAST) | own_seconds("answer", slow))
        self.assertTrue(request["met"])
        self.assertEqual(request["measured"], 0)
        self.assertFalse(answer["met"])
        self.assertGreater(answer["measured"], 900)

    def test_without_the_histogram_or_with_too_long_times_nothing_is_judged(self):
        for name, shadowed, why in (("absent", {}, "not available in this build"),
                                    ("beyond", own_seconds("request", {"0.1": 0.0, "+Inf": 9.0}) | own_seconds("answer", self.FAST), "last bucket")):
            with self.subTest(name):
                target = self.targets(shadowed)[0]
                self.assertIsNone(target["met"])
                self.assertIn(why, target["why"])

    def test_only_equal_answers_count_as_shadowed(self):
        def verdicts(match, abandoned):
            return {("ficus_shadow_verdicts_total", (("reason", ""), ("verdict", "match"))): match,
                    ("ficus_shadow_verdicts_total", (("reason", "x"), ("verdict", "abandoned"))): abandoned}
        self.assertEqual(paced.compared_share(verdicts(10.0, 0.0), verdicts(60.0, 50.0), 100), 0.5)
        self.assertEqual(paced.compared_share({}, {}, 100), 0)


class MemoryReportTest(unittest.TestCase):
    def test_each_figure_is_a_target_of_its_own(self):
        summary = report.summarize_memory(cases.BY_NAME["memory"], {
            "idle connection": {"ficus": [30, 10, 20], "nghttpx": [20, 20, 20]},
            "call in flight": {"ficus": [21, 21, 99], "nghttpx": [20, 20, 20]}}, {"idle connection": 10, "call in flight": 5}, "ficus", ["nghttpx"])
        self.assertEqual([target["met"] for target in summary["targets"]], [True, False])
        text = report.format_case(summary, "ficus")
        self.assertIn("(10 held)", text)
        self.assertIn("per call in flight, ficus / nghttpx: 1.050", text)


class InstructionsTest(unittest.TestCase):
    REFERENCE = {"versions": {"compiler": "g++ 1", "valgrind": "valgrind-1"}, "cases": {"a": 1000}}

    def test_three_percent_more_pass_and_any_more_do_not(self):
        for count, good in ((1000, True), (1030, True), (1031, False), (900, True)):
            with self.subTest(count):
                self.assertEqual(run_instructions.judge({"a": [count]}, self.REFERENCE)[1], good)

    def test_median_is_judged(self):
        self.assertTrue(run_instructions.judge({"a": [9000, 1000, 1001]}, self.REFERENCE)[1])

    def test_case_without_reference_fails(self):
        lines, good = run_instructions.judge({"b": [1]}, self.REFERENCE)
        self.assertFalse(good)
        self.assertIn("NOT GUARDED", lines[0])

    def test_gain_that_nobody_guards_is_said(self):
        self.assertIn("--update", "\n".join(run_instructions.judge({"a": [900]}, self.REFERENCE)[0]))
        self.assertNotIn("--update", "\n".join(run_instructions.judge({"a": [980]}, self.REFERENCE)[0]))

    def test_other_versions_are_said_and_judged_all_the_same(self):
        lines = run_instructions.differing_versions({"compiler": "g++ 2", "valgrind": "valgrind-1"}, self.REFERENCE)
        self.assertEqual(len(lines), 1)
        self.assertIn("g++ 2", lines[0])

    def test_committed_reference_covers_every_case(self):
        reference = json.loads(run_instructions.REFERENCE.read_text())
        self.assertEqual(set(reference["cases"]), {case.name for case in run_instructions.CASES})
        self.assertEqual(set(reference["versions"]), {"compiler", "valgrind", "libc"})

    def test_batch_fits_into_one_segment_of_the_loopback(self):
        for case in run_instructions.CASES:
            with self.subTest(case.name):
                self.assertLess(case.in_flight * (case.message_bytes + 400), 65_000)

    def test_part_of_the_committed_reference_cannot_be_updated_alone(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as raised:
            run_instructions.parse_arguments(["--programs", "x", "--update", "--case", "1-in-flight"])
        self.assertEqual(raised.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
