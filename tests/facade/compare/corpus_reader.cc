#include "tests/facade/compare/corpus_reader.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <set>

namespace ficus::test {
namespace {

using End = Observation::End;

const std::map<std::string, End> kEnds = {{"answered", End::kAnswered},
                                          {"failed", End::kFailed},
                                          {"cancelled", End::kCancelled},
                                          {"over_limit", End::kOverLimit},
                                          {"timed_out", End::kTimedOut}};
const std::set<std::string> kVerdicts = {"match", "ignored", "mismatch", "incomparable", "abandoned"};

class CorpusReader {
 public:
  explicit CorpusReader(std::string theme) : theme_(std::move(theme)) {}

  Result<std::vector<CorpusCase>, std::vector<std::string>> read(const std::string& text) {
    try {
      const YAML::Node root = YAML::Load(text);
      if (!root.IsSequence() || root.size() == 0)
        complain(root, "a file is a list of cases");
      else
        for (const YAML::Node& node : root) cases_.push_back(read_case(node));
    } catch (const YAML::Exception& e) {
      errors_.push_back(theme_ + ": " + e.what());
    }
    if (!errors_.empty()) return fail(std::move(errors_));
    return std::move(cases_);
  }

 private:
  void complain(const YAML::Node& at, const std::string& what) {
    errors_.push_back(theme_ + ".yaml:" + std::to_string(at.Mark().line + 1) + ": " + what);
  }

  // Sees to it that every key is known: what nobody reads checks nothing.
  void keys(const YAML::Node& node, const std::set<std::string>& known) {
    if (!node.IsMap()) {
      complain(node, "a mapping is wanted here");
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const auto key = entry.first.as<std::string>();
      if (!known.contains(key)) complain(entry.first, "unknown key \"" + key + '"');
      if (!seen.insert(key).second) complain(entry.first, "\"" + key + "\" stands here twice");
    }
  }

  CorpusCase read_case(const YAML::Node& node) {
    keys(node, {"name",   "method",     "legacy",       "new",     "legacy_status", "new_status",
                "limits", "legacy_end", "new_end",      "primary", "schema",        "legacy_encoding",
                "rules",  "verdict",    "new_encoding", "reason",  "severity",      "differences",
                "more",   "swallowed",  "swapped",      "why"});
    CorpusCase out;
    out.theme = theme_;
    out.line = node.Mark().line + 1;
    if (!node.IsMap()) return out;
    for (const char* key : {"name", "method", "legacy", "new", "verdict"}) {
      if (!node[key]) complain(node, std::string("a case has a \"") + key + '"');
    }
    out.name = text(node["name"]);
    out.method = text(node["method"]);
    const auto letter = [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'; };
    if (out.name.empty() || !std::all_of(out.name.begin(), out.name.end(), letter)) {
      complain(node, "a name is made of lower-case letters, digits and _");
    }
    if (!names_.insert(out.name).second) complain(node, "another case is called " + out.name);
    out.legacy = read_answer(node, "legacy");
    out.fresh = read_answer(node, "new");
    if (const auto primary = node["primary"]) {
      if (text(primary) != "legacy" && text(primary) != "new") complain(primary, "primary is legacy or new");
      if (text(primary) == "new") out.primary = Side::kNew;
    }
    if (const auto schema = node["schema"]) {
      if (text(schema) != "none") complain(schema, "schema is none, or left out");
      out.schema = false;
    }
    out.rules = text(node["rules"]);
    if (const auto limits = node["limits"]) read_limits(limits, out.limits);
    read_expectations(node, out);
    return out;
  }

  void read_expectations(const YAML::Node& node, CorpusCase& out) {
    out.verdict = text(node["verdict"]);
    if (!kVerdicts.contains(out.verdict)) complain(node, "no verdict: \"" + out.verdict + '"');
    out.reason = text(node["reason"]);
    if (node["severity"]) out.severity = text(node["severity"]);
    if (node["differences"]) out.differences = read_differences(node["differences"]);
    if (node["swapped"]) out.swapped = read_differences(node["swapped"]);
    if (node["more"]) out.more = node["more"].as<std::uint64_t>();
    if (const auto swallowed = node["swallowed"]) {
      if (!swallowed.IsMap())
        complain(swallowed, "swallowed is {rule: count}");
      else
        for (const auto& entry : swallowed)
          out.swallowed.emplace_back(entry.first.as<std::string>(), entry.second.as<std::uint64_t>());
    }
    const bool mismatch = out.verdict == "mismatch";
    const bool no_verdict = out.verdict == "incomparable" || out.verdict == "abandoned";
    if (mismatch == out.differences.empty()) complain(node, "a mismatch has differences, and nothing else has");
    if (mismatch == (out.severity == "none")) complain(node, "a mismatch has a severity, and nothing else has");
    if (no_verdict == out.reason.empty()) complain(node, "what is not compared has a reason, and nothing else has");
    if (out.verdict == "ignored" && out.swallowed.empty()) complain(node, "what is ignored is swallowed by a rule");
    if (out.verdict != "ignored" && !mismatch && !out.swallowed.empty()) {
      complain(node, "a rule swallows something only in what is compared and differs");
    }
  }

  CorpusAnswer read_answer(const YAML::Node& node, const std::string& side) {
    CorpusAnswer out;
    if (const auto answer = node[side]) {
      if (answer.IsScalar()) {
        out.messages.push_back({answer.as<std::string>()});
      } else if (answer.IsSequence()) {
        for (const YAML::Node& message : answer) out.messages.push_back(read_message(message));
      } else {
        complain(answer, "an answer is a text or a list of messages");
      }
    }
    if (const auto status = node[side + "_status"]) {
      const auto code = parse_grpc_code(text(status));
      if (!code)
        complain(status, "no grpc-status: " + text(status));
      else
        out.status = *code;
    }
    if (const auto end = node[side + "_end"]) {
      const auto known = kEnds.find(text(end));
      if (known == kEnds.end())
        complain(end, "no end: " + text(end));
      else
        out.end = known->second;
    }
    out.encoding = text(node[side + "_encoding"]);
    return out;
  }

  CorpusMessage read_message(const YAML::Node& node) {
    CorpusMessage out;
    if (node.IsScalar()) {
      out.text = node.as<std::string>();
      return out;
    }
    keys(node, {"text", "as", "hex", "times", "sent_as_is"});
    if (!node.IsMap()) return out;
    out.text = text(node["text"]);
    out.type = text(node["as"]);
    out.hex = text(node["hex"]);
    if (node["times"]) out.times = node["times"].as<int>();
    if (node["sent_as_is"]) out.sent_as_is = node["sent_as_is"].as<bool>();
    return out;
  }

  void read_limits(const YAML::Node& node, CompareLimits& limits) {
    keys(node, {"inflated_bytes", "elements", "unordered_elements", "differences", "recursion"});
    if (!node.IsMap()) return;
    const auto set = [&](const char* key, auto& to) {
      if (node[key]) to = node[key].as<std::decay_t<decltype(to)>>();
    };
    set("inflated_bytes", limits.inflated_bytes);
    set("elements", limits.elements);
    set("unordered_elements", limits.unordered_elements);
    set("differences", limits.differences);
    set("recursion", limits.recursion);
  }

  std::vector<ExpectedDifference> read_differences(const YAML::Node& node) {
    std::vector<ExpectedDifference> out;
    if (!node.IsSequence()) {
      complain(node, "differences are a list");
      return out;
    }
    static const std::regex kLine(
        "(value|missing|extra|order|size|type|status) (.+?) (minor|major|critical)(?: ([^]*?) -> ([^]*))?");
    for (const YAML::Node& line : node) {
      std::smatch parts;
      const std::string written = text(line);
      if (!std::regex_match(written, parts, kLine)) {
        complain(line, "not KIND PATH SEVERITY [LEGACY -> NEW]: " + written);
        continue;
      }
      ExpectedDifference difference{parts[1], parts[2], parts[3], std::nullopt};
      if (parts[4].matched) difference.values.emplace(parts[4], parts[5]);
      out.push_back(std::move(difference));
    }
    return out;
  }

  std::string text(const YAML::Node& node) {
    if (!node) return {};
    if (node.IsScalar()) return node.as<std::string>();
    complain(node, "a text is wanted here");
    return {};
  }

  std::string theme_;
  std::set<std::string> names_;
  std::vector<CorpusCase> cases_;
  std::vector<std::string> errors_;
};

}  // namespace

std::string to_string(const ExpectedDifference& difference) {
  std::string out = difference.kind + ' ' + difference.path + ' ' + difference.severity;
  if (difference.values) out += ' ' + difference.values->first + " -> " + difference.values->second;
  return out;
}

Result<std::vector<CorpusCase>, std::vector<std::string>> read_corpus(const std::string& text,
                                                                      const std::string& theme) {
  return CorpusReader(theme).read(text);
}

}  // namespace ficus::test
