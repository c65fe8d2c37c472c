// Shadowed reads of the tenant "shady" (legacy answers, new is the shadow) with a mismatch log.
#pragma once

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "ficus/trace/v1/mismatch_trace.pb.h"
#include "tests/e2e/two_sided_fixture.h"

namespace ficus::e2e {

namespace trace = ::ficus::trace::v1;

class ShadowTest : public TwoSidedTest {
 protected:
  // The rule of shady with these shadow settings: "percent: 100, deadline: 300ms".
  static std::string shady(const std::string& shadow, const std::string& stage = "stage: shadow") {
    return "  - {name: inquiry-shady, capability: inquiry, tenants: [shady], " + stage + ", reads: {shadow: {" +
           shadow + "}}}\n";
  }
  void start_shadowing(const std::string& shadow = "percent: 100", const std::string& inquiry_extra = {},
                       const std::string& new_address = {}) {
    TwoSided shadowed = parts();
    shadowed.rules = shady(shadow);
    shadowed.inquiry_extra += inquiry_extra;
    if (!new_address.empty()) shadowed.new_ = new_address;
    start(shadowed, options());
  }
  FicusOptions options() const {
    return {.flags = {"--mismatch-log", out_.path("mismatches.jsonl"), "--redact-key", out_.path("redact.key")}};
  }
  // A read of shady that must succeed with legacy's answer.
  void expect_read(const std::string& number = "P-1", Metadata metadata = {}) {
    const UnaryReply reply = get("shady", number, std::move(metadata));
    ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
    ASSERT_EQ(reply.messages.size(), 1u);
  }
  std::string mismatch_log() const { return read_file(out_.path("mismatches.jsonl")); }
  // The traces so far; a line that is not a MismatchTrace in protobuf's JSON mapping fails the test.
  std::vector<trace::MismatchTrace> traces() const {
    std::vector<trace::MismatchTrace> found;
    std::istringstream lines(mismatch_log());
    for (std::string line; std::getline(lines, line);) {
      trace::MismatchTrace one;
      const auto parsed = google::protobuf::util::JsonStringToMessage(line, &one);
      EXPECT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << line;
      found.push_back(one);
    }
    return found;
  }
  bool wait_traces(std::size_t count) const {
    return wait_until([&] {
      const std::string log = mismatch_log();
      return static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n')) >= count;
    });
  }
  bool wait_verdict(const std::string& verdict, double count = 1) const {
    return ficus_->wait_metric("ficus_shadow_verdicts_total", {{"verdict", verdict}}, count);
  }
  bool wait_abandoned(const std::string& reason, double count = 1) const {
    return ficus_->wait_metric("ficus_shadow_verdicts_total", {{"verdict", "abandoned"}, {"reason", reason}}, count);
  }
  std::string shadow_metrics() const {
    const MetricsSnapshot all = ficus_->metrics();
    return all.print("ficus_shadow") + all.print("ficus_not_shadowed") + all.print("ficus_limit");
  }

  const TempDir out_;
};

}  // namespace ficus::e2e
