#include "facade/serve_succession.h"

#include <utility>

#include "facade/base/log.h"
#include "routing/diagnostic.h"
#include "routing/policy_parse.h"

namespace ficus {
namespace {

constexpr const char* kPredecessorFile = "(the running facade's policy)";  // stands for a file's name in diagnostics

// The policy as the predecessor printed it. Canonical text may be longer than what its people wrote.
Result<std::shared_ptr<const Policy>, std::string> read_policy(const std::string& text) {
  PolicyParseLimits limits;
  limits.text_bytes *= 4;
  auto parsed = parse_policy(text, kPredecessorFile, limits);
  if (!parsed) {
    return fail("cannot read the running facade's policy (" + to_string(parsed.error().front()) +
                "), so who owns which write there is unknown; stop it (SIGTERM), then start this one");
  }
  return std::make_shared<const Policy>(std::move(parsed->policy));
}

}  // namespace

Result<Succession, std::string> Succession::begin(const std::string& path, SocketPlan& plan) {
  Succession result;
  if (path.empty()) return result;
  result.path_ = path;
  auto place = find_predecessor_or_claim(path);
  if (!place) return fail(place.error());
  result.door_ = std::move(place->door);
  if (!place->predecessor) return result;

  const std::string what = "--takeover " + path + ": ";
  auto client = TakeoverClient::begin(std::move(place->predecessor));
  if (!client) return fail(what + client.error());
  log_event(LogLevel::kInfo, "taking_over", "a facade is running; it serves until this one is ready",
            {{"pid", client->predecessor().pid}});
  result.client_ = *std::move(client);
  const auto refuse = [&](const std::string& why) {
    result.give_up(why);
    return fail(what + why);
  };
  auto policy = read_policy(result.client_->offer().policy);
  if (!policy) return refuse(policy.error());
  result.policy_ = *std::move(policy);
  auto filled = fill_from_predecessor(plan, std::move(result.client_->offer().sockets));
  if (!filled) return refuse(filled.error());
  plan = *std::move(filled);
  return result;
}

Result<void, std::string> Succession::take_over() {
  if (!client_) return {};
  const std::string what = "--takeover " + path_ + ": ";
  const auto yielded = client_->ready();
  if (!yielded) return fail(what + yielded.error());
  // Before the predecessor lets go of it: at no moment may a process that comes to the path find nobody.
  auto door = claim_from(path_, client_->predecessor());
  if (door) {
    door_ = *std::move(door);
  } else {
    log_event(LogLevel::kError, "takeover_unavailable", "no successor can take over until a restart: " + door.error());
  }
  if (*yielded) {
    if (const auto served = client_->serving(); !served) return fail(what + served.error());
  } else {
    client_->take_connection();
  }
  return {};
}

void Succession::give_up(const std::string& why) {
  if (client_) client_->give_up(why);
}

}  // namespace ficus
