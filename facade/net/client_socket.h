// An accepted socket on its way from the listener to a worker.
#pragma once

#include <memory>

namespace ficus {

class TlsServerSource;  // what a TLS listener's connections are served with; tls_context.h

// Of one listening socket: what its connections have in common. Null where they are cleartext.
using ClientSocketKind = std::shared_ptr<const TlsServerSource>;

struct ClientSocket {
  int descriptor = -1;  // owned by whoever holds this
  bool ipv6 = false;
  ClientSocketKind tls;
};

}  // namespace ficus
