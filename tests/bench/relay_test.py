"""Unit tests of the relay benchmark: what it reads, what it refuses, and its arithmetic."""
import contextlib
import io
import os
import random
import socket
import tempfile
import unittest
from pathlib import Path
from statistics import median

import run_bench
import run_profile
from relay import cases, host, load, pairs, proxies, report, stats

H2LOAD_SUMMARY = """\
finished in {finished}, 579743.75 req/s, 74.64MB/s
requests: {total} total, {total} started, {total} done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: {ok} 2xx, 0 3xx, 0 4xx, {error} 5xx
traffic: 12.88MB (13500592) total, 195.45KB (200136) headers (space savings 94.73%), 10.01MB ({data}) data
                     min         max         mean         sd        +/- sd
time for request:       96us      1.57ms       239us        68us    98.62%
"""


def summary(finished="2.50s", total=100, succeeded=100, failed=0, ok=100, error=0, data=10500):
    return H2LOAD_SUMMARY.format(finished=finished, total=total, succeeded=succeeded, failed=failed, ok=ok, error=error, data=data)


class ParseH2loadTest(unittest.TestCase):
    def test_reads_the_time_in_any_unit(self):
        for text, seconds in (("2.50s", 2.5), ("172.49ms", 0.17249), ("980us", 0.00098), ("1.5m", 90.0)):
            with self.subTest(text):
                self.assertAlmostEqual(load.parse_h2load(summary(finished=text), 100, 105).seconds, seconds)

    def test_refuses_whatever_is_not_all_calls_answered_in_full(self):
        cases = {
            "a failed call": summary(succeeded=99, failed=1, ok=99),
            "an HTTP error": summary(ok=99, error=1),
            "fewer calls than asked for": summary(total=99, succeeded=99, ok=99),
            "an answer without its message": summary(data=10395),
            "more bytes than sent": summary(data=10605),
            "no summary": "could not connect to 127.0.0.1\n",
            "nothing": "",
        }
        for name, text in cases.items():
            with self.subTest(name), self.assertRaises(host.BenchError):
                load.parse_h2load(text, 100, 105)


class VerifyTest(unittest.TestCase):
    GOOD = ("[  0.000] recv (stream_id=13) :status: 200\n[  0.000] recv (stream_id=13) content-type: application/grpc\n"
            "[  0.000] recv (stream_id=13) grpc-status: 0\n")

    def test_accepts_a_grpc_answer_also_in_colours(self):
        self.assertIsNone(load.problem_in_answer(self.GOOD))
        coloured = self.GOOD.replace("recv (", "\x1b[1;36mrecv\x1b[0m (").replace("grpc-status", "\x1b[1;34mgrpc-status\x1b[0m")
        self.assertIsNone(load.problem_in_answer(coloured))

    def test_refuses_an_answer_that_http_calls_a_success_and_grpc_does_not(self):
        for name, text in {
            "grpc-status 14": self.GOOD.replace("grpc-status: 0", "grpc-status: 14"),
            "no trailers": self.GOOD.replace("[  0.000] recv (stream_id=13) grpc-status: 0\n", ""),
            "status 502": self.GOOD.replace(":status: 200", ":status: 502"),
            "another content-type": self.GOOD.replace("application/grpc", "text/html"),
            "grpc-status twice": self.GOOD + "[  0.000] recv (stream_id=13) grpc-status: 0\n",
            "no answer": "[ERROR] Could not connect to the address 127.0.0.1\n",
        }.items():
            with self.subTest(name):
                self.assertIsNotNone(load.problem_in_answer(text))


class MessageFileTest(unittest.TestCase):
    def test_request_is_one_grpc_frame_around_a_protobuf_of_exactly_that_size(self):
        with tempfile.TemporaryDirectory() as directory:
            for size in (2, 3, 100, 129, 130, 131, 10_000, 16_387):
                with self.subTest(size):
                    data = load.message_file(cases.Case("t", "calls", 1, 1, size), Path(directory)).read_bytes()
                    self.assertEqual(data[:5], b"\0" + size.to_bytes(4, "big"))
                    self.assertEqual(len(data), size + 5)
                    length, at, shift = 0, 6, 0
                    self.assertEqual(data[5], 0x0A)
                    while True:
                        length |= (data[at] & 0x7F) << shift
                        shift += 7
                        at += 1
                        if data[at - 1] < 0x80:
                            break
                    self.assertEqual(at + length, len(data))


class MedianIntervalTest(unittest.TestCase):
    def test_ranks_are_those_of_the_sign_test(self):
        for n, low, high, coverage in ((1, 1, 1, 0.0), (5, 1, 5, 0.9375), (6, 1, 6, 0.96875), (8, 1, 8, 0.9921875),
                                       (9, 2, 8, 0.9609375), (12, 3, 10, 0.9614), (15, 4, 12, 0.9648), (20, 6, 15, 0.9586)):
            with self.subTest(n):
                interval = stats.median_interval(list(range(n, 0, -1)))
                self.assertEqual((interval.low, interval.high), (low, high))
                self.assertAlmostEqual(interval.coverage, coverage, places=3)
                self.assertEqual(interval.middle, median(range(1, n + 1)))

    def test_covers_the_median_as_often_as_it_says_whatever_the_distribution(self):
        chance = random.Random(7)
        for name, draw, true_median in (("skewed", lambda: chance.expovariate(1.0), 0.6931), ("two humps", lambda: chance.choice((0, 9)) + chance.random(), 5.0)):
            with self.subTest(name):
                covered = 0
                for _ in range(2000):
                    interval = stats.median_interval([draw() for _ in range(9)])
                    covered += interval.low <= true_median <= interval.high
                self.assertGreater(covered / 2000, 0.94)

    def test_refuses_an_empty_sample(self):
        with self.assertRaises(ValueError):
            stats.median_interval([])


class ReportTest(unittest.TestCase):
    CASE = cases.Case("8x32", "calls", 8, 32, 100, {"nghttpx": 1.3})

    def summarize(self, subject_us, subject="ficus", peer="nghttpx"):
        def samples(values):
            return [pairs.Sample(1000, us, 0.5, 1e5, 0.7) for us in values]
        peer_us = [4.0, 5.0, 4.0]
        return report.summarize(self.CASE, {subject: samples(subject_us), peer: samples(peer_us)}, samples([0.5]), subject, [peer],
                                {subject: 2048, peer: 4096})

    def test_ratio_is_the_median_over_pairs_not_the_ratio_of_medians(self):
        ratio = self.summarize([4.0, 5.0, 9.0])["ratios"]["nghttpx"]  # 1, 1 and 2.25; of the medians, 5 and 4, it is 1.25
        self.assertEqual(ratio["median"], 1.0)

    def test_target_is_met_by_the_median(self):
        for subject_us, met in (([4.0, 9.0, 5.2], True), ([5.3, 9.0, 4.0], False)):  # 1, 1.8, 1.3; then the median is 1.325
            with self.subTest(met):
                summary = self.summarize(subject_us)
                self.assertEqual([target["met"] for target in summary["targets"]], [met])
                self.assertEqual("NOT MET" in report.format_verdict([summary]), not met)
                self.assertEqual(report.missed([summary]), not met)

    def test_target_is_of_ficus_against_the_peer_it_names(self):
        self.assertEqual(self.summarize([9.0] * 3, subject="haproxy")["targets"], [])
        self.assertEqual(self.summarize([9.0] * 3, peer="haproxy")["targets"], [])


class ArgumentsTest(unittest.TestCase):
    def parse(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()):
            return run_bench.parse_arguments(["--programs", "x", *arguments])

    def test_a_subject_that_is_its_own_peer_gets_a_second_process(self):
        self.assertEqual(self.parse("--subject", "nghttpx", "--peers", "nghttpx,haproxy").peers, ["nghttpx#2", "haproxy"])

    def test_refuses_what_cannot_be_measured(self):
        for arguments in (["--case", "9x9"], ["--idle", "0"], ["--peers", "envoy"], ["--peers", "nginx,nginx"], ["--pairs", "0"], ["--seconds", "0"],
                          ["--subject", "squid"]):
            with self.subTest(arguments), self.assertRaises(SystemExit) as raised:
                self.parse(*arguments)
            self.assertEqual(raised.exception.code, 2)


class CallgrindTest(unittest.TestCase):
    DUMP = ("events: Ir\nfn=(1) loop\ncfn=(2)\ncalls=0 12\n10 900\n11 5\nfn=(2) work\n20 95\ncfn=(3)\ncalls=7 30\n21 800\n"
            "\ntotals: 900\n")

    def written(self, text):
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "callgrind.out.1"
        file.write_text(text)
        return file

    def test_calls_under_way_when_counting_began_are_nobodys_own_work(self):
        dump = self.written(self.DUMP)
        run_profile.without_open_calls(dump)
        self.assertEqual(dump.read_text(), self.DUMP.replace("calls=0 12\n10 900\n", ""))

    def test_function_is_one_row_whatever_files_its_instructions_come_from(self):
        rows = run_profile.read_annotation(
            "10,000 (100.0%)  PROGRAM TOTALS\n"
            " 6,000 (60.00%)  /usr/include/c++/12/bits/stl_algobase.h:ficus::send(char const*, A::B)\n"
            " 3,000 (30.00%)  ???:nghttp2_session_mem_recv [/usr/lib/libnghttp2.so.14]\n"
            " 1,000 (10.00%)  /src/h2.cc:ficus::send(char const*, A::B) [/build/facade/ficus]\n"
            "     5 ( 0.05%)  ./malloc/arena.c:grow() [clone .isra.0]\n")
        self.assertEqual(rows, [(7000, "ficus::send(char const*, A::B)", "ficus"), (3000, "nghttp2_session_mem_recv", "libnghttp2.so.14"),
                                (5, "grow() [clone .isra.0]", "?")])

    def test_total_is_the_dumps_own_and_a_dump_without_is_refused(self):
        self.assertEqual(run_profile.total_instructions(self.written(self.DUMP)), 900)
        with self.assertRaisesRegex(host.BenchError, "no totals"):
            run_profile.total_instructions(self.written(self.DUMP.replace("totals", "cut")))


class AccountTest(unittest.TestCase):
    def test_calls_that_never_reached_the_upstream_or_were_refused_there_fail_the_measurement(self):
        proxies.check_account('{"calls":101,"connections":2,"refused":0}', 100)
        for name, line in {"too few": '{"calls":99,"connections":2,"refused":0}', "refused": '{"calls":101,"connections":2,"refused":1}',
                           "no account": "answer_upstream: closed a connection: x", "nothing": ""}.items():
            with self.subTest(name), self.assertRaises(host.BenchError):
                proxies.check_account(line, 100)


    def test_messages_of_streams_are_counted_as_messages(self):
        account = '{"calls":1,"messages":500,"connections":2,"refused":0}'
        proxies.check_account(account, 500, "message")
        with self.assertRaises(host.BenchError):
            proxies.check_account(account, 501, "message")


class HostTest(unittest.TestCase):
    def test_listener_on_the_mapped_address_of_ipv6_counts_as_one(self):
        with socket.socket(socket.AF_INET6) as listener:
            try:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                listener.bind(("::ffff:127.0.0.1", 0))
            except OSError as error:
                self.skipTest(f"no IPv6 here: {error}")
            listener.listen()
            self.assertTrue(host.owns_listener(os.getpid(), listener.getsockname()[1]))

    def test_memory_of_a_process_grows_with_what_it_writes_to(self):
        before = host.pss_kib(os.getpid())
        # Far more than what an earlier test may have left free in this process, to be used again without growth.
        kept = bytearray(b"x" * (64 << 20))
        self.assertGreater(host.pss_kib(os.getpid()) - before, 56 << 10)
        del kept

    def test_listener_is_owned_by_the_process_that_bound_it_and_nobody_else(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            self.assertFalse(host.owns_listener(os.getpid(), port), "bound, but not listening yet")
            listener.listen()
            self.assertTrue(host.owns_listener(os.getpid(), port))
            self.assertFalse(host.owns_listener(os.getppid(), port))

    def test_cpu_clock_of_a_process_counts_its_work(self):
        before = host.cpu_seconds(os.getpid())
        while host.cpu_seconds(os.getpid()) - before < 0.02:
            sum(range(1000))
        self.assertGreater(host.memory_kib(os.getpid(), "VmHWM"), 1000)

    def test_program_that_ends_at_once_is_reported_with_its_last_words(self):
        with tempfile.TemporaryDirectory() as directory:
            place = host.Place(min(os.sched_getaffinity(0)), Path(directory))
            with self.assertRaisesRegex(host.BenchError, "(?s)ended with 3 before.*last words"):
                host.start_with_port_file("broken", ["sh", "-c", "echo last words; exit 3"], place)

    def test_program_that_lies_about_its_port_is_refused_and_stopped(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            says = f'{{"listen": "127.0.0.1:{other.getsockname()[1]}"}}'
            script = f"echo $$ > {directory}/pid; echo '{says}' > {directory}/new; mv {directory}/new \"$2\"; exec sleep 60"
            liar = ["sh", "-c", script, "sh"]  # called with --port-file FILE, so that $2 is FILE
            with self.assertRaisesRegex(host.BenchError, "not its own"):
                host.start_with_port_file("liar", liar, host.Place(min(os.sched_getaffinity(0)), Path(directory)))
            with open(f"{directory}/pid", encoding="ascii") as file, self.assertRaises(ProcessLookupError):
                os.kill(int(file.read()), 0)

    def test_missing_peer_is_named_with_its_package(self):
        original = proxies._path
        proxies._path = lambda: "/nonexistent"
        try:
            with self.assertRaisesRegex(host.BenchError, "nghttp2-proxy"):
                proxies.check_installed("nghttpx")
        finally:
            proxies._path = original


if __name__ == "__main__":
    unittest.main()
