#include "facade/h2/hpack_encoder.h"

#include <algorithm>
#include <cstring>

#include "facade/h2/hpack_integer.h"

namespace ficus {
namespace {

constexpr std::uint8_t kIndexed = 0x80;
constexpr std::uint8_t kIncremental = 0x40;
constexpr std::uint8_t kSizeUpdate = 0x20;
constexpr std::uint8_t kNeverIndexed = 0x10;
constexpr std::uint8_t kWithoutIndexing = 0x00;

constexpr std::uint64_t bit(HeaderToken token) { return std::uint64_t{1} << static_cast<unsigned>(token); }
static_assert(kHeaderTokens <= 64);

// Fields whose value differs from call to call by its nature.
constexpr std::uint64_t kVolatile = bit(HeaderToken::kTraceparent) | bit(HeaderToken::kGrpcTimeout) |
                                    bit(HeaderToken::kContentLength) | bit(HeaderToken::kGrpcMessage) |
                                    bit(HeaderToken::kGrpcStatusDetails);
constexpr std::uint64_t kSecret = bit(HeaderToken::kAuthorization) | bit(HeaderToken::kProxyAuthorization) |
                                  bit(HeaderToken::kCookie) | bit(HeaderToken::kSetCookie);
// Fields that the static table has with a value worth comparing.
constexpr std::uint64_t kStaticValues =
    bit(HeaderToken::kMethod) | bit(HeaderToken::kPath) | bit(HeaderToken::kScheme) | bit(HeaderToken::kStatus);

// Numbers of insertions have 31 bits, and the highest bit set so that none is 0. Two entries of a table are never 2^31
// insertions apart.
constexpr std::uint32_t kNumberMask = 0x7fffffff;
constexpr std::uint32_t kNumberBit = 0x80000000;

std::uint32_t static_match(HeaderToken token, std::string_view value) noexcept {
  const HpackStaticRange range = hpack_static_range(token);
  for (std::uint32_t index = range.first; index < std::uint32_t{range.first} + range.count; ++index) {
    if (hpack_static_entry(index).value == value) return index;
  }
  return 0;
}

}  // namespace

// Gathers a block on the stack, so that the many one-byte fields cost no growth of the vector each.
class HpackEncoder::Writer {
 public:
  explicit Writer(OutBuffer& out) : out_(out) {}
  void integer(std::uint8_t pattern, unsigned prefix_bits, std::uint32_t value) {
    if (static_cast<std::size_t>(buffer_ + kBuffer - at_) < 1 + kHpackIntegerBytes) flush();
    at_ = write_hpack_integer(at_, pattern, prefix_bits, value);
  }
  void string(std::string_view text) {
    integer(0, 7, static_cast<std::uint32_t>(text.size()));
    if (static_cast<std::size_t>(buffer_ + kBuffer - at_) < text.size()) {
      flush();
      if (text.size() > kBuffer) {
        out_.append(text);
        return;
      }
    }
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void literal(std::uint8_t pattern, unsigned prefix_bits, std::uint32_t name_index, std::string_view name,
               std::string_view value) {
    integer(pattern, prefix_bits, name_index);
    if (name_index == 0) string(name);
    string(value);
  }
  void flush() {
    out_.append({reinterpret_cast<const char*>(buffer_), static_cast<std::size_t>(at_ - buffer_)});
    at_ = buffer_;
  }

 private:
  static constexpr std::size_t kBuffer = 1024;
  OutBuffer& out_;
  std::uint8_t* at_ = buffer_;
  std::uint8_t buffer_[kBuffer];
};

void HpackEncoder::set_peer_table_limit(std::size_t bytes) {
  const std::size_t limit = std::min(bytes, kMaxTableBytes);
  if (!limit_changed_) {
    if (limit == table_.limit()) return;
    limit_changed_ = true;
    smallest_limit_ = limit;
  }
  smallest_limit_ = std::min(smallest_limit_, limit);
  next_limit_ = limit;
}

void HpackEncoder::announce_limit(Writer& writer) {
  limit_changed_ = false;
  // Below both the old and the new limit: the peer has evicted down to it in between, RFC 7541 4.2.
  if (smallest_limit_ < next_limit_) {
    set_limit(smallest_limit_);
    writer.integer(kSizeUpdate, 5, static_cast<std::uint32_t>(smallest_limit_));
  }
  set_limit(next_limit_);
  writer.integer(kSizeUpdate, 5, static_cast<std::uint32_t>(next_limit_));
}

void HpackEncoder::encode(const HeaderBlock& block, OutBuffer& out) {
  Writer writer(out);
  if (limit_changed_) announce_limit(writer);
  for (const HeaderBlock::Field& field : block.fields()) {
    if (!field.hidden) encode_field(field, writer);
  }
  writer.flush();
}

void HpackEncoder::encode_field(const HeaderBlock::Field& field, Writer& writer) {
  HeaderText* const text = field.replaced ? nullptr : field.text;
  const std::uint64_t token = bit(field.token);
  std::uint8_t pattern = field.never_index || (token & kSecret) != 0 ? kNeverIndexed : kWithoutIndexing;
  if (pattern == kWithoutIndexing) {
    std::uint64_t hash = 0;
    if (text != nullptr) {
      // What a table of a peer's holds is most often in ours.
      hash = text->hash();
      if (const std::uint32_t index = find(hash, text, field.name, field.value))
        return writer.integer(kIndexed, 7, index);
    }
    if ((token & kStaticValues) != 0) {
      if (const std::uint32_t index = static_match(field.token, field.value)) return writer.integer(kIndexed, 7, index);
    }
    const std::size_t bytes = field.name.size() + field.value.size() + kHpackEntryOverhead;
    if ((token & kVolatile) == 0 && bytes <= table_.limit() / 4) {
      if (text == nullptr) {
        hash = header_hash(field.name, field.value);
        if (const std::uint32_t index = find(hash, nullptr, field.name, field.value)) {
          return writer.integer(kIndexed, 7, index);
        }
      }
      if (seen_before(hash)) {
        pattern = kIncremental;
        if (text != nullptr) {
          insert(text);
        } else {
          HeaderText* made = HeaderText::make(field.name, field.value, field.token, field.flaws);
          insert(made);
          made->drop_reference();
        }
      }
    }
  }
  writer.literal(pattern, pattern == kIncremental ? 6 : 4, hpack_static_range(field.token).first, field.name,
                 field.value);
}

std::uint32_t HpackEncoder::find(std::uint64_t hash, const HeaderText* text, std::string_view name,
                                 std::string_view value) const {
  const auto position = [this](std::uint32_t number) { return (number_of_next() - 1 - number) & kNumberMask; };
  const std::uint32_t number = index_.find(hash, [&](std::uint32_t candidate) {
    const HeaderText* there = table_.at(position(candidate));
    return there == text || (there->hash() == hash && there->name() == name && there->value() == value);
  });
  return number == 0 ? 0 : static_cast<std::uint32_t>(kHpackStaticEntries + 1) + position(number);
}

std::uint32_t HpackEncoder::number_of_next() const noexcept {
  return (static_cast<std::uint32_t>(table_.inserted()) & kNumberMask) | kNumberBit;
}

void HpackEncoder::insert(HeaderText* text) {
  while (table_.size() != 0 && table_.bytes() + text->table_bytes() > table_.limit()) evict_oldest();
  index_.insert(text->hash(), number_of_next());
  table_.insert(text);
}

void HpackEncoder::evict_oldest() {
  const std::size_t last = table_.size() - 1;
  const std::uint32_t number = ((number_of_next() - 1 - static_cast<std::uint32_t>(last)) & kNumberMask) | kNumberBit;
  index_.erase(table_.at(last)->hash(), number);
  table_.evict_oldest();
}

void HpackEncoder::set_limit(std::size_t bytes) {
  while (table_.bytes() > bytes) evict_oldest();
  table_.set_limit(bytes);
}

bool HpackEncoder::seen_before(std::uint64_t hash) noexcept {
  std::array<std::uint32_t, kSeenWays>& place = seen_[(hash >> 16) % kSeenPlaces];
  const std::uint32_t mark = static_cast<std::uint32_t>(hash >> 32) | 1;
  for (const std::uint32_t there : place) {
    if (there == mark) return true;
  }
  for (std::size_t i = kSeenWays - 1; i > 0; --i) place[i] = place[i - 1];
  place[0] = mark;
  return false;
}

}  // namespace ficus
