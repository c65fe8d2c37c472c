// Which rules take which calls: exact over classes of tenants, of consumers and of attribute values. POLICY 3.
//
// For one class of tenants the rules that take it form a chain. Along each further dimension (consumers, then each
// attribute) a class of values is the set of chain rules that take it, 64 of them at most, hence one word. A cell of
// the product is the AND of one such word a dimension; the rule that takes the cell is the lowest bit set. Equal words
// are one class, so that lists of thousands of consumers cost what they tell apart.
#include <algorithm>
#include <unordered_map>

#include "routing/policy_check_internal.h"

namespace ficus::policy_check {
namespace {

using Mask = std::uint64_t;

Mask bit(std::size_t i) { return Mask{1} << i; }
Mask low_bits(std::size_t count) { return count >= 64 ? ~Mask{0} : bit(count) - 1; }
Mask lowest(Mask mask) { return mask & (~mask + 1); }

void sort_unique(std::vector<Mask>& masks) {
  std::sort(masks.begin(), masks.end());
  masks.erase(std::unique(masks.begin(), masks.end()), masks.end());
}

// What the rules of a policy ask of one dimension.
class Dimension {
 public:
  // `patterns[r]` is what rule r asks; null: nothing.
  explicit Dimension(const std::vector<const std::vector<NamePattern>*>& patterns)
      : list_of_rule_(patterns.size(), kNoIndex32), classes_(lists_of(patterns, list_of_rule_)) {
    classes_of_list_.resize(classes_.list_count());
    for (std::uint32_t id = 0; id < classes_.named().size(); ++id) {
      for (const std::uint32_t list : classes_.named()[id].listed_by) classes_of_list_[list].push_back(id);
    }
  }

  // The distinct words of all values along this dimension, for the first `count` rules of a chain. Adds to `steps`.
  std::vector<Mask> masks(const std::vector<std::uint32_t>& chain, std::size_t count, std::size_t& steps) const {
    Mask free = 0, other = 0, none = 0;  // rules that ask nothing; that take any name; that take a call without one
    std::unordered_map<std::uint32_t, Mask> named;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t list = list_of_rule_[chain[i]];
      if (list == kNoIndex32) {
        free |= bit(i);
        continue;
      }
      if (classes_.takes_other(list)) other |= bit(i);
      if (classes_.takes_none(list)) none |= bit(i);
      steps += classes_of_list_[list].size();
      for (const std::uint32_t id : classes_of_list_[list]) named[id] |= bit(i);
    }
    std::vector<Mask> masks = {free | other, free | none};
    for (const auto& [id, mask] : named) masks.push_back(mask | other | free);
    sort_unique(masks);
    return masks;
  }

 private:
  static NameClasses lists_of(const std::vector<const std::vector<NamePattern>*>& patterns,
                              std::vector<std::uint32_t>& list_of_rule) {
    std::vector<NameList> lists;
    for (std::size_t rule = 0; rule < patterns.size(); ++rule) {
      if (patterns[rule] == nullptr) continue;
      list_of_rule[rule] = static_cast<std::uint32_t>(lists.size());
      lists.push_back({patterns[rule], nullptr});
    }
    return NameClasses(lists);
  }

  std::vector<std::uint32_t> list_of_rule_;  // kNoIndex32: the rule asks nothing here
  NameClasses classes_;
  std::vector<std::vector<std::uint32_t>> classes_of_list_;
};

// What one chain may hold in memory at a time, 8 MiB.
constexpr std::size_t kMaxCellsPerStep = std::size_t{1} << 20;

class ReadCoverage {
 public:
  ReadCoverage(const Policy& policy, std::size_t max_steps) : policy_(policy), max_steps_(max_steps) {
    std::vector<const std::vector<NamePattern>*> asks(policy.rules.size(), nullptr);
    for (std::size_t r = 0; r < policy.rules.size(); ++r) {
      if (!policy.rules[r].consumers.empty()) asks[r] = &policy.rules[r].consumers;
    }
    dimensions_.emplace_back(asks);
    for (const AttributeSpec& attribute : policy.attributes) {
      std::fill(asks.begin(), asks.end(), nullptr);
      for (std::size_t r = 0; r < policy.rules.size(); ++r) {
        for (const AttributeMatch& match : policy.rules[r].match) {
          if (match.attribute.value == attribute.name.value) asks[r] = &match.values;
        }
      }
      dimensions_.emplace_back(asks);
    }
  }

  // Precondition: at most 64 rules.
  ReadReach judge(const RuleChain& chain) {
    ReadReach reach;
    const std::size_t count = judged_rules(chain);
    if (count == 0) return reach;
    std::vector<std::vector<Mask>> dimensions;
    if (!masks_of(chain, count, dimensions)) return {low_bits(count), bit(0)};
    if (const auto cells = cells_of(count, dimensions)) {
      for (const Mask cell : *cells) reach.reached |= lowest(cell);
      reach.proved = reach.reached;
      return reach;
    }
    // Too many cells: what one rule above takes alone is still known.
    reach.reached = low_bits(count);
    reach.proved = bit(0);
    for (std::size_t i = 1; i < count; ++i) {
      for (std::size_t above = 0; above < i; ++above) {
        if (takes_all_of(dimensions, above, i)) reach.reached &= ~bit(i);
      }
    }
    return reach;
  }

  // The rules that take the cells which the i-th rule of a chain asks for. For messages.
  Mask takers_of(const RuleChain& chain, std::size_t i) {
    const std::size_t count = judged_rules(chain);
    if (i >= count) return bit(count - 1);  // below one that takes everything
    std::vector<std::vector<Mask>> dimensions;
    Mask takers = 0;
    if (masks_of(chain, count, dimensions)) {
      if (const auto cells = cells_of(count, dimensions)) {
        for (const Mask cell : *cells) {
          if ((cell & bit(i)) != 0) takers |= lowest(cell);
        }
        return takers;
      }
      for (std::size_t above = 0; above < i; ++above) {
        if (takes_all_of(dimensions, above, i)) return bit(above);
      }
    }
    return takers;
  }

 private:
  // Rules of the chain up to and with the first that is not narrowed: nothing below it is reached.
  std::size_t judged_rules(const RuleChain& chain) const {
    std::size_t count = 0;
    while (count < chain.rules.size()) {
      if (!policy_.rules[chain.rules[count++]].narrowed()) break;
    }
    return count;
  }

  bool masks_of(const RuleChain& chain, std::size_t count, std::vector<std::vector<Mask>>& dimensions) {
    if (steps_ > max_steps_) return false;
    for (const Dimension& dimension : dimensions_) {
      std::vector<Mask> masks = dimension.masks(chain.rules, count, steps_);
      if (masks.size() > 1 || masks.front() != low_bits(count)) dimensions.push_back(std::move(masks));
      if (steps_ > max_steps_) return false;
    }
    return true;
  }

  // Every distinct cell that some rule takes; nothing when the bound is met.
  std::optional<std::vector<Mask>> cells_of(std::size_t count, const std::vector<std::vector<Mask>>& dimensions) {
    std::vector<Mask> cells = {low_bits(count)};
    for (const std::vector<Mask>& masks : dimensions) {
      const std::size_t pairs = cells.size() * masks.size();
      steps_ += pairs;
      if (pairs > kMaxCellsPerStep || steps_ > max_steps_) return std::nullopt;
      std::vector<Mask> next;
      next.reserve(pairs);
      for (const Mask cell : cells) {
        for (const Mask mask : masks) {
          if ((cell & mask) != 0) next.push_back(cell & mask);
        }
      }
      sort_unique(next);
      cells = std::move(next);
    }
    return cells;
  }

  static bool takes_all_of(const std::vector<std::vector<Mask>>& dimensions, std::size_t above, std::size_t below) {
    for (const std::vector<Mask>& masks : dimensions) {
      for (const Mask mask : masks) {
        if ((mask & bit(below)) != 0 && (mask & bit(above)) == 0) return false;
      }
    }
    return true;
  }

  const Policy& policy_;
  const std::size_t max_steps_;
  std::size_t steps_ = 0;
  std::vector<Dimension> dimensions_;
};

// What is known of a rule after all chains of its capability were judged.
struct RuleReach {
  bool read = false;        // some read goes to it, proved
  bool maybe_read = false;  // not proved: the bound was met
  bool write = false;       // some write goes to it
};

class CoverageCheck {
 public:
  CoverageCheck(const CheckInput& input, const Analysis& analysis, Report& report)
      : policy_(input.policy), analysis_(analysis), report_(report), reach_(input.policy.rules.size()) {}

  void run() {
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      if (analysis_.tenants[c].too_many_rules) {
        too_many(c);
      } else {
        gather(c);
      }
    }
    std::vector<std::uint32_t> dead;
    for (std::uint32_t r = 0; r < policy_.rules.size(); ++r) {
      const std::uint32_t c = analysis_.capability_of_rule[r];
      if (c == kNoIndex32) continue;
      const CapabilitySpec& capability = policy_.capabilities[c];
      const RuleSpec& rule = policy_.rules[r];
      if (capability.reads.empty() && rule.narrowed()) {
        report_.error(codes::kNarrowedWithoutReads, rule.mark, rule_path(r),
                      rule_and_line(rule) + " is narrowed by " + (rule.consumers.empty() ? "match" : "consumers") +
                          ", but capability \"" + capability.name.value +
                          "\" has no reads, and for writes such rules are skipped",
                      "who owns a write may hang on the tenant alone: write the rule for tenants");
        continue;
      }
      if (analysis_.tenants[c].too_many_rules) continue;
      if (capability.reads.empty() && capability.writes.empty()) continue;
      if (!capability.reads.empty() && reach_[r].read) continue;
      if (!capability.writes.empty() && reach_[r].write) continue;
      if (capability.reads.empty() || !reach_[r].maybe_read) {
        dead.push_back(r);
      } else {
        report_.warning(codes::kNotJudged, rule.mark, rule_path(r),
                        "whether " + rule_and_line(rule) + " ever matches was not proved: its capability divides consumers and attributes into " +
                            "too many cases",
                        "fewer narrowed rules, or shorter lists, can be judged");
      }
    }
    if (!dead.empty()) never_match(dead);
  }

 private:
  void too_many(std::uint32_t c) {
    for (const RuleChain& chain : analysis_.tenants[c].chains) {
      if (chain.rules.size() <= kMaxRulesPerTenant) continue;
      const std::uint32_t r = chain.rules.back();
      report_.error(codes::kTooManyRulesForTenant, policy_.rules[r].mark, rule_path(r),
                    rule_and_line(policy_.rules[r]) + " is number " + std::to_string(chain.rules.size()) +
                        " of capability \"" + policy_.capabilities[c].name.value + "\" to take " +
                        describe_class(analysis_.classes, chain.example) + "; " + std::to_string(kMaxRulesPerTenant) +
                        " may",
                    "join rules that say the same, or split the capability");
      return;
    }
  }

  void gather(std::uint32_t c) {
    const std::vector<RuleChain>& chains = analysis_.tenants[c].chains;
    for (std::size_t at = 0; at < chains.size(); ++at) {
      const RuleChain& chain = chains[at];
      const ReadReach& reach = analysis_.reach[c][at];
      if (chain.write_rule != kNoIndex32) reach_[chain.write_rule].write = true;
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        if ((reach.reached & bit(i)) == 0) continue;
        RuleReach& known = reach_[chain.rules[i]];
        ((reach.proved & bit(i)) != 0 ? known.read : known.maybe_read) = true;
      }
    }
  }

  void never_match(const std::vector<std::uint32_t>& dead) {
    constexpr std::size_t kNamed = 5;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> takers;  // rules above, some of them
    for (const std::uint32_t r : dead) takers[r];
    ReadCoverage coverage(policy_, kMaxCoverageSteps);
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      if (analysis_.tenants[c].too_many_rules) continue;
      for (const RuleChain& chain : analysis_.tenants[c].chains) {
        for (std::size_t i = 0; i < chain.rules.size(); ++i) {
          const auto found = takers.find(chain.rules[i]);
          if (found == takers.end() || found->second.size() > kNamed) continue;
          add_takers(c, chain, i, coverage, found->second);
        }
      }
    }
    for (const std::uint32_t r : dead) {
      std::vector<std::uint32_t>& above = takers[r];
      std::sort(above.begin(), above.end());
      above.erase(std::unique(above.begin(), above.end()), above.end());
      std::string names;
      for (std::size_t i = 0; i < above.size() && i < kNamed; ++i) {
        names += (i == 0 ? "" : ", ") + rule_and_line(policy_.rules[above[i]]);
      }
      if (above.size() > kNamed) names += " and others";
      if (names.empty()) names = "rules above";
      report_.error(codes::kRuleNeverMatches, policy_.rules[r].mark, rule_path(r),
                    rule_and_line(policy_.rules[r]) + " can never match: every call it asks for goes to " + names,
                    above.size() > 1 ? "the first rule that matches wins: move it above them, or take it out"
                                     : "the first rule that matches wins: move it above that one, or take it out");
    }
  }

  void add_takers(std::uint32_t c, const RuleChain& chain, std::size_t i, ReadCoverage& coverage,
                  std::vector<std::uint32_t>& takers) const {
    const auto add = [&](std::uint32_t r) {
      if (std::find(takers.begin(), takers.end(), r) == takers.end()) takers.push_back(r);
    };
    if (policy_.capabilities[c].reads.empty()) {
      add(chain.write_rule);
      return;
    }
    const Mask mask = coverage.takers_of(chain, i);
    for (std::size_t above = 0; above < i; ++above) {
      if ((mask & bit(above)) != 0) add(chain.rules[above]);
    }
  }

  const Policy& policy_;
  const Analysis& analysis_;
  Report& report_;
  std::vector<RuleReach> reach_;
};

}  // namespace

Analysis analyse(const Policy& policy, std::vector<std::uint32_t> capability_of_rule, std::size_t coverage_steps) {
  std::vector<NameList> lists;
  lists.reserve(policy.rules.size());
  for (const RuleSpec& rule : policy.rules) lists.push_back({&rule.tenants, &policy.tenant_groups});
  NameClasses classes(lists);
  std::vector<CapabilityTenants> tenants = divide_by_tenant(policy, classes, 0, capability_of_rule);
  std::vector<std::vector<ReadReach>> reach(tenants.size());
  ReadCoverage coverage(policy, coverage_steps);
  for (std::size_t c = 0; c < tenants.size(); ++c) {
    if (tenants[c].too_many_rules) continue;
    reach[c].reserve(tenants[c].chains.size());
    for (const RuleChain& chain : tenants[c].chains) reach[c].push_back(coverage.judge(chain));
  }
  return {std::move(classes), std::move(tenants), std::move(reach), std::move(capability_of_rule)};
}

void check_coverage(const CheckInput& input, const Analysis& analysis, Report& report) {
  CoverageCheck(input, analysis, report).run();
}

}  // namespace ficus::policy_check
