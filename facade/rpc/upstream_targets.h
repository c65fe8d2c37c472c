// A policy's upstream as one worker's pools take it: plain values in, plain values out.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace ficus {

class TlsClientContext;
struct UpstreamInfo;
struct UpstreamTarget;

// TLS settings in use, by their identity, so that a reload that does not change them costs nothing and drops no
// connection. One worker's.
using TlsContexts = std::map<std::string, std::shared_ptr<const TlsClientContext>>;

// A worker's part of a facade-wide limit: rounded up, so that no worker is left without.
constexpr std::size_t share_of_limit(std::size_t limit, unsigned workers) noexcept {
  return (limit + workers - 1) / workers;
}

// Pure; any thread. `workers` is at least 1.
UpstreamTarget target_of(const UpstreamInfo& info, unsigned workers);

// Fills the target's TLS where the policy asks for it: from `known`, or made anew (a few milliseconds) and put into
// `kept`. Settings that cannot be used are logged, and the target is left without a context: no call goes out then.
void secure_target(UpstreamTarget& target, const UpstreamInfo& info, const TlsContexts& known, TlsContexts& kept);

}  // namespace ficus
