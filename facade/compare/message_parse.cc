#include "facade/compare/message_parse.h"

#include <cstdint>
#include <limits>
#include <optional>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>

namespace ficus {
namespace {

namespace pb = google::protobuf;

// Source: protobuf's encoding page, "Message Structure".
enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kGroupStart = 3, kGroupEnd = 4, kFixed32 = 5 };

// Walks the wire format beside the type, allocating nothing.
class WireCount {
 public:
  WireCount(std::string_view bytes, int max_depth, std::size_t& elements)
      : rest_(bytes), max_depth_(max_depth), elements_(elements) {}

  std::optional<ParseError> count(const pb::Descriptor* type) { return message(type, 0, 0); }

 private:
  // Reads up to the end of `rest_`, or, in a group (`group` != 0), up to its end tag.
  std::optional<ParseError> message(const pb::Descriptor* type, std::uint32_t group, int depth) {
    if (depth > max_depth_) return ParseError::kTooDeep;
    while (!rest_.empty()) {
      std::uint64_t tag = 0;
      if (!varint(tag) || tag > std::numeric_limits<std::uint32_t>::max()) return ParseError::kUndecodable;
      const auto number = static_cast<std::uint32_t>(tag >> 3);
      if (number == 0) return ParseError::kUndecodable;
      if ((tag & 7) == kGroupEnd) return number == group ? std::nullopt : std::optional(ParseError::kUndecodable);
      if (!take(1)) return ParseError::kTooLarge;
      if (const auto error = field(find(type, number), number, static_cast<std::uint32_t>(tag & 7), depth))
        return error;
    }
    return group == 0 ? std::nullopt : std::optional(ParseError::kUndecodable);
  }

  std::optional<ParseError> field(const pb::FieldDescriptor* field, std::uint32_t number, std::uint32_t wire,
                                  int depth) {
    std::uint64_t value = 0;
    switch (wire) {
      case kVarint: return varint(value) ? std::nullopt : std::optional(ParseError::kUndecodable);
      case kFixed64: return skip(8);
      case kFixed32: return skip(4);
      case kGroupStart:
        return message(
            field != nullptr && field->type() == pb::FieldDescriptor::TYPE_GROUP ? field->message_type() : nullptr,
            number, depth + 1);
      case kLength: break;
      default: return ParseError::kUndecodable;
    }
    if (!varint(value) || value > rest_.size()) return ParseError::kUndecodable;
    const std::string_view payload = rest_.substr(0, value);
    if (field != nullptr && field->type() == pb::FieldDescriptor::TYPE_MESSAGE) {
      const std::string_view after = rest_.substr(value);
      rest_ = payload;
      const auto error = message(field->message_type(), 0, depth + 1);
      rest_ = after;
      return error;
    }
    rest_.remove_prefix(value);
    if (field != nullptr && field->is_packable() && !take(packed_entries(field, payload))) return ParseError::kTooLarge;
    return std::nullopt;
  }

  static std::size_t packed_entries(const pb::FieldDescriptor* field, std::string_view payload) {
    switch (field->type()) {
      case pb::FieldDescriptor::TYPE_DOUBLE:
      case pb::FieldDescriptor::TYPE_FIXED64:
      case pb::FieldDescriptor::TYPE_SFIXED64: return payload.size() / 8;
      case pb::FieldDescriptor::TYPE_FLOAT:
      case pb::FieldDescriptor::TYPE_FIXED32:
      case pb::FieldDescriptor::TYPE_SFIXED32: return payload.size() / 4;
      default: break;
    }
    std::size_t entries = 0;
    for (const char c : payload) entries += (static_cast<unsigned char>(c) & 0x80) == 0;
    return entries;
  }

  static const pb::FieldDescriptor* find(const pb::Descriptor* type, std::uint32_t number) {
    if (type == nullptr) return nullptr;
    const auto n = static_cast<int>(number);
    if (const auto* field = type->FindFieldByNumber(n)) return field;
    return type->IsExtensionNumber(n) ? type->file()->pool()->FindExtensionByNumber(type, n) : nullptr;
  }

  bool varint(std::uint64_t& value) {
    value = 0;
    for (std::size_t i = 0; i < 10 && i < rest_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) {
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  std::optional<ParseError> skip(std::size_t n) {
    if (n > rest_.size()) return ParseError::kUndecodable;
    rest_.remove_prefix(n);
    return std::nullopt;
  }

  bool take(std::size_t n) {
    if (n > elements_) return false;
    elements_ -= n;
    return true;
  }

  std::string_view rest_;
  int max_depth_;
  std::size_t& elements_;
};

}  // namespace

Result<std::unique_ptr<pb::Message>, ParseError> parse_message(std::string_view bytes, const pb::Descriptor* type,
                                                               const DescriptorStore& store, int max_depth,
                                                               std::size_t& elements) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return fail(ParseError::kTooLarge);
  if (const auto error = WireCount(bytes, max_depth, elements).count(type)) return fail(*error);
  std::unique_ptr<pb::Message> message = store.new_message(type);
  pb::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  input.SetRecursionLimit(max_depth + 1);  // a second lock on the same door: the count above reads what the parser will
  if (!message->ParsePartialFromCodedStream(&input) || !input.ConsumedEntireMessage()) {
    return fail(ParseError::kUndecodable);
  }
  return message;
}

}  // namespace ficus
