#!/usr/bin/python3
"""fault_causes: an error without exactly one cause is never explained away."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fault_causes import Cause, account  # noqa: E402

DOWN = Cause("down", ("reads",), "UNAVAILABLE", "side-new: connection (closed|refused)", 10, 20)


def error(code="14", message="side-new: connection refused", began=11.0, ended=12.0):
    return {"code": code, "message": message, "began": began, "ended": ended}


def problems(error_, cause=DOWN, lane="reads"):
    return account({lane: {"errors": [error_]}}, [cause], 0)[1]


class FaultCausesTest(unittest.TestCase):
    def test_an_error_with_a_cause_is_counted_under_it(self):
        rows, wrong = account({"reads": {"errors": [error(), error(ended=13)]}}, [DOWN], 10)
        self.assertEqual(wrong, [])
        self.assertEqual([(row["cause"], row["count"], row["first"], row["last"]) for row in rows], [("down", 2, 2, 3)])

    def test_messages_are_read_as_grpc_encodes_them(self):
        self.assertEqual(problems(error(message="side-new%3A connection%20closed")), [])

    def test_whatever_does_not_fit_is_a_problem(self):
        for name, wrong in {
                "too early": error(ended=9.9), "too late": error(ended=20.1), "another code": error(code="4"),
                "a code of the client's own": error(code="CONNECTION_LOST"),
                "another side": error(message="side-legacy: connection refused"),
                "more than the message": error(message="side-new: connection refused twice")}.items():
            with self.subTest(name):
                self.assertEqual(len(problems(wrong)), 1)
        self.assertIn("no cause", problems(error(), lane="writes")[0])

    def test_an_error_with_two_causes_has_none(self):
        also = Cause("also", ("reads",), "UNAVAILABLE", ".*", 0, 99)
        self.assertIn("down and also", account({"reads": {"errors": [error()]}}, [DOWN, also], 0)[1][0])

    def test_a_cause_explains_so_many_and_so_early_calls_only(self):
        in_flight = Cause("in flight", ("reads",), "UNAVAILABLE", ".*", 10, 20, most=1, began_by=11)
        lanes = {"reads": {"errors": [error(), error()]}}
        self.assertIn("which explains 1", account(lanes, [in_flight], 0)[1][0])
        self.assertEqual(len(problems(error(began=11.5), in_flight)), 1)

    def test_a_cause_of_old_calls_explains_no_younger_one(self):
        over = Cause("over", ("reads",), "UNAVAILABLE", ".*", 10, 20, aged=1)
        self.assertEqual(problems(error(began=11.0, ended=12.0), over), [])
        self.assertEqual(len(problems(error(began=11.1, ended=12.0), over)), 1)

    def test_a_fault_that_nobody_saw_is_a_problem(self):
        seen = Cause("seen", ("reads",), "UNAVAILABLE", ".*", 10, 20, least=1)
        self.assertIn("the fault was none", account({"reads": {"errors": []}}, [seen], 0)[1][0])


if __name__ == "__main__":
    unittest.main()
