#include "tests/facade/compare/differ_laws.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include "facade/compare/canonical.h"
#include "facade/compare/message_diff.h"
#include "facade/compare/response_diff.h"

namespace ficus::test {
namespace {

using google::protobuf::Message;

const std::function<WorkBudget::Clock::time_point()> kStill = [] { return WorkBudget::Clock::time_point{}; };

CompareLimits wide_limits() {
  CompareLimits limits;
  limits.differences = 1'000'000;
  return limits;
}

// Everything that one comparison needs.
class Bench {
 public:
  Bench(const DifferCase& c, CompareSpec spec) : spec_(std::move(spec)), store_(*c.store) {}

  Findings diff(const Message& legacy, const Message& fresh) {
    Findings found;
    MessageDiff(context_, found).compare(legacy, fresh, 0);
    return found;
  }
  std::string canonical(const Message& message) {
    PathCursor cursor;
    return Canonicalizer(context_, cursor, Canonicalizer::Rules::kApply).message(message);
  }
  // What ran out; empty: nothing.
  std::string stopped() const { return std::string(budget_.reason()); }
  const PathRules& rules() const { return rules_; }

 private:
  CompareSpec spec_;
  PathRules rules_{spec_};
  const DescriptorStore& store_;
  CompareLimits limits_ = wide_limits();
  WorkBudget budget_{1'000'000'000, std::chrono::milliseconds(1000), kStill};
  DiffContext context_{rules_, store_, limits_, budget_};
};

CompareSpec without_rules(const DifferCase& c) {
  CompareSpec spec = c.rules;
  spec.ignore.clear();
  spec.unordered.clear();
  return spec;
}

// One within the other, or the same.
bool related(const FieldPath& a, const FieldPath& b) {
  const auto shorter = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return std::equal(a.begin(), a.begin() + shorter, b.begin());
}

// The path up to the outermost list that is unordered: entries may be paired otherwise there.
FieldPath up_to_unordered(const FieldPath& path, const PathRules& rules) {
  FieldPath so_far;
  for (const FieldStep& step : path) {
    so_far.push_back(step);
    FieldPath asked = so_far;
    asked.back().has_map_key = false;
    asked.back().map_key.clear();
    if (rules.unordered(asked) != nullptr) break;
  }
  return so_far;
}

std::string difference_text(const Difference& d) { return std::string(to_string(d.kind)) + ' ' + to_string(d.path); }

std::map<std::string, std::uint64_t> swallowed_of(const Findings& found) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& [rule, count] : found.swallowed) out[rule->path.text()] += count;
  return out;
}

}  // namespace

std::string self_match_broken(const DifferCase& c) {
  Bench bench(c, c.rules);
  for (const Message* message : {c.legacy.get(), c.fresh.get(), c.shuffled.get()}) {
    const Findings found = bench.diff(*message, *message);
    if (!bench.stopped().empty()) return "stopped: " + bench.stopped();
    if (found.count > 0) return "differs from itself: " + difference_text(found.differences.front());
    if (!found.swallowed.empty()) return "something swallowed of a message and itself";
  }
  return {};
}

std::string rules_add_differences(const DifferCase& c) {
  Bench bare(c, without_rules(c));
  Bench ruled(c, c.rules);
  const Findings more = bare.diff(*c.legacy, *c.fresh);
  const Findings fewer = ruled.diff(*c.legacy, *c.fresh);
  if (!bare.stopped().empty() || !ruled.stopped().empty()) return "stopped: " + bare.stopped() + ruled.stopped();
  if (more.count == 0 && fewer.count > 0)
    return "differs only with rules: " + difference_text(fewer.differences.front());
  if (more.count == 0 && !fewer.swallowed.empty()) return "something swallowed where nothing differs";
  if (more.count > 0 && fewer.count == 0 && fewer.swallowed.empty()) return "a difference is gone and no rule took it";
  for (const Difference& d : fewer.differences) {
    const FieldPath place = up_to_unordered(d.path, ruled.rules());
    if (std::none_of(more.differences.begin(), more.differences.end(),
                     [&](const Difference& m) { return related(place, m.path); })) {
      return "a place that did not differ without rules: " + difference_text(d);
    }
  }
  return {};
}

std::string permutation_broken(const DifferCase& c) {
  CompareSpec spec = without_rules(c);
  Bench bare(c, spec);
  PathRule everywhere;
  everywhere.path = *PathPattern::parse("**");
  spec.unordered.push_back(everywhere);
  Bench unordered(c, spec);
  const Findings ordered = bare.diff(*c.legacy, *c.shuffled);
  const Findings found = unordered.diff(*c.legacy, *c.shuffled);
  if (!bare.stopped().empty() || !unordered.stopped().empty()) return "stopped: " + unordered.stopped();
  if (found.count > 0) return "a permutation differs: " + difference_text(found.differences.front());
  if (ordered.count > 0 && found.swallowed.empty()) return "another order, and no rule swallowed it";
  if (ordered.count == 0 && !found.swallowed.empty()) return "the same order, and a rule swallowed something";
  return {};
}

std::string swap_broken(const DifferCase& c) {
  Bench bench(c, c.rules);
  const Findings forth = bench.diff(*c.legacy, *c.fresh);
  const Findings back = bench.diff(*c.fresh, *c.legacy);
  if (!bench.stopped().empty()) return "stopped: " + bench.stopped();
  if (forth.count != back.count) {
    return std::to_string(forth.count) + " differences, and " + std::to_string(back.count) + " the other way round";
  }
  if (forth.severity != back.severity) return "another severity the other way round";
  if (swallowed_of(forth) != swallowed_of(back)) return "something else swallowed the other way round";
  return {};
}

std::string canonical_broken(const DifferCase& c) {
  Bench bench(c, c.rules);
  const Findings found = bench.diff(*c.legacy, *c.fresh);
  const bool equal = bench.canonical(*c.legacy) == bench.canonical(*c.fresh);
  if (!bench.stopped().empty()) return "stopped: " + bench.stopped();
  if (equal && found.count > 0) return "equal canonical bytes, and yet " + difference_text(found.differences.front());
  if (!equal && found.count == 0) return "other canonical bytes, and no difference";
  return {};
}

Comparison verdict_of(const DifferCase& c) {
  const auto answer = [](Side side, const Message& message) {
    Observation out;
    out.side = side;
    out.messages.push_back({message.SerializePartialAsString(), false});
    return out;
  };
  return diff_responses(answer(Side::kLegacy, *c.legacy), answer(Side::kNew, *c.fresh), kSchemaService, kSchemaMethod,
                        c.rules, c.store.get(), wide_limits(), kStill);
}

std::string verdict_broken(const DifferCase& c) {
  // As they come off the wire: an unknown value of a closed enum is an unknown field then.
  const auto parsed = [](const Message& message) {
    std::unique_ptr<Message> out(message.New());
    return out->ParsePartialFromString(message.SerializePartialAsString()) ? std::move(out) : nullptr;
  };
  const auto legacy = parsed(*c.legacy), fresh = parsed(*c.fresh);
  if (legacy == nullptr || fresh == nullptr) return "what was serialized cannot be parsed";
  Bench bench(c, c.rules);
  const Findings found = bench.diff(*legacy, *fresh);
  const Comparison got = verdict_of(c);
  const Verdict want = found.count > 0            ? Verdict::kMismatch
                       : !found.swallowed.empty() ? Verdict::kIgnored
                                                  : Verdict::kMatch;
  if (got.verdict != want) {
    return std::string(to_string(got.verdict)) + ' ' + got.reason + ", not " + std::string(to_string(want));
  }
  if (got.severity != found.severity) return "another severity than the walk's";
  if (got.differences.size() + got.differences_more != found.count) return "another number of differences";
  return {};
}

}  // namespace ficus::test
