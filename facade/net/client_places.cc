#include "facade/net/client_places.h"

#include "facade/net/upstream.h"

namespace ficus {

void ClientPlaces::take(Upstream& upstream) {
  for (Place& place : places_) {
    if (place.upstream != &upstream) continue;
    ++place.calls;
    return;
  }
  places_.push_back({&upstream, 1});
  ++upstream.clients_;
}

void ClientPlaces::release(Upstream& upstream) noexcept {
  for (Place& place : places_) {
    if (place.upstream != &upstream) continue;
    if (--place.calls != 0) return;
    place = places_.back();
    places_.pop_back();
    --upstream.clients_;
    return;
  }
}

}  // namespace ficus
