// Keys and compare paths against what schemas say. POLICY 5 "Keys in requests", 6.
#include <algorithm>

#include "routing/policy_check_internal.h"
#include "routing/spelling.h"

namespace ficus::policy_check {
namespace {

// "A", "A and B", "A, B and 3 more".
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 3;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

// A request field that stands for the key of some methods of a capability.
struct KeyUse {
  const Text* field;
  std::string path;
  std::vector<std::string> methods;  // short names it cannot be read for
  std::string why;                   // of the first
};

class KeyCheck {
 public:
  KeyCheck(const CheckInput& input, const CapabilitySpec& capability, Report& report)
      : catalog_(input.catalog), capability_(capability), key_(*capability.key), report_(report) {}

  void run() {
    for (const KeySpec::PerMethod& entry : key_.methods) {
      if (!has_method(entry.method.value)) unknown_method(entry.method);
    }
    if (catalog_ == nullptr) return;
    const std::string path = yaml_path(capability_) + ".key";
    if (key_.request_field) uses_.push_back({&*key_.request_field, path + ".request_field", {}, {}});
    for (const KeySpec::PerMethod& entry : key_.methods) {
      if (!entry.request_field) continue;
      uses_.push_back({&*entry.request_field, path + ".methods." + entry.method.value, {}, {}});
    }
    for (const auto* list : {&capability_.reads, &capability_.writes}) {
      for (const MethodRef& ref : *list) resolve(ref);
    }
    for (const KeyUse& use : uses_) {
      if (use.methods.empty()) continue;
      report_.error(codes::kKeyField, use.field->mark, use.path,
                    "the key " + in_quotes(use.field->value) + " cannot be read from the request of " +
                        listed(use.methods) + ": " + use.why,
                    "for a method without a key write key: {methods: {" + use.methods.front() + ": none}}");
    }
  }

 private:
  bool has_method(std::string_view method) const {
    for (const auto* list : {&capability_.reads, &capability_.writes}) {
      for (const MethodRef& ref : *list) {
        if (ref.method == method) return true;
        if (ref.star() && (catalog_ == nullptr || catalog_->find_method(ref.service, method))) return true;
      }
    }
    return false;
  }

  void unknown_method(const Text& method) {
    std::vector<std::string_view> known;
    for (const auto* list : {&capability_.reads, &capability_.writes}) {
      for (const MethodRef& ref : *list) known.push_back(ref.method);
    }
    report_.error(codes::kUnknownKeyMethod, method.mark, yaml_path(capability_) + ".key.methods." + method.value,
                  "capability \"" + capability_.name.value + "\" has no method " + in_quotes(method.value),
                  did_you_mean(method.value, known));
  }

  void resolve(const MethodRef& ref) {
    // A star's methods are judged only where key.methods names them: the others simply have no key.
    if (ref.star() || !catalog_->find_method(ref.service, ref.method)) return;
    const Text* field = key_.request_field ? &*key_.request_field : nullptr;
    for (const KeySpec::PerMethod& entry : key_.methods) {
      if (entry.method.value == ref.method) field = entry.request_field ? &*entry.request_field : nullptr;
    }
    if (field == nullptr) return;
    const Result<KeyPath, std::string> path = catalog_->resolve_request_key(ref.service, ref.method, field->value);
    if (path) return;
    for (KeyUse& use : uses_) {
      if (use.field != field) continue;
      if (use.methods.empty()) use.why = path.error();
      use.methods.push_back(ref.method);
    }
  }

  const MethodCatalog* catalog_;
  const CapabilitySpec& capability_;
  const KeySpec& key_;
  Report& report_;
  std::vector<KeyUse> uses_;
};

// The reads of a capability whose responses a schema describes, a star's methods one by one.
std::vector<std::pair<std::string, std::string>> described_reads(const CapabilitySpec& capability,
                                                                 const MethodIndex& methods,
                                                                 const MethodCatalog& catalog) {
  std::vector<std::pair<std::string, std::string>> reads;
  for (const MethodRef& ref : capability.reads) {
    if (!ref.star()) {
      if (catalog.find_method(ref.service, ref.method)) reads.emplace_back(ref.service, ref.method);
      continue;
    }
    const MethodPlace* star = methods.named(ref.service, "*");
    for (std::string& method : catalog.methods_of(ref.service)) {
      if (star != nullptr && methods.resolve(ref.service, method, &catalog) == star) {
        reads.emplace_back(ref.service, std::move(method));
      }
    }
  }
  return reads;
}

// Fits what is said of paths to the responses of the reads that it is said of.
class CompareCheck {
 public:
  CompareCheck(const CheckInput& input, const CapabilitySpec& capability, const MethodIndex& methods, Report& report)
      : catalog_(input.catalog), capability_(capability), report_(report) {
    if (catalog_ != nullptr) reads_ = described_reads(capability, methods, *catalog_);
  }

  void run() {
    const std::string where = yaml_path(capability_) + ".compare";
    judge_rules(*capability_.compare, where, reads_);
    for (const CompareSpec::PerMethod& rules : capability_.compare->methods) judge_method(rules, where);
  }

 private:
  using Read = std::pair<std::string, std::string>;  // service, method

  void judge_method(const CompareSpec::PerMethod& rules, const std::string& where) {
    const std::string& name = rules.method.value;
    const std::string path = where + ".methods." + name;
    std::vector<std::string_view> known;
    bool star = false;
    for (const MethodRef& ref : capability_.reads) {
      known.push_back(ref.method);
      star = star || ref.star();
    }
    std::vector<Read> its_own;
    for (const Read& read : reads_) {
      known.push_back(read.second);
      if (read.second == name) its_own.push_back(read);
    }
    const bool named = std::count(known.begin(), known.end(), name) != 0;
    if (!named && !(star && catalog_ == nullptr)) {
      report_.error(codes::kUnknownComparedMethod, rules.method.mark, path,
                    "capability \"" + capability_.name.value + "\" has no read " + in_quotes(name),
                    did_you_mean(name, known));
      return;
    }
    judge_rules(rules, path, its_own);
  }

  void judge_rules(const CompareRules& rules, const std::string& where, const std::vector<Read>& reads) {
    if (catalog_ == nullptr) return;
    if (reads.empty() && !capability_.reads.empty()) return;  // its methods are unknown, and that is said already
    rules.each_list([&](const char* list, const auto& paths) {
      for (std::size_t i = 0; i < paths.size(); ++i) {
        const std::string path = where + '.' + item_path(list, i);
        if (within_status_details(paths[i].path)) continue;  // of no schema's methods
        if (!any(reads, [&](const Read& r) { return catalog_->response_has(r.first, r.second, paths[i].path); })) {
          no_such_path(paths[i], path, reads);
        } else if (std::string_view(list) == "unordered") {
          judge_list(paths[i], path, reads);
        } else {
          judge(paths[i], path, reads);
        }
      }
    });
  }

  static bool within_status_details(const PathPattern& path) {
    const PathPattern::Step& first = path.steps().front();
    return path.steps().size() > 1 && first.name == "metadata" && first.has_map_key &&
           first.map_key == "grpc-status-details-bin";
  }

  void judge(const PathRule&, const std::string&, const std::vector<Read>&) {}

  bool judge_list(const PathRule& rule, const std::string& path, const std::vector<Read>& reads) {
    if (any(reads, [&](const Read& r) { return catalog_->response_has_repeated(r.first, r.second, rule.path); })) {
      return true;
    }
    report_.error(codes::kNotRepeated, rule.mark, path,
                  in_quotes(rule.path.text()) + " is not a repeated field, so it has no order",
                  "name the repeated field itself");
    return false;
  }

  void judge(const KeyedRule& rule, const std::string& path, const std::vector<Read>& reads) {
    if (!judge_list(rule, path, reads)) return;
    const std::string& by = rule.by.value;
    if (any(reads, [&](const Read& r) { return catalog_->response_has_keyed(r.first, r.second, rule.path, by); })) {
      return;
    }
    report_.error(codes::kBadKeyOfList, rule.by.mark, path + ".by",
                  "the entries of " + in_quotes(rule.path.text()) + " have no single value " + in_quotes(by),
                  "name a string, number, bool or enum of the entries themselves, not repeated");
  }

  void judge(const ToleranceRule& rule, const std::string& path, const std::vector<Read>& reads) {
    const Measure measure = rule.window ? Measure::kTime : Measure::kNumber;
    if (any(reads,
            [&](const Read& r) { return catalog_->response_has_measure(r.first, r.second, rule.path, measure); })) {
      return;
    }
    report_.error(codes::kNotMeasured, rule.mark, path,
                  in_quotes(rule.path.text()) +
                      (rule.window ? " is neither a google.protobuf.Timestamp nor a Duration" : " is not a number"),
                  rule.window ? "numbers take `absolute` or `relative`"
                              : "name the number itself; a Timestamp or Duration takes `window`");
  }

  void no_such_path(const PathRule& rule, const std::string& path, const std::vector<Read>& reads) {
    if (reads.empty()) {
      report_.error(codes::kNoSuchPath, rule.mark, path,
                    "capability \"" + capability_.name.value + "\" has no reads to compare", "take compare out");
      return;
    }
    report_.error(codes::kNoSuchPath, rule.mark, path,
                  "no read of capability \"" + capability_.name.value + "\" has a field " +
                      in_quotes(rule.path.text()) + " in its response",
                  "paths begin at the response message of a read, for example of " + reads.front().second);
  }

  template <class Has>
  static bool any(const std::vector<Read>& reads, Has&& has) {
    return std::any_of(reads.begin(), reads.end(), has);
  }

  const MethodCatalog* catalog_;
  const CapabilitySpec& capability_;
  Report& report_;
  std::vector<Read> reads_;  // that a schema describes
};

}  // namespace

void check_keys(const CheckInput& input, Report& report) {
  for (const CapabilitySpec& capability : input.policy.capabilities) {
    if (capability.key) KeyCheck(input, capability, report).run();
  }
}

void check_compare(const CheckInput& input, const MethodIndex& methods, Report& report) {
  for (const CapabilitySpec& capability : input.policy.capabilities) {
    if (capability.compare) CompareCheck(input, capability, methods, report).run();
  }
}

}  // namespace ficus::policy_check
