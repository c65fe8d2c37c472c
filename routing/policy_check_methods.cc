// Which capability a method belongs to, and what schemas say of it. POLICY 2.
#include <algorithm>

#include "routing/policy_check_internal.h"
#include "routing/spelling.h"

namespace ficus::policy_check {
namespace {

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// Services that every gRPC server has for itself; a shadow or a split of them means nothing. POLICY 2.
bool is_reserved(std::string_view service) {
  return starts_with(service, "grpc.health.v1.") || starts_with(service, "grpc.reflection.") ||
         starts_with(service, "grpc.channelz.");
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

class MethodCheck {
 public:
  MethodCheck(const CheckInput& input, const MethodIndex& methods, Report& report)
      : policy_(input.policy), catalog_(input.catalog), methods_(methods), report_(report) {}

  void run() {
    for (std::uint32_t i = 0; i < policy_.capabilities.size(); ++i) {
      const CapabilitySpec& capability = policy_.capabilities[i];
      for (std::size_t at = 0; at < capability.reads.size(); ++at) {
        method(i, capability.reads[at], MethodKind::kRead, yaml_path(capability) + '.' + item_path("reads", at));
      }
      for (std::size_t at = 0; at < capability.writes.size(); ++at) {
        method(i, capability.writes[at], MethodKind::kWrite, yaml_path(capability) + '.' + item_path("writes", at));
      }
    }
    unmanaged();
    for (const auto& [service, mention] : unknown_services_) unknown_service(service, mention);
  }

 private:
  struct Seen {
    std::uint32_t capability = kNoIndex32;
    MethodKind kind = MethodKind::kRead;
    Mark mark;
  };

  void method(std::uint32_t capability, const MethodRef& ref, MethodKind kind, const std::string& path) {
    if (is_reserved(ref.service)) {
      report_.error(codes::kReservedService, ref.mark, path,
                    name_of(ref) + " may stand in no capability: each server answers " + ref.service + " for itself",
                    "take it out; its calls go to the default upstream");
      return;
    }
    const auto [at, fresh] = seen_.try_emplace({ref.service, ref.method}, Seen{capability, kind, ref.mark});
    if (!fresh) {
      listed_again(at->second, capability, ref, kind, path);
      return;
    }
    if (ref.star() && kind == MethodKind::kRead && catalog_ == nullptr) {
      report_.error(codes::kReadStarWithoutSchema, ref.mark, path,
                    name_of(ref) + " under reads, but no schema says which methods have no side effects",
                    "name the reads one by one, or add the service's descriptors to schemas");
    }
    schema(ref, kind, path);
  }

  void listed_again(const Seen& first, std::uint32_t capability, const MethodRef& ref, MethodKind kind,
                    const std::string& path) {
    const std::string line = std::to_string(first.mark.line);
    if (ref.star()) {
      report_.error(codes::kTwoStars, ref.mark, path,
                    "a second star for " + ref.service + ": the first stands at line " + line,
                    "name the methods of one of the two one by one");
    } else if (first.capability != capability) {
      report_.error(codes::kMethodInTwoCapabilities, ref.mark, path,
                    name_of(ref) + " stands in capability \"" + policy_.capabilities[first.capability].name.value +
                        "\" too (line " + line + ")",
                    "a method belongs to one capability: take it out of the other");
    } else if (first.kind != kind) {
      report_.error(codes::kReadAndWrite, ref.mark, path, name_of(ref) + " is a read too (line " + line + ")",
                    "if it changes anything it is a write; take it out of the other list");
    }
    // Twice in one list says nothing new; the parser warns of it.
  }

  // One misspelt service, or one schema that is missing, is one diagnostic, however many methods hang on it: kept here
  // until all are counted.
  struct Mention {
    Mark mark;  // of the first method
    std::string path;
    std::size_t methods = 0;
  };

  bool has_service(const MethodRef& ref, const std::string& path) {
    if (catalog_->has_service(ref.service)) return true;
    Mention& first = unknown_services_.try_emplace(ref.service, Mention{ref.mark, path}).first->second;
    if (ref.mark < first.mark) {
      first.mark = ref.mark;
      first.path = path;
    }
    ++first.methods;
    return false;
  }

  void unknown_service(std::string_view service, const Mention& first) {
    std::string message = "no schema has a service " + std::string(service);
    if (first.methods > 1) message += ", of which the policy names " + std::to_string(first.methods) + " methods";
    report_.error(codes::kUnknownService, first.mark, first.path, std::move(message),
                  "correct the name, or add its descriptors to schemas");
  }

  // What the schema says of a method; nothing without one.
  void schema(const MethodRef& ref, MethodKind kind, const std::string& path) {
    if (catalog_ == nullptr) return;
    if (!has_service(ref, path)) return;
    if (ref.star()) {
      if (kind == MethodKind::kWrite) reads_among_writes(ref, path);
      return;
    }
    const std::optional<MethodInfo> info = catalog_->find_method(ref.service, ref.method);
    if (!info) {
      const std::vector<std::string> known = catalog_->methods_of(ref.service);
      report_.error(codes::kUnknownMethod, ref.mark, path, ref.service + " has no method " + ref.method,
                    did_you_mean(ref.method, views(known)));
      return;
    }
    if (kind == MethodKind::kRead && info->idempotency == Idempotency::kIdempotent) {
      report_.warning(codes::kReadIdempotent, ref.mark, path,
                      name_of(ref) + " is listed as a read, but its schema says IDEMPOTENT: it may change things once",
                      "if it changes anything it is a write; a read should say NO_SIDE_EFFECTS");
    }
    if (kind == MethodKind::kWrite && info->idempotency == Idempotency::kNoSideEffects) {
      report_.warning(codes::kWriteNoSideEffects, ref.mark, path,
                      name_of(ref) + " is listed as a write, but its schema says NO_SIDE_EFFECTS",
                      "if it changes nothing it is a read, and can be shadowed");
    }
  }

  // A star under `writes` takes what nobody named, reads included: those are most likely forgotten.
  void reads_among_writes(const MethodRef& star, const std::string& path) {
    std::string names;
    std::size_t count = 0;
    for (const std::string& method : catalog_->methods_of(star.service)) {
      const std::optional<MethodInfo> info = catalog_->find_method(star.service, method);
      if (!info || info->idempotency != Idempotency::kNoSideEffects) continue;
      if (methods_.named(star.service, method) != nullptr) continue;
      if (++count <= 5) names += (count == 1 ? "" : ", ") + method;
    }
    if (count == 0) return;
    if (count > 5) names += " and " + std::to_string(count - 5) + " more";
    report_.warning(codes::kWriteNoSideEffects, star.mark, path,
                    name_of(star) + " under writes takes " + names + " too, and the schema says NO_SIDE_EFFECTS of " +
                        (count == 1 ? "it" : "them"),
                    "list what changes nothing under reads, so that it can be shadowed");
  }

  void unmanaged() {
    std::map<std::pair<std::string_view, std::string_view>, Mark> entries;
    for (std::size_t i = 0; i < policy_.unmanaged.size(); ++i) {
      const MethodRef& ref = policy_.unmanaged[i].method;
      const std::string path = item_path("unmanaged", i) + ".method";
      if (i == 0 && !policy_.default_upstream) {
        report_.error(codes::kUnmanagedWithoutDefault, policy_.unmanaged[i].mark, "unmanaged",
                      "unmanaged methods go to the default upstream, and there is none", "add default_upstream: NAME");
      }
      if (ref.star()) {
        report_.error(codes::kUnmanagedStar, ref.mark, path,
                      name_of(ref) + " under unmanaged: next month's methods must not escape the policy unseen",
                      "name the methods one by one");
        continue;
      }
      const auto [at, fresh] = entries.try_emplace({ref.service, ref.method}, ref.mark);
      if (!fresh) {
        report_.error(codes::kUnmanagedTwice, ref.mark, path,
                      name_of(ref) + " is unmanaged already (line " + std::to_string(at->second.line) + ")",
                      "take one out");
        continue;
      }
      if (const auto taken = seen_.find({ref.service, ref.method}); taken != seen_.end()) {
        report_.error(codes::kMethodAlsoUnmanaged, ref.mark, path,
                      name_of(ref) + " stands in capability \"" +
                          policy_.capabilities[taken->second.capability].name.value + "\" (line " +
                          std::to_string(taken->second.mark.line) + ") and is unmanaged too",
                      "take it out of one of the two");
        continue;
      }
      if (!is_reserved(ref.service)) schema_of_unmanaged(ref, path);
    }
  }

  void schema_of_unmanaged(const MethodRef& ref, const std::string& path) {
    // An unmanaged method is neither a read nor a write, so only its existence is judged.
    if (catalog_ == nullptr) return;
    if (has_service(ref, path) && !catalog_->find_method(ref.service, ref.method)) {
      const std::vector<std::string> known = catalog_->methods_of(ref.service);
      report_.error(codes::kUnknownMethod, ref.mark, path, ref.service + " has no method " + ref.method,
                    did_you_mean(ref.method, views(known)));
    }
  }

  const Policy& policy_;
  const MethodCatalog* catalog_;
  const MethodIndex& methods_;
  Report& report_;
  std::map<std::pair<std::string_view, std::string_view>, Seen> seen_;
  std::map<std::string_view, Mention> unknown_services_;
};

}  // namespace

MethodIndex::MethodIndex(const Policy& policy) {
  for (std::uint32_t i = 0; i < policy.capabilities.size(); ++i) {
    for (const MethodRef& ref : policy.capabilities[i].reads) {
      places_.try_emplace({ref.service, ref.method}, MethodPlace{i, MethodKind::kRead});
    }
    for (const MethodRef& ref : policy.capabilities[i].writes) {
      places_.try_emplace({ref.service, ref.method}, MethodPlace{i, MethodKind::kWrite});
    }
  }
  for (const UnmanagedSpec& entry : policy.unmanaged) {
    if (!entry.method.star()) places_.try_emplace({entry.method.service, entry.method.method});
  }
}

const MethodPlace* MethodIndex::named(std::string_view service, std::string_view method) const {
  const auto found = places_.find({service, method});
  return found == places_.end() ? nullptr : &found->second;
}

const MethodPlace* MethodIndex::resolve(std::string_view service, std::string_view method,
                                        const MethodCatalog* catalog) const {
  if (const MethodPlace* place = named(service, method)) return place;
  const MethodPlace* star = named(service, "*");
  if (star == nullptr || star->kind == MethodKind::kWrite) return star;
  if (catalog == nullptr) return nullptr;
  const std::optional<MethodInfo> info = catalog->find_method(service, method);
  return info && info->idempotency == Idempotency::kNoSideEffects ? star : nullptr;
}

void check_methods(const CheckInput& input, const MethodIndex& methods, Report& report) {
  MethodCheck(input, methods, report).run();
}

}  // namespace ficus::policy_check
