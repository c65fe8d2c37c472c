// What a policy's `upstreams.NAME.tls` says, in TLS's terms. Any thread; no state.
#pragma once

#include <string>
#include <vector>

#include "routing/result.h"
#include "routing/route_table.h"

namespace ficus {

struct TlsClientSettings;

TlsClientSettings client_settings_of(const UpstreamTls& tls);

// Whether the files that are named can be used as what they are named for, together: before traffic depends on it. The
// system's roots are the machine's, and not looked into. Gives a sentence for what works on paper and will be refused,
// by the other end (a certificate that expired or is not yet valid) or by us (authorities of which all did). Error: a
// sentence. Both name files, never contents.
Result<std::vector<std::string>, std::string> judge_upstream_tls(const UpstreamTls& tls);

}  // namespace ficus
