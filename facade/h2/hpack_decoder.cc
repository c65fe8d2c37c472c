#include "facade/h2/hpack_decoder.h"

#include <algorithm>
#include <memory>

#include "facade/h2/hpack_integer.h"

namespace ficus {
namespace {

// The first byte of a representation, RFC 7541 6.
constexpr std::uint8_t kIndexed = 0x80;       // 1xxxxxxx
constexpr std::uint8_t kIncremental = 0x40;   // 01xxxxxx: a literal that enters the table
constexpr std::uint8_t kSizeUpdate = 0x20;    // 001xxxxx
constexpr std::uint8_t kNeverIndexed = 0x10;  // 0001xxxx; 0000xxxx is a literal without indexing
constexpr std::uint8_t kHuffman = 0x80;       // of a string's first byte

// Sizes are announced at most twice between two blocks, RFC 7541 4.2: the smallest and the last.
constexpr std::uint8_t kMaxUpdates = 2;

const std::uint8_t* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

// Where Huffman strings of one field are decoded to: on the stack but for very long ones.
class Scratch {
 public:
  char* room(std::size_t bytes) {
    if (sizeof(bytes_) - used_ >= bytes) {
      char* result = bytes_ + used_;
      used_ += bytes;
      return result;
    }
    std::unique_ptr<char[]>& heap = heap_[heap_[0] != nullptr];
    heap.reset(new char[bytes]);
    return heap.get();
  }

 private:
  std::size_t used_ = 0;
  std::unique_ptr<char[]> heap_[2];  // a field has two strings
  char bytes_[8192];
};

}  // namespace

struct HpackDecoder::Encoded {
  const std::uint8_t* bytes = nullptr;
  std::size_t length = 0;
  bool huffman = false;
  bool too_long = false;

  // Fewest characters that it can stand for.
  std::size_t least() const noexcept { return huffman ? huffman_least(length) : length; }
  bool valid() const noexcept {
    if (!huffman) return true;
    HuffmanDecoder decoder;
    return decoder.skip(bytes, length) && decoder.may_end();
  }
  // False: broken.
  bool decode(Scratch& scratch, std::string_view& out) const {
    if (!huffman) {
      out = {reinterpret_cast<const char*>(bytes), length};
      return true;
    }
    HuffmanDecoder decoder;
    char* begin = scratch.room(huffman_room(length));
    char* end = decoder.decode(bytes, length, begin);
    if (end == nullptr || !decoder.may_end()) return false;
    out = {begin, static_cast<std::size_t>(end - begin)};
    return true;
  }
};

struct HpackDecoder::Name {
  std::string_view text;
  HeaderText* holder = nullptr;  // the dynamic table's entry that it is from
  HeaderToken token = HeaderToken::kOther;
  std::uint8_t flaws = 0;
  bool known = false;  // from a table
};

HpackDecoder::Outcome HpackDecoder::decode(std::string_view fragment, bool last, std::size_t list_limit,
                                           HeaderBlock& into) {
  if (broken_) return Outcome::kBroken;
  if (!in_block_) {
    in_block_ = true;
    field_seen_ = false;
    updates_ = 0;
    too_large_ = false;
  }
  broken_ = !take(bytes_of(fragment), bytes_of(fragment) + fragment.size(), list_limit, into);
  if (last) {
    if (!held_.empty() || skip_ != Skip::kNothing) broken_ = true;
    in_block_ = false;
  }
  return broken_ ? Outcome::kBroken : Outcome::kOk;
}

bool HpackDecoder::take(const std::uint8_t* at, const std::uint8_t* end, std::size_t list_limit, HeaderBlock& into) {
  while (at != end) {
    if (skip_ != Skip::kNothing) {
      if (!skip(at, end)) return false;
      continue;
    }
    if (held_.empty()) {
      const Step done = step(at, end, list_limit, into);
      if (done == Step::kBroken) return false;
      if (done == Step::kDone) continue;
      held_.assign(reinterpret_cast<const char*>(at), static_cast<std::size_t>(end - at));
      return true;
    }
    // Never more than the representation needs: what follows it is decoded where it stands.
    const std::size_t more = std::min(missing_, static_cast<std::size_t>(end - at));
    held_.append(reinterpret_cast<const char*>(at), more);
    at += more;
    missing_ -= more;
    if (missing_ != 0) return true;
    const std::uint8_t* held = bytes_of(held_);
    const Step done = step(held, held + held_.size(), list_limit, into);
    if (done == Step::kBroken) return false;
    if (done == Step::kCutOff) continue;
    held_.clear();
    if (held_.capacity() > kTableBytes) held_.shrink_to_fit();
  }
  return true;
}

HpackDecoder::Step HpackDecoder::step(const std::uint8_t*& at, const std::uint8_t* end, std::size_t list_limit,
                                      HeaderBlock& into) {
  const std::uint8_t first = *at;
  if (first >= kIndexed || (first & 0xe0) == kSizeUpdate) {
    std::uint32_t value = 0;
    switch (read_hpack_integer(at, end, first >= kIndexed ? 7 : 5, value)) {
      case HpackInteger::kOk:
        return first >= kIndexed ? indexed(value, list_limit, into) : resize(value);
      case HpackInteger::kCutOff:
        missing_ = 1;
        return Step::kCutOff;
      case HpackInteger::kBroken:
        return Step::kBroken;
    }
  }
  return literal(at, end, list_limit, into);
}

inline HpackDecoder::Step HpackDecoder::indexed(std::uint32_t index, std::size_t list_limit, HeaderBlock& into) {
  field_seen_ = true;
  if (index > kHpackStaticEntries) {
    HeaderText* text = table_.at(index - kHpackStaticEntries - 1);
    if (text == nullptr) return Step::kBroken;
    if (into.list_bytes() + text->table_bytes() > list_limit) too_large_ = true;
    if (!too_large_) into.add_text(text);
    return Step::kDone;
  }
  if (index == 0) return Step::kBroken;
  const HpackStaticEntry& entry = hpack_static_entry(index);
  if (into.list_bytes() + entry.name.size() + entry.value.size() + kHpackEntryOverhead > list_limit) too_large_ = true;
  if (!too_large_) into.add_static(entry.name, entry.value, entry.token, field_flaw::kNone);
  return Step::kDone;
}

HpackDecoder::Step HpackDecoder::resize(std::uint32_t bytes) {
  if (field_seen_ || ++updates_ > kMaxUpdates || bytes > kTableBytes) return Step::kBroken;
  table_.set_limit(bytes);
  return Step::kDone;
}

// `after`: bytes that must follow the string. kDone with too_long: only its head was read.
HpackDecoder::Step HpackDecoder::read_string(const std::uint8_t*& at, const std::uint8_t* end, std::size_t after,
                                             Encoded& string) {
  missing_ = 1;
  if (at == end) return Step::kCutOff;
  string.huffman = (*at & kHuffman) != 0;
  std::uint32_t length = 0;
  switch (read_hpack_integer(at, end, 7, length)) {
    case HpackInteger::kOk:
      break;
    case HpackInteger::kCutOff:
      return Step::kCutOff;
    case HpackInteger::kBroken:
      return Step::kBroken;
  }
  string.length = length;
  string.bytes = at;
  string.too_long = length > kMaxStringBytes;
  if (string.too_long) return Step::kDone;
  const std::size_t there = static_cast<std::size_t>(end - at);
  if (there < length) {
    missing_ = length - there + after;
    return Step::kCutOff;
  }
  at += length;
  return Step::kDone;
}

HpackDecoder::Step HpackDecoder::literal(const std::uint8_t*& at, const std::uint8_t* end, std::size_t list_limit,
                                         HeaderBlock& into) {
  const std::uint8_t* p = at;
  const bool indexing = (*at & kIncremental) != 0;
  const std::uint8_t pattern = indexing ? kIncremental : *at & kNeverIndexed;
  std::uint32_t index = 0;
  switch (read_hpack_integer(p, end, indexing ? 6 : 4, index)) {
    case HpackInteger::kOk:
      break;
    case HpackInteger::kCutOff:
      missing_ = 1;
      return Step::kCutOff;
    case HpackInteger::kBroken:
      return Step::kBroken;
  }
  field_seen_ = true;
  Name name;
  Encoded literal_name;
  if (index == 0) {
    if (const Step done = read_string(p, end, 1, literal_name); done != Step::kDone) return done;
    if (literal_name.too_long) {
      begin_skip(Skip::kName, literal_name, indexing);
      at = p;
      return Step::kDone;
    }
  } else if (index <= kHpackStaticEntries) {
    const HpackStaticEntry& entry = hpack_static_entry(index);
    name = {entry.name, nullptr, entry.token, field_flaw::kNone, true};
  } else {
    HeaderText* holder = table_.at(index - kHpackStaticEntries - 1);
    if (holder == nullptr) return Step::kBroken;
    name = {holder->name(), holder, holder->token(), static_cast<std::uint8_t>(holder->flaws() & field_flaw::kName),
            true};
  }
  Encoded value;
  if (const Step done = read_string(p, end, 0, value); done != Step::kDone) return done;
  at = p;
  if (value.too_long) {
    if (!literal_name.valid()) return Step::kBroken;
    begin_skip(Skip::kValue, value, indexing);
    return Step::kDone;
  }
  return finish_literal(name, literal_name, value, pattern, list_limit, into);
}

HpackDecoder::Step HpackDecoder::finish_literal(Name& name, const Encoded& literal_name, const Encoded& value,
                                                std::uint8_t pattern, std::size_t list_limit, HeaderBlock& into) {
  const bool indexing = pattern == kIncremental;
  // What is certainly too large, for list and table, is only checked.
  const std::size_t least = name.text.size() + literal_name.least() + value.least() + kHpackEntryOverhead;
  if (into.list_bytes() + least > list_limit) too_large_ = true;
  if (too_large_ && (!indexing || least > table_.limit())) {
    if (indexing) table_.clear();
    return literal_name.valid() && value.valid() ? Step::kDone : Step::kBroken;
  }

  Scratch scratch;
  std::string_view value_text;
  if (!name.known) {
    if (!literal_name.decode(scratch, name.text)) return Step::kBroken;
    name.token = header_token(name.text);
    name.flaws = names_one(name.token) ? field_flaw::kNone : name_flaws(name.text);
  }
  if (!value.decode(scratch, value_text)) return Step::kBroken;
  const std::uint8_t flaws = name.flaws | value_flaws(value_text);
  const std::size_t entry_bytes = name.text.size() + value_text.size() + kHpackEntryOverhead;
  if (into.list_bytes() + entry_bytes > list_limit) too_large_ = true;

  if (indexing && entry_bytes <= table_.limit()) {
    HeaderText* text = HeaderText::make(name.text, value_text, name.token, flaws);
    if (!too_large_) into.add_text(text);
    table_.insert(text);
    text->drop_reference();
    return Step::kDone;
  }
  if (!too_large_) {
    const bool never_index = pattern == kNeverIndexed;
    if (name.holder != nullptr) {
      into.add_copy(name.holder, value_text, flaws, never_index);
    } else {
      into.add_copy(name.text, !name.known, value_text, name.token, flaws, never_index);
    }
  }
  if (indexing) table_.clear();  // RFC 7541 4.4: larger than the table
  return Step::kDone;
}

void HpackDecoder::begin_skip(Skip what, const Encoded& string, bool indexing) {
  // Nothing this long fits into a table of kTableBytes, decoded or not.
  static_assert(huffman_least(kMaxStringBytes) > kTableBytes);
  too_large_ = true;
  skip_ = what;
  skip_huffman_ = string.huffman;
  skip_indexing_ = indexing;
  skip_left_ = string.length;
  skip_decoder_ = HuffmanDecoder();
}

bool HpackDecoder::skip(const std::uint8_t*& at, const std::uint8_t* end) {
  if (skip_ == Skip::kValueLength) {
    held_.push_back(static_cast<char>(*at++));
    const std::uint8_t* held = bytes_of(held_);
    std::uint32_t length = 0;
    switch (read_hpack_integer(held, held + held_.size(), 7, length)) {
      case HpackInteger::kOk:
        break;
      case HpackInteger::kCutOff:
        return true;
      case HpackInteger::kBroken:
        return false;
    }
    const bool huffman = (static_cast<std::uint8_t>(held_[0]) & kHuffman) != 0;
    held_.clear();
    begin_skip(Skip::kValue, {nullptr, length, huffman, true}, skip_indexing_);
    return skip_left_ != 0 || end_skipped_string();
  }
  const std::size_t bytes = std::min(skip_left_, static_cast<std::size_t>(end - at));
  if (skip_huffman_ && !skip_decoder_.skip(at, bytes)) return false;
  at += bytes;
  skip_left_ -= bytes;
  return skip_left_ != 0 || end_skipped_string();
}

bool HpackDecoder::end_skipped_string() {
  if (skip_huffman_ && !skip_decoder_.may_end()) return false;
  if (skip_ == Skip::kName) {
    skip_ = Skip::kValueLength;
    return true;
  }
  skip_ = Skip::kNothing;
  if (skip_indexing_) table_.clear();
  return true;
}

}  // namespace ficus
