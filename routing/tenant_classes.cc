#include "routing/tenant_classes.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

namespace ficus {
namespace {

struct HashIndices {
  std::size_t operator()(const std::vector<std::uint32_t>& indices) const noexcept {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const std::uint32_t index : indices) {
      hash = (hash ^ index) * 0x100000001b3u;
      hash ^= hash >> 29;
    }
    return static_cast<std::size_t>(hash);
  }
};
template <class T>
using ByIndices = std::unordered_map<std::vector<std::uint32_t>, T, HashIndices>;

void sort_unique(std::vector<std::uint32_t>& indices) {
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
}

// Collects what lists write, then groups it. A *source* is a group, or what one list writes itself: names are tagged
// with sources, not lists, so that a group of 100,000 named by 1,000 rules is walked once.
class Partitioner {
 public:
  explicit Partitioner(const std::vector<NameList>& lists) : lists_(lists) {
    std::size_t patterns = 0;
    for (const NameList& list : lists) patterns += list.patterns->size();
    name_ids_.reserve(patterns);
    mentions_.reserve(patterns);
  }

  std::vector<NameClass> run(std::vector<bool>& takes_other, std::vector<bool>& takes_none) {
    for (std::uint32_t list = 0; list < lists_.size(); ++list) {
      const std::vector<NamePattern>& patterns = *lists_[list].patterns;
      takes_other.push_back(patterns.empty());
      takes_none.push_back(patterns.empty());
      std::uint32_t own = kNoIndex32;
      for (const NamePattern& pattern : patterns) {
        switch (pattern.kind) {
          case NamePattern::Kind::kAny: takes_other.back() = true; break;
          case NamePattern::Kind::kNone: takes_none.back() = true; break;
          case NamePattern::Kind::kGroup: name_group(list, pattern.text); break;
          case NamePattern::Kind::kName:
          case NamePattern::Kind::kPrefix:
            if (own == kNoIndex32) own = new_source({list});
            mention(pattern, own);
            break;
        }
      }
    }
    link_prefixes();
    std::vector<NameClass> classes;
    classify_names(classes);
    classify_prefixes(classes);
    return classes;
  }

 private:
  struct Prefix {
    std::string_view text;
    std::vector<std::uint32_t> sources;       // of this prefix and every shorter one
  };

  std::uint32_t new_source(std::vector<std::uint32_t> lists) {
    lists_of_source_.push_back(std::move(lists));
    return static_cast<std::uint32_t>(lists_of_source_.size() - 1);
  }

  void mention(const NamePattern& pattern, std::uint32_t source) {
    if (pattern.kind == NamePattern::Kind::kName) {
      const auto [at, fresh] = name_ids_.try_emplace(pattern.text, static_cast<std::uint32_t>(names_.size()));
      if (fresh) names_.push_back(pattern.text);
      mentions_.emplace_back(at->second, source);
    } else if (pattern.kind == NamePattern::Kind::kPrefix) {
      const auto [at, fresh] = prefix_ids_.try_emplace(pattern.text, static_cast<std::uint32_t>(prefixes_.size()));
      if (fresh) prefixes_.push_back({pattern.text, {}});
      prefixes_[at->second].sources.push_back(source);
    }
  }

  void name_group(std::uint32_t list, std::string_view name) {
    const std::vector<TenantGroup>* groups = lists_[list].groups;
    if (groups == nullptr) return;
    auto [table, fresh_table] = groups_.try_emplace(groups);
    if (fresh_table) {
      for (const TenantGroup& group : *groups) table->second.try_emplace(group.name.value, &group, kNoIndex32);
    }
    const auto found = table->second.find(name);
    if (found == table->second.end()) return;
    auto& [group, source] = found->second;
    if (source == kNoIndex32) {
      source = new_source({});
      for (const NamePattern& member : group->members) mention(member, source);
    }
    std::vector<std::uint32_t>& lists = lists_of_source_[source];
    if (lists.empty() || lists.back() != list) lists.push_back(list);
  }

  // Gives every prefix the sources of all shorter ones that it begins with. Prefixes of one string form a chain, so
  // the longest shorter one has gathered the rest already.
  void link_prefixes() {
    std::vector<std::uint32_t> order(prefixes_.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return prefixes_[a].text.size() < prefixes_[b].text.size();
    });
    for (const std::uint32_t id : order) {
      Prefix& prefix = prefixes_[id];
      const std::uint32_t parent =
          prefix.text.empty() ? kNoIndex32 : longest_prefix(prefix.text, prefix.text.size() - 1);
      if (parent != kNoIndex32) {
        const std::vector<std::uint32_t>& more = prefixes_[parent].sources;
        prefix.sources.insert(prefix.sources.end(), more.begin(), more.end());
      }
      sort_unique(prefix.sources);
      if (prefix_lengths_.empty() || prefix_lengths_.back() != prefix.text.size()) {
        prefix_lengths_.push_back(prefix.text.size());
      }
    }
  }

  // The longest prefix of at most `longest` bytes that `text` begins with.
  std::uint32_t longest_prefix(std::string_view text, std::size_t longest) const {
    for (auto length = prefix_lengths_.rbegin(); length != prefix_lengths_.rend(); ++length) {
      if (*length > longest) continue;
      const auto found = prefix_ids_.find(text.substr(0, *length));
      if (found != prefix_ids_.end()) return found->second;
    }
    return kNoIndex32;
  }

  std::vector<std::uint32_t> lists_of(const std::vector<std::uint32_t>& own, const Prefix* prefix) const {
    std::vector<std::uint32_t> lists;
    const auto gather = [&](const std::vector<std::uint32_t>& sources) {
      for (const std::uint32_t source : sources) {
        lists.insert(lists.end(), lists_of_source_[source].begin(), lists_of_source_[source].end());
      }
    };
    gather(own);
    if (prefix != nullptr) gather(prefix->sources);
    sort_unique(lists);
    return lists;
  }

  void classify_names(std::vector<NameClass>& classes) {
    // Mentions by name, by counting: no comparison of 100,000 strings is needed anywhere.
    std::vector<std::uint32_t> begin(names_.size() + 1, 0);
    for (const auto& [name, source] : mentions_) ++begin[name + 1];
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    std::vector<std::uint32_t> sources(mentions_.size());
    std::vector<std::uint32_t> fill(begin.begin(), begin.end());
    for (const auto& [name, source] : mentions_) sources[fill[name]++] = source;

    ByIndices<std::uint32_t> class_of;
    std::vector<std::uint32_t> own;
    for (std::uint32_t name = 0; name < names_.size(); ++name) {
      own.assign(sources.begin() + begin[name], sources.begin() + begin[name + 1]);
      sort_unique(own);
      const std::uint32_t prefix = longest_prefix(names_[name], names_[name].size());
      own.push_back(prefix);  // the signature: its own sources, then its prefix
      const auto [at, fresh] = class_of.try_emplace(own, static_cast<std::uint32_t>(classes.size()));
      if (fresh) {
        own.pop_back();
        classes.push_back({NameClass::Kind::kName, {},
                           lists_of(own, prefix == kNoIndex32 ? nullptr : &prefixes_[prefix])});
      }
      classes[at->second].texts.push_back(names_[name]);
    }
  }

  void classify_prefixes(std::vector<NameClass>& classes) const {
    ByIndices<std::uint32_t> class_of;
    for (const Prefix& prefix : prefixes_) {
      const auto [at, fresh] = class_of.try_emplace(prefix.sources, static_cast<std::uint32_t>(classes.size()));
      if (fresh) classes.push_back({NameClass::Kind::kPrefix, {}, lists_of({}, &prefix)});
      classes[at->second].texts.push_back(prefix.text);
    }
  }

  const std::vector<NameList>& lists_;
  std::vector<std::string_view> names_;
  std::unordered_map<std::string_view, std::uint32_t> name_ids_;
  std::vector<Prefix> prefixes_;
  std::unordered_map<std::string_view, std::uint32_t> prefix_ids_;
  std::vector<std::size_t> prefix_lengths_;  // distinct, ascending
  std::vector<std::pair<std::uint32_t, std::uint32_t>> mentions_;  // name, source
  std::vector<std::vector<std::uint32_t>> lists_of_source_;
  std::unordered_map<const std::vector<TenantGroup>*,
                     std::unordered_map<std::string_view, std::pair<const TenantGroup*, std::uint32_t>>>
      groups_;
};

}  // namespace

NameClasses::NameClasses(const std::vector<NameList>& lists) {
  named_ = Partitioner(lists).run(takes_other_, takes_none_);
}

std::string describe_name(NameClass::Kind kind, std::string_view text) {
  std::string name(text);
  if (kind == NameClass::Kind::kPrefix) name += '*';
  return name;
}

std::string describe_class(const NameClasses& classes, std::uint32_t tenant_class) {
  if (tenant_class == kOtherClass) return "any other tenant";
  if (tenant_class == kNoneClass) return "no tenant";
  const NameClass& named = classes.named()[tenant_class];
  return describe_name(named.kind, named.texts.front());
}

const RuleChain& CapabilityTenants::chain_of(std::uint32_t tenant_class) const {
  if (tenant_class == kNoneClass) return chains[none];
  const auto at = std::lower_bound(by_class.begin(), by_class.end(), tenant_class,
                                   [](const auto& entry, std::uint32_t wanted) { return entry.first < wanted; });
  return at != by_class.end() && at->first == tenant_class ? chains[at->second] : chains[other];
}

bool CapabilityTenants::one_owner() const {
  // Every chain stands for some class, so the chains say it all.
  return std::all_of(chains.begin(), chains.end(),
                     [&](const RuleChain& chain) { return chain.owner == chains.front().owner; });
}

namespace {

// Builds one capability's chains; `own` rules first come class by class.
class ChainBuilder {
 public:
  ChainBuilder(const Policy& policy, CapabilityTenants& out) : policy_(policy), out_(out) {}

  void rule_for_other(std::uint32_t rule) { add(for_other_, rule); }
  void rule_for_none(std::uint32_t rule) { add(for_none_, rule); }

  void class_with_own_rules(std::uint32_t tenant_class, const std::vector<std::uint32_t>& own) {
    std::vector<std::uint32_t> rules;
    rules.reserve(std::min(own.size() + for_other_.size(), kMaxRulesPerTenant + 1));
    std::size_t a = 0, b = 0;
    while ((a < own.size() || b < for_other_.size()) && rules.size() <= kMaxRulesPerTenant) {
      const std::uint32_t next_own = a < own.size() ? own[a] : kNoIndex32;
      const std::uint32_t next_other = b < for_other_.size() ? for_other_[b] : kNoIndex32;
      rules.push_back(std::min(next_own, next_other));
      if (next_own <= next_other) ++a;
      if (next_other <= next_own) ++b;
    }
    out_.by_class.emplace_back(tenant_class, intern(std::move(rules), tenant_class));
  }

  void finish() {
    out_.other = intern(std::move(for_other_), kOtherClass);
    out_.none = intern(std::move(for_none_), kNoneClass);
  }

 private:
  static void add(std::vector<std::uint32_t>& rules, std::uint32_t rule) {
    if (rules.size() <= kMaxRulesPerTenant) rules.push_back(rule);
  }

  std::uint32_t intern(std::vector<std::uint32_t> rules, std::uint32_t example) {
    const auto [at, fresh] = chain_ids_.try_emplace(rules, static_cast<std::uint32_t>(out_.chains.size()));
    if (fresh) {
      RuleChain chain;
      chain.example = example;
      for (const std::uint32_t rule : rules) {
        if (policy_.rules[rule].narrowed()) continue;
        chain.write_rule = rule;
        chain.owner = stage_facts(&policy_.rules[rule]).owner;
        break;
      }
      if (rules.size() > kMaxRulesPerTenant) out_.too_many_rules = true;
      chain.rules = std::move(rules);
      out_.chains.push_back(std::move(chain));
    }
    return at->second;
  }

  const Policy& policy_;
  CapabilityTenants& out_;
  std::vector<std::uint32_t> for_other_, for_none_;
  ByIndices<std::uint32_t> chain_ids_;
};

}  // namespace

std::vector<CapabilityTenants> divide_by_tenant(const Policy& policy, const NameClasses& classes,
                                                std::uint32_t first_list,
                                                const std::vector<std::uint32_t>& capability_of_rule) {
  const auto rule_count = static_cast<std::uint32_t>(policy.rules.size());
  std::vector<CapabilityTenants> divided(policy.capabilities.size());
  std::vector<ChainBuilder> builders;
  builders.reserve(divided.size());
  for (CapabilityTenants& capability : divided) builders.emplace_back(policy, capability);
  for (std::uint32_t rule = 0; rule < rule_count; ++rule) {
    const std::uint32_t capability = capability_of_rule[rule];
    if (capability == kNoIndex32) continue;
    if (classes.takes_other(first_list + rule)) builders[capability].rule_for_other(rule);
    if (classes.takes_none(first_list + rule)) builders[capability].rule_for_none(rule);
  }
  // A class's own rules, sorted by capability, then as they stand in the file.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> own;
  std::vector<std::uint32_t> of_one;
  for (std::uint32_t id = 0; id < classes.named().size(); ++id) {
    own.clear();
    for (const std::uint32_t list : classes.named()[id].listed_by) {
      if (list < first_list || list - first_list >= rule_count) continue;
      const std::uint32_t rule = list - first_list;
      if (capability_of_rule[rule] != kNoIndex32) own.emplace_back(capability_of_rule[rule], rule);
    }
    std::sort(own.begin(), own.end());
    for (std::size_t begin = 0, end = 0; begin < own.size(); begin = end) {
      of_one.clear();
      while (end < own.size() && own[end].first == own[begin].first) of_one.push_back(own[end++].second);
      builders[own[begin].first].class_with_own_rules(id, of_one);
    }
  }
  for (ChainBuilder& builder : builders) builder.finish();
  return divided;
}

std::vector<std::uint32_t> capabilities_of_rules(const Policy& policy) {
  std::unordered_map<std::string_view, std::uint32_t> by_name;
  for (std::uint32_t i = 0; i < policy.capabilities.size(); ++i) {
    by_name.try_emplace(policy.capabilities[i].name.value, i);
  }
  std::vector<std::uint32_t> capability_of_rule;
  capability_of_rule.reserve(policy.rules.size());
  for (const RuleSpec& rule : policy.rules) {
    const auto found = by_name.find(rule.capability.value);
    capability_of_rule.push_back(found == by_name.end() ? kNoIndex32 : found->second);
  }
  return capability_of_rule;
}

bool lists_none(const RuleSpec& rule) {
  return std::any_of(rule.tenants.begin(), rule.tenants.end(),
                     [](const NamePattern& pattern) { return pattern.kind == NamePattern::Kind::kNone; });
}

bool refuses_tenantless_write(const Policy& policy, const CapabilityTenants& tenants) {
  if (tenants.one_owner()) return false;
  const std::uint32_t rule = tenants.chains[tenants.none].write_rule;
  return rule == kNoIndex32 || !lists_none(policy.rules[rule]);
}

bool new_owns_some(const CapabilityTenants& tenants) {
  return std::any_of(tenants.chains.begin(), tenants.chains.end(),
                     [](const RuleChain& chain) { return chain.owner == Side::kNew; });
}

}  // namespace ficus
