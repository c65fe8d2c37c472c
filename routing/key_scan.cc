#include "routing/key_scan.h"

#include <charconv>

namespace ficus {
namespace {

// Source: protobuf.dev/programming-guides/encoding; where that is silent (limits, overlong varints), protobuf C++ 3.21.
enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLen = 2, kGroupStart = 3, kGroupEnd = 4, kFixed32 = 5 };
constexpr int kMaxVarintBytes = 10;
constexpr int kMaxTagBytes = 5;     // bits above 32 are dropped, as protobuf's C++ parser does
constexpr int kMaxDepth = 100;      // messages and groups in one another

struct Cursor {
  const unsigned char* at;
  const unsigned char* end;
  std::size_t left() const { return static_cast<std::size_t>(end - at); }
};

// False: the bytes end early or the varint is longer than allowed.
bool read_varint(Cursor& in, int max_bytes, std::uint64_t& value) {
  value = 0;
  for (int i = 0; i < max_bytes; ++i) {
    if (in.at == in.end) return false;
    const std::uint64_t byte = *in.at++;
    if (i < kMaxVarintBytes - 1) {
      value |= (byte & 0x7f) << (7 * i);
    } else {
      value |= (byte & 1) << 63;  // of the tenth byte only one bit is left; the rest is dropped, as protobuf does
    }
    if (byte < 0x80) return true;
  }
  return false;
}

bool read_tag(Cursor& in, std::uint32_t& field, std::uint32_t& wire_type) {
  std::uint64_t tag = 0;
  if (!read_varint(in, kMaxTagBytes, tag)) return false;
  field = static_cast<std::uint32_t>(tag) >> 3;
  wire_type = static_cast<std::uint32_t>(tag) & 7;
  return field != 0;
}

bool read_length(Cursor& in, std::size_t& length) {
  std::uint64_t value = 0;
  if (!read_varint(in, kMaxTagBytes, value) || value > in.left()) return false;
  length = static_cast<std::size_t>(value);
  return true;
}

bool read_fixed(Cursor& in, std::size_t bytes, std::uint64_t& value) {
  if (in.left() < bytes) return false;
  value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(in.at[i]) << (8 * i);
  in.at += bytes;
  return true;
}

// Skips the body of a group whose start tag was read, up to and with its end tag. No recursion: a hostile message must
// not reach deep into the stack.
bool skip_group(Cursor& in, std::uint32_t group, int depth) {
  std::uint32_t open[kMaxDepth];
  int count = 0;
  for (;;) {
    if (depth + count >= kMaxDepth) return false;
    open[count++] = group;
    // Reads fields until another group begins (then around again) or the outermost one is closed.
    for (;;) {
      std::uint32_t field = 0, wire_type = 0;
      std::uint64_t ignored = 0;
      std::size_t length = 0;
      if (!read_tag(in, field, wire_type)) return false;
      if (wire_type == kGroupStart) {
        group = field;
        break;
      }
      switch (wire_type) {
        case kVarint:
          if (!read_varint(in, kMaxVarintBytes, ignored)) return false;
          break;
        case kFixed64:
          if (!read_fixed(in, 8, ignored)) return false;
          break;
        case kFixed32:
          if (!read_fixed(in, 4, ignored)) return false;
          break;
        case kLen:
          if (!read_length(in, length)) return false;
          in.at += length;
          break;
        case kGroupEnd:
          if (field != open[count - 1]) return false;
          if (--count == 0) return true;
          break;
        default: return false;
      }
    }
  }
}

WireType wire_type_of(KeyLeaf leaf) {
  switch (leaf) {
    case KeyLeaf::kBytes: return kLen;
    case KeyLeaf::kFixed32:
    case KeyLeaf::kSfixed32: return kFixed32;
    case KeyLeaf::kFixed64:
    case KeyLeaf::kSfixed64: return kFixed64;
    default: return kVarint;
  }
}

// The last value seen of the leaf: a number as it stood on the wire, or bytes.
struct Found {
  bool seen = false;
  std::uint64_t number = 0;
  std::string_view bytes;
};

// Scans one message on the path; `step` is the index of the field to look for in it. Recursion is as deep as the path.
bool scan_message(Cursor in, const KeyPath& path, std::size_t step, Found& found) {
  const int depth = static_cast<int>(step);
  if (depth > kMaxDepth) return false;
  const std::uint32_t wanted = path.field_numbers[step];
  const bool is_leaf = step + 1 == path.field_numbers.size();
  const WireType wanted_type = is_leaf ? wire_type_of(path.leaf) : kLen;
  while (in.at != in.end) {
    std::uint32_t field = 0, wire_type = 0;
    if (!read_tag(in, field, wire_type)) return false;
    const bool hit = field == wanted && wire_type == static_cast<std::uint32_t>(wanted_type);
    std::uint64_t number = 0;
    std::size_t length = 0;
    switch (wire_type) {
      case kVarint:
        if (!read_varint(in, kMaxVarintBytes, number)) return false;
        break;
      case kFixed64:
        if (!read_fixed(in, 8, number)) return false;
        break;
      case kFixed32:
        if (!read_fixed(in, 4, number)) return false;
        break;
      case kLen: {
        if (!read_length(in, length)) return false;
        const Cursor body{in.at, in.at + length};
        in.at += length;
        if (!hit) continue;
        if (!is_leaf) {
          if (!scan_message(body, path, step + 1, found)) return false;
          continue;
        }
        found.bytes = {reinterpret_cast<const char*>(body.at), length};
        break;
      }
      case kGroupStart:
        if (!skip_group(in, field, depth)) return false;
        continue;
      default: return false;  // a group's end without its start, or a wire type that does not exist
    }
    if (hit) {
      found.seen = true;
      found.number = number;
    }
  }
  return true;
}

template <class Integer>
std::string decimal(Integer value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}

template <class Integer>
Result<std::string, NoKey> integer_key(Integer value) {
  if (value == 0) return fail(NoKey::kUnset);
  return decimal(value);
}

constexpr std::int64_t zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

}  // namespace

std::string_view to_string(NoKey reason) {
  switch (reason) {
    case NoKey::kUnset: return "unset";
    case NoKey::kTooLong: return "too_long";
    case NoKey::kMalformed: return "malformed";
    case NoKey::kUnknownEncoding: return "unknown_encoding";
    case NoKey::kStreaming: return "streaming";
    case NoKey::kNoSchema: return "no_schema";
    case NoKey::kNoMetadata: return "no_metadata";
  }
  return "unknown";
}

Result<std::string, NoKey> scan_key(std::string_view message, const KeyPath& path) {
  if (path.field_numbers.empty()) return fail(NoKey::kUnset);
  const auto* begin = reinterpret_cast<const unsigned char*>(message.data());
  Found found;
  if (!scan_message({begin, begin + message.size()}, path, 0, found)) return fail(NoKey::kMalformed);
  if (!found.seen) return fail(NoKey::kUnset);
  const std::uint64_t number = found.number;
  switch (path.leaf) {
    case KeyLeaf::kBytes:
      if (found.bytes.empty()) return fail(NoKey::kUnset);
      return std::string(found.bytes);
    case KeyLeaf::kBool:
      if (number == 0) return fail(NoKey::kUnset);
      return std::string("1");
    case KeyLeaf::kInt32:
    case KeyLeaf::kSfixed32: return integer_key(static_cast<std::int32_t>(static_cast<std::uint32_t>(number)));
    case KeyLeaf::kUint32:
    case KeyLeaf::kFixed32: return integer_key(static_cast<std::uint32_t>(number));
    case KeyLeaf::kInt64:
    case KeyLeaf::kSfixed64: return integer_key(static_cast<std::int64_t>(number));
    case KeyLeaf::kUint64:
    case KeyLeaf::kFixed64: return integer_key(number);
    case KeyLeaf::kSint32:
      return integer_key(static_cast<std::int32_t>(zigzag(static_cast<std::uint32_t>(number))));
    case KeyLeaf::kSint64: return integer_key(zigzag(number));
  }
  return fail(NoKey::kUnset);
}

}  // namespace ficus
