// How many calls one client's connection has in flight at each upstream, for shares of an upstream's limit.
// Thread: its worker's. Lifetime: the connection's; every call that counts in it ends before.
#pragma once

#include <cstddef>

#include <boost/container/small_vector.hpp>

namespace ficus {

class Upstream;

class ClientPlaces {
 public:
  // Linear in the upstreams that it has calls at: few.
  std::size_t at(const Upstream& upstream) const noexcept {
    for (const Place& place : places_) {
      if (place.upstream == &upstream) return place.calls;
    }
    return 0;
  }

 private:
  friend class UpstreamStream;
  struct Place {
    const Upstream* upstream;
    std::size_t calls;
  };
  void take(Upstream& upstream);
  // Precondition: at(upstream) != 0.
  void release(Upstream& upstream) noexcept;

  boost::container::small_vector<Place, 4> places_;
};

}  // namespace ficus
