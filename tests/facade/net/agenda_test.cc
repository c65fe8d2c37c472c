#include "facade/net/agenda.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = Keepalive::Verdict;

const Agenda::TimePoint kStart{std::chrono::hours(1)};

TEST(AgendaTest, TheEarliestThatIsNotDueIsNext) {
  Agenda agenda(kStart);
  EXPECT_EQ(agenda.next(), Agenda::TimePoint::max());
  EXPECT_FALSE(agenda.due(kStart + seconds(5)));
  EXPECT_FALSE(agenda.due(kStart + seconds(2)));
  EXPECT_TRUE(agenda.due(kStart));
  EXPECT_TRUE(agenda.due(kStart - seconds(1)));
  EXPECT_EQ(agenda.next(), kStart + seconds(2));
}

class KeepaliveTest : public ::testing::Test {
 protected:
  Verdict look(Agenda::TimePoint now, bool wanted = true) {
    Agenda agenda(now);
    const Verdict verdict = keepalive_.look(agenda, seconds(10), seconds(2), wanted);
    next_ = agenda.next();
    return verdict;
  }
  Keepalive keepalive_{kStart};
  Agenda::TimePoint next_;
};

TEST_F(KeepaliveTest, ASilenceIsAskedAboutOnceAndThenDeath) {
  EXPECT_EQ(look(kStart), Verdict::kFine);
  EXPECT_EQ(next_, kStart + seconds(10));
  EXPECT_EQ(look(kStart + seconds(10)), Verdict::kPing);
  EXPECT_EQ(next_, kStart + seconds(12));
  EXPECT_EQ(look(kStart + seconds(11)), Verdict::kFine);
  EXPECT_EQ(look(kStart + seconds(12)), Verdict::kDead);
}

TEST_F(KeepaliveTest, WhateverIsHeardPutsItOff) {
  keepalive_.heard(kStart + seconds(4));
  EXPECT_EQ(look(kStart + seconds(10)), Verdict::kFine);
  EXPECT_EQ(next_, kStart + seconds(14));
  EXPECT_EQ(look(kStart + seconds(14)), Verdict::kPing);
  keepalive_.heard(kStart + seconds(15));
  EXPECT_EQ(look(kStart + seconds(16)), Verdict::kFine);
  EXPECT_EQ(next_, kStart + seconds(25));
}

TEST_F(KeepaliveTest, WhileItIsNotWantedASilenceIsNoFault) {
  EXPECT_EQ(look(kStart + seconds(50), false), Verdict::kFine);
  EXPECT_EQ(next_, kStart + seconds(60));
  EXPECT_EQ(look(kStart + seconds(60)), Verdict::kPing) << "then it is asked about at once";
}

TEST_F(KeepaliveTest, WithoutAnIntervalNothingIsEverDue) {
  Agenda agenda(kStart + seconds(1000));
  EXPECT_EQ(keepalive_.look(agenda, milliseconds(0), seconds(2), true), Verdict::kFine);
  EXPECT_EQ(agenda.next(), Agenda::TimePoint::max());
}

}  // namespace
}  // namespace ficus
