#include "routing/peer_san.h"

#include <algorithm>

namespace ficus {
namespace {

bool is_visible(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

}  // namespace

SanKind san_kind_shown(std::string_view text) noexcept {
  if (text.find("://") != std::string_view::npos) return SanKind::kUri;
  return text.find('@') != std::string_view::npos ? SanKind::kEmail : SanKind::kDns;
}

bool admissible_peer_san(SanKind kind, std::string_view text) noexcept {
  return !text.empty() && is_visible(text) && san_kind_shown(text) == kind;
}

std::optional<SanPattern> SanPattern::parse(std::string_view text) {
  const std::size_t star = text.find('*');
  if (star == std::string_view::npos || text.find('*', star + 1) != std::string_view::npos) return std::nullopt;
  if (text.size() == 1 || !is_visible(text)) return std::nullopt;
  SanPattern pattern;
  pattern.before_ = text.substr(0, star);
  pattern.after_ = text.substr(star + 1);
  pattern.kind_ = san_kind_shown(text);
  return pattern;
}

std::optional<std::string_view> SanPattern::match(std::string_view san) const noexcept {
  if (san.size() < before_.size() + after_.size() || !san.starts_with(before_) || !san.ends_with(after_)) {
    return std::nullopt;
  }
  // Last, since it reads the whole text and few come to it. '*' may match what makes the kind: "*x" is of a DNS name
  // and must not take "spiffe://x".
  if (san_kind_shown(san) != kind_) return std::nullopt;
  const std::string_view matched = san.substr(before_.size(), san.size() - before_.size() - after_.size());
  if (matched.find('/') != std::string_view::npos) return std::nullopt;
  return matched;
}

}  // namespace ficus
