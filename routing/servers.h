// Which servers an upstream leads to: what its name stands for, as far as a policy tells. Names are compared as text;
// two names of one machine are two servers here. TLS or cleartext makes no difference. Pure values.
#pragma once

#include <string>
#include <vector>

#include "routing/policy.h"

namespace ficus {

// One endpoint. Equal: the same host and port, whatever the case of a name's letters or the spelling of an address.
struct Server {
  std::string written;    // "policy.internal:443", "[::1]:50051", for people
  std::string canonical;  // what is compared
  bool operator==(const Server& that) const { return canonical == that.canonical; }
  bool operator<(const Server& that) const { return canonical < that.canonical; }
};

// Sorted, each once.
using Servers = std::vector<Server>;

Servers servers_of(const UpstreamSpec& upstream);
// The same with the `authority` that is asked for there: behind a gateway it is what tells servers apart.
Servers virtual_servers_of(const UpstreamSpec& upstream);

Servers in_both(const Servers& a, const Servers& b);
Servers without(const Servers& a, const Servers& b);

// "10.0.0.1:443, 10.0.0.2:443 and 3 more".
std::string describe(const Servers& servers);

}  // namespace ficus
