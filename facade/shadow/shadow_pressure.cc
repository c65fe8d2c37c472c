#include "facade/shadow/shadow_pressure.h"

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/worker.h"

namespace ficus {
namespace {

// Twice the longest lag that is accepted by default: an overloaded loop is seen within a few turns, and an idle one is
// hardly woken.
constexpr std::chrono::milliseconds kProbeInterval{10};
constexpr std::chrono::seconds kWatch{1};

}  // namespace

ShadowPressure::ShadowPressure(Worker& worker, std::chrono::milliseconds max_lag) : worker_(worker), rule_(max_lag) {}

void ShadowPressure::watch() {
  const auto now = worker_.now();
  watch_until_ = now + kWatch;
  if (armed()) return;
  // Timers count from when they are armed, not from when this turn's bytes were read: the turn's own length is no lag
  // of the probe's.
  due_ = std::chrono::steady_clock::now() + kProbeInterval;
  worker_.timers().arm(*this, due_);
}

void ShadowPressure::on_over_budget() {
  worker_.metrics().counter(families::kLimits, {"shadow_bytes"}).add();
  rule_.press(worker_.now());
}

bool ShadowPressure::holds() const noexcept { return rule_.holds(worker_.now()); }

void ShadowPressure::on_timer() {
  const auto now = worker_.touch_clock();
  const auto lag = now - due_;
  const bool held = rule_.holds(now);
  if (rule_.on_lag(lag, now)) {
    worker_.metrics().counter(families::kLimits, {"event_loop_lag"}).add();
    if (!held) {
      log_event(LogLevel::kWarn, "shadows_wait",
                "the event loop ran late; no new shadows until it has kept time for a second",
                {{"worker", std::to_string(worker_.index())},
                 {"lag_ms", std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(lag).count())}});
    }
  }
  if (now >= watch_until_) return;
  due_ = now + kProbeInterval;
  worker_.timers().arm(*this, due_);
}

}  // namespace ficus
