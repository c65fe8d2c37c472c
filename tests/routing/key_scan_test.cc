#include "routing/key_scan.h"

#include <gtest/gtest.h>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ficus {
namespace {

namespace pb = google::protobuf;
using namespace std::string_literals;

// ---- a writer of wire format, right and wrong ----
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}
std::string tag(std::uint32_t field, std::uint32_t wire_type) { return varint(std::uint64_t{field} << 3 | wire_type); }
std::string number(std::uint32_t field, std::uint64_t value) { return tag(field, 0) + varint(value); }
std::string len(std::uint32_t field, const std::string& body) { return tag(field, 2) + varint(body.size()) + body; }
std::string fixed32(std::uint32_t field, std::uint32_t value) {
  std::string bytes = tag(field, 5);
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string fixed64(std::uint32_t field, std::uint64_t value) {
  std::string bytes = tag(field, 1);
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string group(std::uint32_t field, const std::string& body) { return tag(field, 3) + body + tag(field, 4); }

std::string nested(std::string innermost, int depth, std::string (*wrap)(std::uint32_t, const std::string&)) {
  for (int i = 0; i < depth; ++i) innermost = wrap(7, innermost);
  return innermost;
}

std::string outcome(const Result<std::string, NoKey>& result) {
  return result ? "key " + *result : std::string(to_string(result.error()));
}
std::string scan(const std::string& message, std::vector<std::uint32_t> path, KeyLeaf leaf = KeyLeaf::kBytes) {
  return outcome(scan_key(message, {std::move(path), leaf}));
}

TEST(KeyScanTest, ReadsEveryLeafAsItsText) {
  struct Case {
    const char* name;
    KeyLeaf leaf;
    std::string message;
    std::string want;
  };
  const std::uint64_t minus_one = ~std::uint64_t{0};
  const Case cases[] = {
      {"string", KeyLeaf::kBytes, len(1, "P-1"), "key P-1"},
      {"bytes are raw", KeyLeaf::kBytes, len(1, "\0\xff"s), "key \0\xff"s},
      {"empty string", KeyLeaf::kBytes, len(1, ""), "unset"},
      {"true", KeyLeaf::kBool, number(1, 1), "key 1"},
      {"true as any other number", KeyLeaf::kBool, number(1, 1u << 20), "key 1"},
      {"false", KeyLeaf::kBool, number(1, 0), "unset"},
      {"int32", KeyLeaf::kInt32, number(1, 42), "key 42"},
      {"negative int32", KeyLeaf::kInt32, number(1, minus_one), "key -1"},
      {"int32 keeps the low 32 bits", KeyLeaf::kInt32, number(1, 0x1'0000'0007), "key 7"},
      {"int32 whose low bits are zero", KeyLeaf::kInt32, number(1, 0x1'0000'0000), "unset"},
      {"smallest int32", KeyLeaf::kInt32, number(1, 0x8000'0000), "key -2147483648"},
      {"uint32", KeyLeaf::kUint32, number(1, 0xffff'ffff), "key 4294967295"},
      {"int64", KeyLeaf::kInt64, number(1, std::uint64_t{1} << 63), "key -9223372036854775808"},
      {"uint64", KeyLeaf::kUint64, number(1, minus_one), "key 18446744073709551615"},
      {"sint32", KeyLeaf::kSint32, number(1, 1), "key -1"},
      {"largest sint32", KeyLeaf::kSint32, number(1, 0xffff'fffe), "key 2147483647"},
      {"sint64", KeyLeaf::kSint64, number(1, minus_one), "key -9223372036854775808"},
      {"fixed32", KeyLeaf::kFixed32, fixed32(1, 0xffff'ffff), "key 4294967295"},
      {"sfixed32", KeyLeaf::kSfixed32, fixed32(1, 0xffff'ffff), "key -1"},
      {"fixed64", KeyLeaf::kFixed64, fixed64(1, minus_one), "key 18446744073709551615"},
      {"sfixed64", KeyLeaf::kSfixed64, fixed64(1, minus_one), "key -1"},
      {"zero", KeyLeaf::kInt64, number(1, 0), "unset"},
  };
  for (const Case& c : cases) EXPECT_EQ(scan(c.message, {1}, c.leaf), c.want) << c.name;
}

TEST(KeyScanTest, LastOccurrenceWins) {
  EXPECT_EQ(scan(len(1, "a") + len(1, "b"), {1}), "key b");
  EXPECT_EQ(scan(len(1, "a") + len(1, ""), {1}), "unset") << "the last one is the default";
  EXPECT_EQ(scan(len(2, len(1, "a")) + len(2, len(1, "b")), {2, 1}), "key b");
}

TEST(KeyScanTest, LaterParentMergesIntoTheEarlierOne) {
  EXPECT_EQ(scan(len(2, len(1, "a")) + len(2, number(9, 1)), {2, 1}), "key a");
  EXPECT_EQ(scan(len(2, len(1, "a")) + len(2, ""), {2, 1}), "key a");
}

TEST(KeyScanTest, AnotherWireTypeIsAnUnknownField) {
  EXPECT_EQ(scan(number(1, 5), {1}), "unset");
  EXPECT_EQ(scan(len(1, "a") + number(1, 5), {1}), "key a");
  EXPECT_EQ(scan(len(1, "\x05"), {1}, KeyLeaf::kInt32), "unset") << "packed, but the field is singular";
  EXPECT_EQ(scan(group(1, len(1, "inner")), {1}), "unset") << "what a group holds is not the message's";
  EXPECT_EQ(scan(number(2, 1) + group(2, len(1, "inner")), {2, 1}), "unset");
}

TEST(KeyScanTest, SkipsUnknownFieldsAndGroups) {
  const std::string before = number(3, 1) + fixed32(4, 2) + fixed64(5, 3) + len(6, "xyz") + group(7, len(1, "no") + group(8, ""));
  EXPECT_EQ(scan(before + len(1, "key") + before, {1}), "key key");
  EXPECT_EQ(scan("", {1}), "unset");
}

TEST(KeyScanTest, WhatIsNotProtobufIsMalformed) {
  struct Case {
    const char* name;
    std::string message;
  };
  const Case cases[] = {
      {"field number 0", "\x02\x01\x61"s},
      {"zero byte", "\0"s},
      {"tag cut off", "\x80"s},
      {"tag over 5 bytes", "\x88\x80\x80\x80\x80\x00\x01"s},
      {"varint cut off", tag(3, 0) + "\x80"s},
      {"varint over 10 bytes", tag(3, 0) + std::string(10, '\x80') + "\x01"},
      {"length cut off", tag(3, 2)},
      {"length beyond the end", tag(3, 2) + "\x05"s + "abc"},
      {"huge length", tag(3, 2) + "\xff\xff\xff\xff\x0f"},
      {"length over 5 bytes", tag(3, 2) + "\x80\x80\x80\x80\x80\x00"s},
      {"fixed32 cut off", tag(3, 5) + "abc"},
      {"fixed64 cut off", tag(3, 1) + "abcdefg"},
      {"wire type 6", tag(3, 6)},
      {"wire type 7", tag(3, 7)},
      {"group not closed", tag(3, 3)},
      {"group closed by another", tag(3, 3) + tag(4, 4)},
      {"group crossing a group", tag(3, 3) + tag(4, 3) + tag(3, 4) + tag(4, 4)},
      {"group's end alone", tag(3, 4)},
      {"field number 0 in a group", group(3, "\x02\x00"s)},
      {"malformed message on the path", len(2, tag(1, 2) + "\x09")},
      {"groups too deep", nested("", 101, group)},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(scan(c.message, {2, 1}), "malformed") << c.name;
    EXPECT_EQ(scan(len(2, len(1, "found")) + c.message, {2, 1}), "malformed") << c.name << ", after the key";
  }
}

TEST(KeyScanTest, MessagesOffThePathAreNotLookedInto) { EXPECT_EQ(scan(len(5, "\xff\xff") + len(1, "a"), {1}), "key a"); }

TEST(KeyScanTest, GroupsNestAsDeepAsProtobufAllows) {
  EXPECT_EQ(scan(nested("", 100, group) + len(1, "a"), {1}), "key a");
  EXPECT_EQ(scan(nested("", 101, group) + len(1, "a"), {1}), "malformed");
  EXPECT_EQ(scan(len(2, nested("", 99, group) + len(1, "a")), {2, 1}), "key a");
  EXPECT_EQ(scan(len(2, nested("", 100, group) + len(1, "a")), {2, 1}), "malformed");
}

TEST(KeyScanTest, AnEmptyPathFindsNothing) { EXPECT_EQ(scan(len(1, "a"), {}), "unset"); }

// ---- against protobuf ----

// Messages M0 { M1 f = n0; } M1 { ... } with nothing but the path in them, so that protobuf looks into just what the
// scan looks into, and parses exactly when the scan does not call it malformed.
class PathSchema {
 public:
  PathSchema(const KeyPath& path, pb::FieldDescriptorProto::Type type) : path_(path) {
    pb::FileDescriptorProto file;
    file.set_name("path.proto");
    file.set_syntax("proto3");
    auto* values = file.add_enum_type();
    values->set_name("E");
    auto* zero = values->add_value();
    zero->set_name("ZERO");
    zero->set_number(0);
    for (std::size_t i = 0; i < path.field_numbers.size(); ++i) {
      auto* message = file.add_message_type();
      message->set_name("M" + std::to_string(i));
      auto* field = message->add_field();
      field->set_name("f");
      field->set_number(static_cast<std::int32_t>(path.field_numbers[i]));
      field->set_label(pb::FieldDescriptorProto::LABEL_OPTIONAL);
      if (i + 1 < path.field_numbers.size()) {
        field->set_type(pb::FieldDescriptorProto::TYPE_MESSAGE);
        field->set_type_name(".M" + std::to_string(i + 1));
      } else {
        field->set_type(type);
        if (type == pb::FieldDescriptorProto::TYPE_ENUM) field->set_type_name(".E");
      }
    }
    root_ = pool_.BuildFile(file)->message_type(0);
  }

  std::string expected(const std::string& bytes) {
    std::unique_ptr<pb::Message> message(factory_.GetPrototype(root_)->New());
    if (!message->ParsePartialFromString(bytes)) return "malformed";
    const pb::Message* at = message.get();
    for (std::size_t i = 0; i + 1 < path_.field_numbers.size(); ++i) {
      at = &at->GetReflection()->GetMessage(*at, at->GetDescriptor()->field(0));
    }
    const pb::Reflection* reflection = at->GetReflection();
    const pb::FieldDescriptor* field = at->GetDescriptor()->field(0);
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        const std::string value = reflection->GetString(*at, field);
        return value.empty() ? "unset" : "key " + value;
      }
      case pb::FieldDescriptor::CPPTYPE_BOOL: return reflection->GetBool(*at, field) ? "key 1" : "unset";
      case pb::FieldDescriptor::CPPTYPE_INT32: return text(reflection->GetInt32(*at, field));
      case pb::FieldDescriptor::CPPTYPE_UINT32: return text(reflection->GetUInt32(*at, field));
      case pb::FieldDescriptor::CPPTYPE_INT64: return text(reflection->GetInt64(*at, field));
      case pb::FieldDescriptor::CPPTYPE_UINT64: return text(reflection->GetUInt64(*at, field));
      case pb::FieldDescriptor::CPPTYPE_ENUM: return text(reflection->GetEnumValue(*at, field));
      default: return "?";
    }
  }

 private:
  template <class Integer>
  static std::string text(Integer value) {
    return value == 0 ? "unset" : "key " + std::to_string(value);
  }

  KeyPath path_;
  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_{&pool_};
  const pb::Descriptor* root_ = nullptr;
};

class WireMaker {
 public:
  WireMaker(std::mt19937& random, const KeyPath& path) : random_(random), path_(path) {}

  // A well-formed message with the path's fields in it more often than not.
  std::string message(std::size_t step, int depth = 0) {
    std::string bytes;
    for (auto n = random_() % 5; n > 0; --n) bytes += field(step, depth);
    return bytes;
  }

  std::string broken(std::string bytes) {
    for (auto n = 1 + random_() % 3; n > 0; --n) {
      const std::size_t at = bytes.empty() ? 0 : random_() % bytes.size();
      switch (random_() % 5) {
        case 0: bytes.resize(at); break;
        case 1: bytes.insert(at, 1, static_cast<char>(random_())); break;
        case 2: bytes.insert(at, std::string(random_() % 12, '\x80')); break;
        case 3:
          if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_() % 8));
          break;
        default:
          if (!bytes.empty()) bytes.erase(at, 1 + random_() % 3);
      }
    }
    return bytes;
  }

  std::string garbage() {
    std::string bytes(random_() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random_() % 3 == 0 ? random_() : random_() % 32);
    return bytes;
  }

 private:
  std::string field(std::size_t step, int depth) {
    const bool on_path = step < path_.field_numbers.size() && random_() % 2 == 0;
    const std::uint32_t number_of_field = on_path ? path_.field_numbers[step] : 1 + random_() % 20;
    switch (random_() % 6) {
      case 0: return number(number_of_field, some_number());
      case 1: return fixed32(number_of_field, static_cast<std::uint32_t>(some_number()));
      case 2: return fixed64(number_of_field, some_number());
      case 3: return depth < 4 ? group(number_of_field, message(step + 1, depth + 1)) : "";
      default: return len(number_of_field, depth < 4 && random_() % 4 != 0 ? message(step + 1, depth + 1) : "");
    }
  }
  std::uint64_t some_number() {
    const std::uint64_t bits = (std::uint64_t{random_()} << 32) | random_();
    return random_() % 3 == 0 ? random_() % 3 : bits >> (random_() % 64);
  }

  std::mt19937& random_;
  const KeyPath& path_;
};

struct LeafType {
  KeyLeaf leaf;
  pb::FieldDescriptorProto::Type type;
};
constexpr LeafType kLeafTypes[] = {
    {KeyLeaf::kBytes, pb::FieldDescriptorProto::TYPE_BYTES},       {KeyLeaf::kBool, pb::FieldDescriptorProto::TYPE_BOOL},
    {KeyLeaf::kInt32, pb::FieldDescriptorProto::TYPE_INT32},       {KeyLeaf::kInt32, pb::FieldDescriptorProto::TYPE_ENUM},
    {KeyLeaf::kUint32, pb::FieldDescriptorProto::TYPE_UINT32},     {KeyLeaf::kInt64, pb::FieldDescriptorProto::TYPE_INT64},
    {KeyLeaf::kUint64, pb::FieldDescriptorProto::TYPE_UINT64},     {KeyLeaf::kSint32, pb::FieldDescriptorProto::TYPE_SINT32},
    {KeyLeaf::kSint64, pb::FieldDescriptorProto::TYPE_SINT64},     {KeyLeaf::kFixed32, pb::FieldDescriptorProto::TYPE_FIXED32},
    {KeyLeaf::kSfixed32, pb::FieldDescriptorProto::TYPE_SFIXED32}, {KeyLeaf::kFixed64, pb::FieldDescriptorProto::TYPE_FIXED64},
    {KeyLeaf::kSfixed64, pb::FieldDescriptorProto::TYPE_SFIXED64},
};

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    char pair[4];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(c));
    text += pair;
  }
  return text;
}

TEST(KeyScanTest, AgreesWithProtobufOnMessagesAndOnGarbage) {
  std::mt19937 random(20260101);
  int keys = 0, unset = 0, malformed = 0;
  for (const LeafType& leaf_type : kLeafTypes) {
    for (const std::vector<std::uint32_t>& numbers :
         {std::vector<std::uint32_t>{1}, {2, 1}, {3, 15, 16}, {536870911}}) {
      const KeyPath path{numbers, leaf_type.leaf};
      PathSchema schema(path, leaf_type.type);
      WireMaker wire(random, path);
      for (int i = 0; i < 3'000; ++i) {
        std::string bytes = i % 10 == 9 ? wire.garbage() : wire.message(0);
        if (i % 3 == 1) bytes = wire.broken(std::move(bytes));
        const std::string want = schema.expected(bytes);
        ASSERT_EQ(outcome(scan_key(bytes, path)), want) << hex(bytes) << " path of " << numbers.size() << " leaf type "
                                                        << leaf_type.type;
        keys += want.starts_with("key ");
        unset += want == "unset";
        malformed += want == "malformed";
      }
    }
  }
  EXPECT_GT(keys, 5'000);
  EXPECT_GT(unset, 5'000);
  EXPECT_GT(malformed, 5'000);
}

}  // namespace
}  // namespace ficus
