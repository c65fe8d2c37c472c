// Everything `ficus explain` says of one call, as values: gathered once, then printed for people or as JSON. Internal to
// facade/cli/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "routing/route_table.h"

namespace ficus {

// The call that is asked about.
struct ExplainedCall {
  std::string service, method;
  std::optional<std::string> tenant, consumer, key;
  std::vector<std::pair<std::string, std::string>> metadata;  // names in lower case
  std::vector<std::string> peer_sans{};                       // of the client's verified certificate, admissible ones
};

// A share as it stands for this call. Absent bucket: a share of 0 or 100, nothing to count by, or one that hangs on the
// call's own random number.
struct ExplainedShare {
  Percent percent;
  std::optional<ShareBy> by;          // absent where nothing is counted (0 or 100 without a `by`)
  std::optional<std::uint32_t> bucket;
  std::optional<bool> in_share;       // absent: it hangs on the call's own random number, or on a key not given
};

struct Explanation {
  ExplainedCall call;
  std::string capability;               // empty: none
  std::string kind;                     // "read", "write", "unmanaged"; empty: the policy does not name the method
  std::optional<Refusal> refusal;
  std::string rule;                     // empty: none
  std::uint32_t rule_line = 0;
  Stage stage = Stage::kOff;
  std::optional<StageFacts> facts;      // absent outside capabilities, and where the call did not come to the rules
  std::optional<RetrySettings> retry;   // of a read's rule
  std::optional<Side> serve, owner;
  std::string upstream;
  bool unkeyed = false;
  bool forced = false;
  std::optional<ExplainedShare> canary, shadow;  // reads only
  std::optional<Side> shadow_side;               // absent: this call cannot be shadowed
  std::string shadow_upstream;
  std::string tenant, consumer;                  // as the identity yields them; printable; empty: none
  struct Miss {
    std::string rule;
    std::uint32_t line = 0;
    std::string why;
  };
  std::vector<Miss> above;                       // the rules that did not take the call
  std::vector<std::string> notes;                // sentences worth a reader's attention
};

Explanation explain(const RouteTable& table, const ExplainedCall& call);

std::string to_json(const Explanation& explanation);
// Lines, each ending with a newline. `file` is the policy's name as given.
std::string to_text(const Explanation& explanation, const std::string& file, bool colour);

}  // namespace ficus
