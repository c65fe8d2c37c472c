// The top mapping of a policy, in the order of POLICY section 1; sections stand in policy_parse_*.cc.
#include "routing/policy_parse.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "routing/policy_parse_sections.h"

namespace ficus {
namespace {

using namespace parsing;

using KeySet = std::set<std::string, std::less<>>;

constexpr std::string_view kApiVersion = "ficus/v1";
// The next epoch is one higher, and JSON's readers keep whole numbers exact up to 2^53.
constexpr std::uint64_t kLargestEpoch = (1ull << 53) - 1;

Parsed<std::string> parse_api_version(std::string_view text) {
  if (text == kApiVersion) return std::string(text);
  return fail(ValueProblem{&codes::kApiVersion, "this build reads only " + std::string(kApiVersion),
                           "write apiVersion: " + std::string(kApiVersion)});
}

// The last key of the file, so that a file cut off anywhere has none: POLICY 8.
void read_epoch(Fields& fields, At<std::uint64_t>& epoch) {
  if (!fields.is_mapping()) return;
  if (!fields.has("ownership_epoch")) {
    fields.value().complain(codes::kEpochNotLast, "ownership_epoch is missing: the file may have been cut off",
                            "end the file with ownership_epoch: N");
    return;
  }
  if (fields.last_key() != "ownership_epoch") {
    fields.complain_at_key(codes::kEpochNotLast, "ownership_epoch", "ownership_epoch is not the last key",
                           "move it to the end: a file that was cut off is known by lacking it");
  }
  fields.need("ownership_epoch", epoch, [](std::string_view text) { return parse_count(text, 1, kLargestEpoch); });
}

// What a route table numbers in 16 bits; far above what anybody writes.
constexpr std::size_t kMostUpstreams = 1000;
constexpr std::size_t kMostCapabilities = 10'000;
constexpr std::size_t kMostMethods = 60'000;  // in capabilities and unmanaged, together

void judge_counts(const Fields& fields, const Policy& policy) {
  std::size_t methods = policy.unmanaged.size();
  for (const CapabilitySpec& capability : policy.capabilities) {
    methods += capability.reads.size() + capability.writes.size();
  }
  const auto judge = [&](std::string_view key, const char* what, std::size_t count, std::size_t most) {
    if (count <= most) return;
    fields.complain_at_key(codes::kTooMany, key, "there are " + std::to_string(count) + ' ' + what,
                           "at most " + std::to_string(most));
  };
  judge("upstreams", "upstreams", policy.upstreams.size(), kMostUpstreams);
  judge("capabilities", "capabilities", policy.capabilities.size(), kMostCapabilities);
  judge(fields.has("capabilities") ? "capabilities" : "unmanaged", "methods", methods, kMostMethods);
}

// The top mapping, section by section; remembers which of them could not be read whole.
class PolicyReader {
 public:
  PolicyReader(const Value& root, Report& report, Policy& policy) : report_(report), policy_(policy) {
    const std::size_t at_first = report_.errors();
    std::size_t before_unknown_keys = 0;
    bool keys_are_sound = true;
    {
      Fields fields(root, "apiVersion: ficus/v1");
      keys_are_sound = report_.errors() == at_first;
      read(fields);
      before_unknown_keys = report_.errors();
    }
    keys_are_sound = keys_are_sound && report_.errors() == before_unknown_keys;
    // What is missing may stand under a misspelt or a second key, or have stood behind the place of a cut.
    if (!keys_are_sound || lacks_its_end_) in_doubt_.insert(absent_.begin(), absent_.end());
  }

  bool lacks_its_end() const { return lacks_its_end_; }
  const KeySet& absent() const { return absent_; }
  // Keys whose value is not all in the policy.
  const KeySet& in_doubt() const { return in_doubt_; }

 private:
  // Runs `read`; a section in which it finds an error is in doubt.
  template <class Read>
  void section(std::string_view key, Read read) {
    const std::size_t before = report_.errors();
    read();
    if (report_.errors() != before) in_doubt_.emplace(key);
  }

  template <class Spec>
  void optional(Fields& fields, std::string_view key, void (*read_value)(const Value&, Spec&), Spec& spec) {
    section(key, [&] {
      if (const auto value = fields.get(key)) read_value(*value, spec);
    });
    if (!fields.has(key)) absent_.emplace(key);
  }

  void read(Fields& fields) {
    Text api_version;
    section("apiVersion", [&] { fields.need("apiVersion", api_version, parse_api_version); });
    section("name", [&] { fields.need("name", policy_.name, parse_name); });
    optional(fields, "tests", read_tests, policy_.tests);
    section("upstreams", [&] {
      if (const auto upstreams = fields.need("upstreams")) read_upstreams(*upstreams, policy_.upstreams);
    });
    section("default_upstream", [&] { fields.get("default_upstream", policy_.default_upstream, parse_name); });
    if (!fields.has("default_upstream")) absent_.emplace("default_upstream");
    section("schemas", [&] {
      if (const auto value = fields.get("schemas")) read_schemas(*value, policy_.schemas, policy_.schema_reflection);
    });
    if (!fields.has("schemas")) absent_.emplace("schemas");
    optional(fields, "identity", read_identity, policy_.identity);
    optional(fields, "attributes", read_attributes, policy_.attributes);
    optional(fields, "tenant_groups", read_tenant_groups, policy_.tenant_groups);
    optional(fields, "capabilities", read_capabilities, policy_.capabilities);
    optional(fields, "unmanaged", read_unmanaged, policy_.unmanaged);
    optional(fields, "rules", read_rules, policy_.rules);
    fields.not_yet("consumers", "take it out: consumers are named in rules as they call");
    fields.not_yet("handover", "take it out: an owner moves by a restart for now");
    fields.not_yet("rollouts", "take it out: raise a share by editing its percent");
    fields.not_yet("translation", "take it out: both sides speak one schema for now");
    section("ownership_epoch", [&] { read_epoch(fields, policy_.ownership_epoch); });
    const std::size_t before = report_.errors();
    judge_counts(fields, policy_);
    if (report_.errors() != before) in_doubt_.insert({"upstreams", "capabilities", "unmanaged"});
    lacks_its_end_ = !fields.has("ownership_epoch");
    if (lacks_its_end_) in_doubt_.emplace(fields.last_key());
  }

  Report& report_;
  Policy& policy_;
  KeySet in_doubt_;
  KeySet absent_;
  bool lacks_its_end_ = false;
};

// Whether lines may stand in another section than they were written for: a lost or slipped line shows as a key or a kind
// of value that does not belong where it stands.
bool lines_may_have_moved(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& diagnostic) {
    for (const DiagnosticCode& code :
         {codes::kUnknownKey, codes::kDuplicateKey, codes::kMissingKey, codes::kEmpty, codes::kWrongKind}) {
      if (diagnostic.code == code.code) return true;
    }
    return false;
  });
}

// PolicyDoubts::names.
KeySet names_in(const YamlTree& tree) {
  const auto target = [&](std::uint32_t node) {
    return tree.nodes[node].kind == YamlNode::Kind::kAlias ? tree.nodes[node].first : node;
  };
  const auto is_text = [&](std::uint32_t node) { return tree.nodes[node].kind == YamlNode::Kind::kScalar; };
  const auto each_pair = [&](const auto& each) {
    for (std::uint32_t i = 0; i < tree.nodes.size(); ++i) {
      const YamlNode& node = tree.nodes[i];
      if (node.kind != YamlNode::Kind::kMapping) continue;
      for (std::uint32_t pair = 0; pair + 1 < node.count; pair += 2) {
        const std::uint32_t key = target(tree.links[node.first + pair]);
        if (is_text(key)) each(i, tree.text_of(tree.nodes[key]), target(tree.links[node.first + pair + 1]));
      }
    }
  };
  std::set<std::uint32_t> matches;
  each_pair([&](std::uint32_t, std::string_view key, std::uint32_t value) {
    if (key == "match") matches.insert(value);
  });
  KeySet names;
  each_pair([&](std::uint32_t mapping, std::string_view key, std::uint32_t value) {
    if (matches.count(mapping) == 0) names.emplace(key);
    if (key == "name" && is_text(value)) names.emplace(tree.text_of(tree.nodes[value]));
  });
  return names;
}

PolicyDoubts doubts_of(const PolicyReader& reader, const YamlTree& tree, const std::vector<Diagnostic>& diagnostics) {
  PolicyDoubts doubts{reader.in_doubt(), names_in(tree)};
  const YamlNode& root = tree.nodes[tree.root];
  KeySet seen;
  for (std::uint32_t pair = 0; pair + 1 < root.count; pair += 2) {
    const YamlNode& key = tree.nodes[tree.links[root.first + pair]];
    if (key.kind != YamlNode::Kind::kScalar) continue;
    if (!seen.emplace(tree.text_of(key)).second) doubts.sections.emplace(tree.text_of(key));  // only the first was read
  }
  // Without its own first line, a section becomes the tail of the one before it, which is of its kind and complains:
  // a mapping's of a mapping, a list's of a list. Names are in `names` then; these two have none.
  if (lines_may_have_moved(diagnostics)) {
    const auto broken = [&](std::initializer_list<std::string_view> sections) {
      return std::any_of(sections.begin(), sections.end(), [&](std::string_view key) { return doubts.about(key); });
    };
    const bool mapping = broken({"upstreams", "attributes", "tenant_groups", "capabilities"});
    const bool list = broken({"tests", "schemas", "rules"});
    if (mapping && reader.absent().count("identity") != 0) doubts.sections.emplace("identity");
    if (list && reader.absent().count("unmanaged") != 0) doubts.sections.emplace("unmanaged");
  }
  return doubts;
}

}  // namespace

Result<ParsedPolicy, ParseFailure> parse_policy_or_part(std::string_view text, std::string_view file,
                                                        const PolicyParseLimits& limits) {
  Report report{std::string(file)};
  YamlReading reading = read_yaml(text, limits);
  bool ends_its_last_line = true;
  bool tree_has_it_all = reading.complete;
  for (YamlProblem& problem : reading.problems) {
    if (problem.code->code == codes::kNoFinalNewline.code) ends_its_last_line = false;
    if (problem.code->code == codes::kManyDocuments.code || problem.code->code == codes::kNotYaml.code) {
      tree_has_it_all = false;
    }
    report.add(*problem.code, problem.mark, "", std::move(problem.message), std::move(problem.hint));
  }
  ParsedPolicy parsed;
  parsed.policy.file = file;
  std::optional<PolicyReader> reader;
  if (reading.complete) reader.emplace(Value(reading.tree, report), report, parsed.policy);
  parsed.diagnostics = report.take();
  if (!has_error(parsed.diagnostics)) return parsed;

  ParseFailure failure;
  const bool cut_in_a_line = !ends_its_last_line && reader && reader->lacks_its_end();
  const bool listed_whole = parsed.diagnostics.size() <= Report::kShown;
  const bool is_mapping = reader && reading.tree.nodes[reading.tree.root].kind == YamlNode::Kind::kMapping;
  if (is_mapping && tree_has_it_all && listed_whole && !cut_in_a_line) {
    failure.partial = PartialPolicy{std::move(parsed.policy), doubts_of(*reader, reading.tree, parsed.diagnostics)};
  }
  failure.diagnostics = std::move(parsed.diagnostics);
  return fail(std::move(failure));
}

Result<ParsedPolicy, std::vector<Diagnostic>> parse_policy(std::string_view text, std::string_view file,
                                                           const PolicyParseLimits& limits) {
  auto parsed = parse_policy_or_part(text, file, limits);
  if (!parsed) return fail(std::move(parsed.error().diagnostics));
  return *std::move(parsed);
}

}  // namespace ficus
