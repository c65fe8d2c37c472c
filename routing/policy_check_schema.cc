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

}  // namespace

void check_keys(const CheckInput& input, Report& report) {
  for (const CapabilitySpec& capability : input.policy.capabilities) {
    if (capability.key) KeyCheck(input, capability, report).run();
  }
}

void check_compare(const CheckInput& input, const MethodIndex& methods, Report& report) {
  if (input.catalog == nullptr) return;
  for (const CapabilitySpec& capability : input.policy.capabilities) {
    if (!capability.compare) continue;
    const auto reads = described_reads(capability, methods, *input.catalog);
    if (reads.empty() && !capability.reads.empty()) continue;  // its methods are unknown, and that is said already
    const auto any_read = [&](const auto& has) {
      return std::any_of(reads.begin(), reads.end(), [&](const auto& read) { return has(read.first, read.second); });
    };
    const CompareSpec& compare = *capability.compare;
    const auto judge = [&](const char* list, const std::vector<PathRule>& paths) {
      for (std::size_t i = 0; i < paths.size(); ++i) {
        const PathRule& rule = paths[i];
        const std::string path = yaml_path(capability) + ".compare." + item_path(list, i);
        if (!any_read([&](const std::string& service, const std::string& method) {
              return input.catalog->response_has(service, method, rule.path);
            })) {
          report.error(codes::kNoSuchPath, rule.mark, path,
                       reads.empty() ? "capability \"" + capability.name.value + "\" has no reads to compare"
                                     : "no read of capability \"" + capability.name.value + "\" has a field " +
                                           in_quotes(rule.path.text()) + " in its response",
                       reads.empty() ? "take compare out"
                                     : "paths begin at the response message of a read, for example of " +
                                           reads.front().second);
        } else if (&paths == &compare.unordered &&
                   !any_read([&](const std::string& service, const std::string& method) {
                     return input.catalog->response_has_repeated(service, method, rule.path);
                   })) {
          report.error(codes::kNotRepeated, rule.mark, path,
                       in_quotes(rule.path.text()) + " is not a repeated field, so it has no order",
                       "name the repeated field itself");
        }
      }
    };
    judge("ignore", compare.ignore);
    judge("unordered", compare.unordered);
    judge("severity.critical", compare.critical);
    judge("severity.major", compare.major);
    judge("severity.minor", compare.minor);
    judge("plain", compare.plain);
    judge("redact", compare.redact);
  }
}

}  // namespace ficus::policy_check
