// Under pressure no new shadows are begun, until it has been gone for a second; clients notice nothing of it.
#include <csignal>

#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

using Clock = std::chrono::steady_clock;

class ShadowPressureTest : public ShadowTest {
 protected:
  void start_with_lag(const std::string& max_lag) {
    TwoSided shadowed = parts();
    shadowed.rules = shady("percent: 100");
    FicusOptions with = options();
    with.shadow_max_lag = max_lag;
    start(shadowed, with);
  }
  double waited() const { return metric("ficus_not_shadowed_total", {{"reason", "pressure"}}); }
  // Makes the facade's event loops late by at least `lag`.
  void hold_up(std::chrono::milliseconds lag) const {
    ficus_->signal(SIGSTOP);
    const auto stopped = Clock::now();
    EXPECT_TRUE(wait_until([&] { return Clock::now() - stopped > lag; }));
    ficus_->signal(SIGCONT);
  }
};

TEST_F(ShadowPressureTest, ALateLoopHoldsShadowsBackAndOneInTimeLetsThemBeginAgain) {
  // Far more than what other tests on the machine make a loop late by, and less than what hold_up() does.
  start_with_lag("300ms");
  ASSERT_NO_FATAL_FAILURE(expect_read());
  EXPECT_TRUE(wait_until([&] { return begun() == 1; })) << shadow_metrics();
  EXPECT_EQ(waited(), 0) << shadow_metrics();
  // The second of calm may pass between the stop and the read on a machine that is itself held up: then once more.
  EXPECT_TRUE(wait_until([&] {
    expect_read();
    hold_up(std::chrono::milliseconds(400));
    expect_read();
    return waited() >= 1 || HasFailure();
  })) << shadow_metrics();
  EXPECT_GE(metric("ficus_limit_hits_total", {{"limit", "event_loop_lag"}}), 1) << shadow_metrics();
  EXPECT_TRUE(ficus_->wait_log("shadows_wait"));
  const double before = begun();
  EXPECT_TRUE(wait_until([&] {
    expect_read();
    return begun() > before || HasFailure();
  })) << shadow_metrics();
}

TEST_F(ShadowPressureTest, LagIsNotJudgedWhenToldSo) {
  start_with_lag("0");
  ASSERT_NO_FATAL_FAILURE(expect_read());
  hold_up(std::chrono::milliseconds(400));
  ASSERT_NO_FATAL_FAILURE(expect_read());
  EXPECT_TRUE(wait_until([&] { return begun() == 2; })) << shadow_metrics();
  EXPECT_EQ(waited(), 0) << shadow_metrics();
}

}  // namespace
}  // namespace ficus::e2e
