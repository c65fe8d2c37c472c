// An accepted socket on its way from the listener to a worker.
#pragma once

#include <memory>
#include <mutex>

#include "facade/net/tls_context.h"

namespace ficus {

// What the next connections of a TLS listener are served with. The control thread puts a new context in when the
// certificates' files change; a worker takes it once a connection. Any thread.
class TlsServerSlot {
 public:
  explicit TlsServerSlot(std::shared_ptr<const TlsServerContext> context) : context_(std::move(context)) {}
  std::shared_ptr<const TlsServerContext> get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void set(std::shared_ptr<const TlsServerContext> context) {
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsServerContext> context_;
};

// Of one listening socket: what its connections have in common. Null where they are cleartext.
using ClientSocketKind = std::shared_ptr<const TlsServerSlot>;

struct ClientSocket {
  int descriptor = -1;  // owned by whoever holds this
  bool ipv6 = false;
  ClientSocketKind tls;
};

}  // namespace ficus
