#include "facade/control/policy_change.h"

#include <map>
#include <string_view>
#include <vector>

namespace ficus {
namespace {

constexpr std::size_t kNamesShown = 3;

void add_section(std::string& out, std::string_view section, std::string_view what) {
  if (!out.empty()) out += "; ";
  out.append(section).append(": ").append(what);
}

// One section of named things: which came, went, changed, and whether only their order did.
template <class Spec>
void compare_named(std::string& out, std::string_view section, const std::vector<Spec>& from,
                   const std::vector<Spec>& to) {
  std::map<std::string_view, const Spec*> before;
  for (const Spec& spec : from) before.emplace(spec.name.value, &spec);
  std::vector<std::string> changes;
  for (const Spec& spec : to) {
    const auto found = before.find(spec.name.value);
    if (found == before.end()) {
      changes.push_back(spec.name.value + " added");
      continue;
    }
    if (!(*found->second == spec)) changes.push_back(spec.name.value + " changed");
    before.erase(found);
  }
  for (const auto& [name, spec] : before) changes.push_back(std::string(name) + " removed");
  if (changes.empty()) {
    if (!(from == to)) add_section(out, section, "reordered");
    return;
  }
  std::string text;
  for (std::size_t i = 0; i < changes.size() && i < kNamesShown; ++i) text += (i == 0 ? "" : ", ") + changes[i];
  if (changes.size() > kNamesShown) text += " and " + std::to_string(changes.size() - kNamesShown) + " more";
  add_section(out, section, text);
}

}  // namespace

std::string brief_change(const Policy& from, const Policy& to) {
  std::string out;
  if (!(from.name == to.name)) add_section(out, "name", from.name.value + " -> " + to.name.value);
  compare_named(out, "upstreams", from.upstreams, to.upstreams);
  if (from.default_upstream != to.default_upstream) add_section(out, "default_upstream", "changed");
  if (from.schemas != to.schemas || from.schema_reflection != to.schema_reflection) add_section(out, "schemas", "changed");
  if (!(from.identity == to.identity)) add_section(out, "identity", "changed");
  compare_named(out, "attributes", from.attributes, to.attributes);
  compare_named(out, "tenant_groups", from.tenant_groups, to.tenant_groups);
  compare_named(out, "capabilities", from.capabilities, to.capabilities);
  if (!(from.unmanaged == to.unmanaged)) add_section(out, "unmanaged", "changed");
  compare_named(out, "rules", from.rules, to.rules);
  compare_named(out, "tests", from.tests, to.tests);
  if (!(from.ownership_epoch == to.ownership_epoch)) {
    add_section(out, "ownership_epoch",
                std::to_string(from.ownership_epoch.value) + " -> " + std::to_string(to.ownership_epoch.value));
  }
  return out.empty() ? "only the contents of files it names" : out;
}

}  // namespace ficus
