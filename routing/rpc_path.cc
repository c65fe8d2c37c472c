#include "routing/rpc_path.h"

namespace ficus {
namespace {

// Visible ASCII without the bytes that a URL gives a meaning of its own and without the separator.
constexpr bool is_name_byte(char c) noexcept {
  return c > 0x20 && c < 0x7f && c != '/' && c != '?' && c != '#' && c != '%';
}

constexpr bool is_name(std::string_view text) noexcept {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!is_name_byte(c)) return false;
  }
  return true;
}

}  // namespace

Result<RpcPath, PathError> parse_rpc_path(std::string_view path) noexcept {
  if (path.empty() || path.front() != '/') return fail(PathError::kMalformedPath);
  path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return fail(PathError::kMalformedPath);
  const RpcPath parts{path.substr(0, slash), path.substr(slash + 1)};
  // A third slash ends up in the method, where is_name() refuses it.
  if (!is_name(parts.service) || !is_name(parts.method)) return fail(PathError::kMalformedPath);
  return parts;
}

}  // namespace ficus
