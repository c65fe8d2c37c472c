// The one result type of this project: a value, or a typed error. Never an exception on the data plane.
#pragma once

#include <tl/expected.hpp>

namespace ficus {

template <class T, class E>
using Result = tl::expected<T, E>;

// `return fail(error);` from a function that returns Result<T, E>.
template <class E>
tl::unexpected<std::decay_t<E>> fail(E&& error) {
  return tl::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

}  // namespace ficus
