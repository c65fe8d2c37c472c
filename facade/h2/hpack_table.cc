#include "facade/h2/hpack_table.h"

#include <array>

namespace ficus {

// RFC 7541 appendix A.
constexpr HpackStaticEntry kHpackStatic[kHpackStaticEntries] = {
    {":authority", "", HeaderToken::kAuthority},
    {":method", "GET", HeaderToken::kMethod},
    {":method", "POST", HeaderToken::kMethod},
    {":path", "/", HeaderToken::kPath},
    {":path", "/index.html", HeaderToken::kPath},
    {":scheme", "http", HeaderToken::kScheme},
    {":scheme", "https", HeaderToken::kScheme},
    {":status", "200", HeaderToken::kStatus},
    {":status", "204", HeaderToken::kStatus},
    {":status", "206", HeaderToken::kStatus},
    {":status", "304", HeaderToken::kStatus},
    {":status", "400", HeaderToken::kStatus},
    {":status", "404", HeaderToken::kStatus},
    {":status", "500", HeaderToken::kStatus},
    {"accept-charset", "", HeaderToken::kOther},
    {"accept-encoding", "gzip, deflate", HeaderToken::kOther},
    {"accept-language", "", HeaderToken::kOther},
    {"accept-ranges", "", HeaderToken::kOther},
    {"accept", "", HeaderToken::kOther},
    {"access-control-allow-origin", "", HeaderToken::kOther},
    {"age", "", HeaderToken::kOther},
    {"allow", "", HeaderToken::kOther},
    {"authorization", "", HeaderToken::kAuthorization},
    {"cache-control", "", HeaderToken::kOther},
    {"content-disposition", "", HeaderToken::kOther},
    {"content-encoding", "", HeaderToken::kOther},
    {"content-language", "", HeaderToken::kOther},
    {"content-length", "", HeaderToken::kContentLength},
    {"content-location", "", HeaderToken::kOther},
    {"content-range", "", HeaderToken::kOther},
    {"content-type", "", HeaderToken::kContentType},
    {"cookie", "", HeaderToken::kCookie},
    {"date", "", HeaderToken::kOther},
    {"etag", "", HeaderToken::kOther},
    {"expect", "", HeaderToken::kOther},
    {"expires", "", HeaderToken::kOther},
    {"from", "", HeaderToken::kOther},
    {"host", "", HeaderToken::kHost},
    {"if-match", "", HeaderToken::kOther},
    {"if-modified-since", "", HeaderToken::kOther},
    {"if-none-match", "", HeaderToken::kOther},
    {"if-range", "", HeaderToken::kOther},
    {"if-unmodified-since", "", HeaderToken::kOther},
    {"last-modified", "", HeaderToken::kOther},
    {"link", "", HeaderToken::kOther},
    {"location", "", HeaderToken::kOther},
    {"max-forwards", "", HeaderToken::kOther},
    {"proxy-authenticate", "", HeaderToken::kOther},
    {"proxy-authorization", "", HeaderToken::kProxyAuthorization},
    {"range", "", HeaderToken::kOther},
    {"referer", "", HeaderToken::kOther},
    {"refresh", "", HeaderToken::kOther},
    {"retry-after", "", HeaderToken::kOther},
    {"server", "", HeaderToken::kOther},
    {"set-cookie", "", HeaderToken::kSetCookie},
    {"strict-transport-security", "", HeaderToken::kOther},
    {"transfer-encoding", "", HeaderToken::kTransferEncoding},
    {"user-agent", "", HeaderToken::kOther},
    {"vary", "", HeaderToken::kOther},
    {"via", "", HeaderToken::kOther},
    {"www-authenticate", "", HeaderToken::kOther},
};

namespace {

constexpr std::array<HpackStaticRange, kHeaderTokens> make_ranges() {
  std::array<HpackStaticRange, kHeaderTokens> ranges{};
  for (std::size_t i = 0; i < kHpackStaticEntries; ++i) {
    if (kHpackStatic[i].token == HeaderToken::kOther) continue;
    HpackStaticRange& range = ranges[static_cast<std::size_t>(kHpackStatic[i].token)];
    if (range.count == 0) range.first = static_cast<std::uint8_t>(i + 1);
    ++range.count;
  }
  return ranges;
}
constexpr std::array<HpackStaticRange, kHeaderTokens> kRanges = make_ranges();

}  // namespace

HpackStaticRange hpack_static_range(HeaderToken token) noexcept { return kRanges[static_cast<std::size_t>(token)]; }

void HpackTable::grow() {
  std::vector<HeaderText*> larger(ring_.empty() ? 16 : ring_.size() * 2);
  for (std::size_t i = 0; i < size_; ++i) larger[i] = at(size_ - 1 - i);
  ring_ = std::move(larger);
  newest_ = size_ - 1;  // wraps for an empty table, as the next insertion expects
}

void HpackTable::insert(HeaderText* text) {
  const std::size_t bytes = text->table_bytes();
  // A reference first: the text may be one that is evicted now.
  text->add_reference();
  while (size_ != 0 && bytes_ + bytes > limit_) evict_oldest();
  ++inserted_;
  if (bytes > limit_) {
    text->drop_reference();
    return;
  }
  if (size_ == ring_.size()) grow();
  newest_ = (newest_ + 1) & (ring_.size() - 1);
  ring_[newest_] = text;
  ++size_;
  bytes_ += bytes;
}

void HpackTable::evict_oldest() noexcept {
  HeaderText* text = at(size_ - 1);
  --size_;
  bytes_ -= text->table_bytes();
  text->drop_reference();
}

void HpackTable::set_limit(std::size_t bytes) {
  limit_ = bytes;
  while (bytes_ > limit_) evict_oldest();
}

void HpackTable::clear() noexcept {
  while (size_ != 0) evict_oldest();
}

}  // namespace ficus
