#include "facade/h2/head_rules.h"

namespace ficus {
namespace {

// RFC 9113 8.2.2; te may say "trailers" and nothing else.
bool forbidden(const HeaderBlock::Field& field) noexcept {
  switch (field.token) {
    case HeaderToken::kConnection:
    case HeaderToken::kKeepAlive:
    case HeaderToken::kProxyConnection:
    case HeaderToken::kTransferEncoding:
    case HeaderToken::kUpgrade:
      return true;
    case HeaderToken::kTe:
      return field.value != "trailers";
    default:
      return false;
  }
}

// RFC 9110 8.6: digits; a repeated one must say the same.
bool read_content_length(std::string_view value, std::int64_t& length) noexcept {
  constexpr std::size_t kMaxDigits = 18;  // fits 63 bits
  if (value.empty() || value.size() > kMaxDigits) return false;
  std::int64_t read = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return false;
    read = read * 10 + (c - '0');
  }
  if (length >= 0 && length != read) return false;
  length = read;
  return true;
}

bool three_digits(std::string_view status) noexcept {
  if (status.size() != 3) return false;
  for (const char c : status) {
    if (c < '0' || c > '9') return false;
  }
  return status[0] >= '1';
}

// RFC 9113 8.3.1: begins with a slash (or is OPTIONS' "*"); RFC 3986 3.3 knows no blank.
bool valid_path(std::string_view path) noexcept {
  return (path.starts_with('/') || path == "*") && path.find(' ') == std::string_view::npos;
}

constexpr unsigned bit(HeaderToken token) noexcept { return 1u << static_cast<unsigned>(token); }

}  // namespace

HeadFacts check_request_head(const HeaderBlock& block) noexcept {
  HeadFacts facts;
  unsigned seen = 0;
  bool regular = false;
  bool connect = false;
  std::string_view authority;
  facts.malformed = true;
  for (const HeaderBlock::Field& field : block.fields()) {
    if (field.flaws != 0) return facts;
    if (is_pseudo(field.token)) {
      if (field.token == HeaderToken::kAuthority) authority = field.value;
      if (regular || (seen & bit(field.token)) != 0) return facts;
      if (field.token > HeaderToken::kScheme) return facts;  // a response's, extended CONNECT's, or unknown
      if (field.token == HeaderToken::kPath && !valid_path(field.value)) return facts;
      if (field.token == HeaderToken::kScheme && field.value.empty()) return facts;
      if (field.token == HeaderToken::kMethod) connect = field.value == "CONNECT";
      seen |= bit(field.token);
      continue;
    }
    regular = true;
    if (forbidden(field)) return facts;
    if (field.token == HeaderToken::kHost) {
      // 8.3.1: not another than :authority; and a second one would be another (RFC 9110 7.2).
      if ((seen & bit(HeaderToken::kHost)) != 0) return facts;
      if ((seen & bit(HeaderToken::kAuthority)) != 0 && field.value != authority) return facts;
      seen |= bit(HeaderToken::kHost);
    }
    if (field.token == HeaderToken::kContentLength && !read_content_length(field.value, facts.content_length))
      return facts;
  }
  constexpr unsigned kRequired = bit(HeaderToken::kMethod) | bit(HeaderToken::kScheme) | bit(HeaderToken::kPath);
  constexpr unsigned kConnect = bit(HeaderToken::kMethod) | bit(HeaderToken::kAuthority);
  seen &= ~bit(HeaderToken::kHost);
  if (connect ? seen != kConnect : (seen & kRequired) != kRequired) return facts;
  facts.malformed = false;
  return facts;
}

HeadFacts check_response_head(const HeaderBlock& block) noexcept {
  HeadFacts facts;
  bool status = false, regular = false;
  facts.malformed = true;
  for (const HeaderBlock::Field& field : block.fields()) {
    if (field.flaws != 0) return facts;
    if (is_pseudo(field.token)) {
      if (regular || status || field.token != HeaderToken::kStatus || !three_digits(field.value)) return facts;
      if (field.value == "101") return facts;  // 8.6: HTTP/2 has no such thing
      status = true;
      facts.interim = field.value[0] == '1';
      continue;
    }
    regular = true;
    if (forbidden(field)) return facts;
    if (field.token == HeaderToken::kContentLength && !read_content_length(field.value, facts.content_length))
      return facts;
  }
  facts.malformed = !status;
  return facts;
}

bool malformed_trailers(const HeaderBlock& block) noexcept {
  for (const HeaderBlock::Field& field : block.fields()) {
    if (field.flaws != 0 || is_pseudo(field.token) || forbidden(field)) return true;
  }
  return false;
}

}  // namespace ficus
