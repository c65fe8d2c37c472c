// Which servers the two sides of a capability lead to: whatever a policy calls them, they must be two. POLICY 8.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "routing/policy_check_internal.h"
#include "routing/servers.h"
#include "routing/spelling.h"

namespace ficus::policy_check {
namespace {

class ServerCheck {
 public:
  ServerCheck(const CheckInput& input, Report& report) : policy_(input.policy), report_(report) {
    for (const UpstreamSpec& upstream : policy_.upstreams) {
      upstreams_.try_emplace(upstream.name.value, Known{&upstream, virtual_servers_of(upstream)});
    }
  }

  void run() {
    for (const CapabilitySpec& capability : policy_.capabilities) {
      const auto legacy = upstreams_.find(capability.legacy.value);
      const auto new_side = upstreams_.find(capability.new_.value);
      if (legacy == upstreams_.end() || new_side == upstreams_.end()) continue;  // P014 has said so
      if (legacy == new_side) {
        one_upstream(capability);
      } else if (!legacy->second.servers.empty() && legacy->second.servers == new_side->second.servers) {
        note_two_upstreams(capability, legacy->second, new_side->second);
      }
    }
    for (const auto& [pair, finding] : two_upstreams_) two_upstreams(finding);
  }

 private:
  struct Known {
    const UpstreamSpec* spec;
    Servers servers;
  };
  // The mistake is the upstreams', so it is said once for the two, however many capabilities name them.
  struct TwoUpstreams {
    const CapabilitySpec* first;
    const Known* legacy;
    const Known* new_side;
    std::size_t capabilities = 0;
  };

  void one_upstream(const CapabilitySpec& capability) {
    report_.warning(codes::kSameServers, capability.new_.mark, yaml_path(capability) + ".new",
                    "capability \"" + capability.name.value + "\" names upstream " + in_quotes(capability.new_.value) +
                        " both legacy and new: no stage moves anything, and either side owns every write",
                    "name the upstream of the service that replaces it");
  }

  void note_two_upstreams(const CapabilitySpec& capability, const Known& legacy, const Known& new_side) {
    const auto [at, fresh] = two_upstreams_.try_emplace(std::minmax(legacy.spec, new_side.spec),
                                                        TwoUpstreams{&capability, &legacy, &new_side});
    ++at->second.capabilities;
  }

  void two_upstreams(const TwoUpstreams& found) {
    const UpstreamSpec& legacy = *found.legacy->spec;
    const UpstreamSpec& new_side = *found.new_side->spec;
    std::string who = "capability \"" + found.first->name.value + '"';
    if (found.capabilities > 1) who += " and " + std::to_string(found.capabilities - 1) + " more";
    report_.warning(codes::kSameServers, new_side.endpoints.front().mark,
                    "upstreams." + new_side.name.value + ".endpoints",
                    "upstream " + in_quotes(new_side.name.value) + " leads to the same servers as " +
                        in_quotes(legacy.name.value) + " (line " + std::to_string(legacy.name.mark.line) + "), " +
                        describe(found.new_side->servers) + ", and they are the two sides of " + who +
                        ": no stage moves anything, and either side owns every write",
                    "give each its own endpoints; behind one gateway, its own authority");
  }

  const Policy& policy_;
  Report& report_;
  std::unordered_map<std::string_view, Known> upstreams_;
  std::map<std::pair<const UpstreamSpec*, const UpstreamSpec*>, TwoUpstreams> two_upstreams_;
};

}  // namespace

void check_servers(const CheckInput& input, Report& report) { ServerCheck(input, report).run(); }

}  // namespace ficus::policy_check
