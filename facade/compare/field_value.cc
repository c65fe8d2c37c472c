#include "facade/compare/field_value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include "facade/compare/scalar_visit.h"

namespace ficus {
namespace {

namespace pb = google::protobuf;

template <class T>
std::string number_text(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "nan";  // to_chars would show a NaN's sign
  }
  std::array<char, 64> text;
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), result.ptr);
}

template <class T>
bool values_equal(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a == b || (std::isnan(a) && std::isnan(b));
  } else {
    return a == b;
  }
}

template <class T>
std::string canonical(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_floating_point_v<T>) {
    const T same = std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value == 0 ? T{0} : value;
    std::string bytes(sizeof same, '\0');
    std::memcpy(bytes.data(), &same, sizeof same);
    return bytes;
  } else {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
}

void append_canonical(std::string& out, const pb::UnknownField& field);

std::string canonical_unknown(const pb::UnknownFieldSet& fields) {
  std::string out;
  for (const auto& [number, values] : unknown_values(fields)) {
    append_number(out, static_cast<std::uint64_t>(number));
    append_sized(out, values.canonical);
  }
  return out;
}

void append_canonical(std::string& out, const pb::UnknownField& field) {
  out += static_cast<char>('0' + field.type());
  switch (field.type()) {
    case pb::UnknownField::TYPE_VARINT: append_number(out, field.varint()); break;
    case pb::UnknownField::TYPE_FIXED32: append_number(out, field.fixed32()); break;
    case pb::UnknownField::TYPE_FIXED64: append_number(out, field.fixed64()); break;
    case pb::UnknownField::TYPE_LENGTH_DELIMITED: append_sized(out, field.length_delimited()); break;
    case pb::UnknownField::TYPE_GROUP: append_sized(out, canonical_unknown(field.group())); break;
  }
}

}  // namespace

bool compares_presence(const pb::FieldDescriptor* field, bool absent_equals_default) {
  if (!field->has_presence()) return false;
  return !absent_equals_default || field->real_containing_oneof() != nullptr;
}

bool scalars_equal(const pb::Message& a, int index_a, const pb::Message& b, int index_b,
                   const pb::FieldDescriptor* field) {
  return with_scalar(a, index_a, field, [&](const auto& value_a) {
    return with_scalar(b, index_b, field, [&](const auto& value_b) {
      if constexpr (std::is_same_v<decltype(value_a), decltype(value_b)>) {
        return values_equal(value_a, value_b);
      } else {
        return false;  // never: one field, one type
      }
    });
  });
}

bool scalar_is_default(const pb::Message& message, const pb::FieldDescriptor* field) {
  return with_scalar(message, kSingular, field, [&](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>) {
      return value == field->default_value_string();
    } else if constexpr (std::is_same_v<T, bool>) {
      return value == field->default_value_bool();
    } else if constexpr (std::is_same_v<T, float>) {
      return values_equal(value, field->default_value_float());
    } else if constexpr (std::is_same_v<T, double>) {
      return values_equal(value, field->default_value_double());
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      return value == (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM ? field->default_value_enum()->number()
                                                                              : field->default_value_int32());
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      return value == field->default_value_uint32();
    } else if constexpr (std::is_signed_v<T>) {
      return value == field->default_value_int64();
    } else {
      return value == field->default_value_uint64();
    }
  });
}

std::string canonical_scalar(const pb::Message& message, int index, const pb::FieldDescriptor* field) {
  return with_scalar(message, index, field, [](const auto& value) { return canonical(value); });
}

std::string value_type(const pb::FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return field->type() == pb::FieldDescriptor::TYPE_BYTES ? "bytes" : "string";
    case pb::FieldDescriptor::CPPTYPE_MESSAGE: return "message:" + field->message_type()->full_name();
    default: return field->cpp_type_name();
  }
}

RawValue raw_value(const pb::Message& message, int index, const pb::FieldDescriptor* field, bool plain) {
  if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
    const pb::Reflection& r = *message.GetReflection();
    return raw_message(index == kSingular ? r.GetMessage(message, field) : r.GetRepeatedMessage(message, field, index),
                       plain);
  }
  RawValue out{true, value_type(field), {}};
  out.text = with_scalar(message, index, field, [&](const auto& value) -> std::string {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>) {
      return value;
    } else if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else {
      if constexpr (std::is_same_v<T, std::int32_t>) {
        if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM) {
          if (const auto* known = field->enum_type()->FindValueByNumber(value)) return known->name();
        }
      }
      return number_text(value);
    }
  });
  return out;
}

RawValue raw_message(const pb::Message& message, bool plain) {
  RawValue out{true, "message:" + message.GetDescriptor()->full_name(), {}};
  if (plain) {
    pb::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    printer.PrintToString(message, &out.text);
    if (!out.text.empty() && out.text.back() == ' ') out.text.pop_back();
    return out;
  }
  pb::io::StringOutputStream stream(&out.text);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);  // maps in order: equal messages hash alike
  message.SerializePartialToCodedStream(&coded);
  coded.Trim();
  return out;
}

MapEntries map_entries(const pb::Message& message, const pb::FieldDescriptor* field) {
  const pb::Reflection& r = *message.GetReflection();
  MapEntries entries;
  const int size = r.FieldSize(message, field);
  for (int i = 0; i < size; ++i) {
    const pb::Message& entry = r.GetRepeatedMessage(message, field, i);
    entries[raw_value(entry, kSingular, map_key_field(field), false).text] = &entry;
  }
  return entries;
}

std::map<int, UnknownValues> unknown_values(const pb::UnknownFieldSet& fields) {
  std::map<int, UnknownValues> out;
  for (int i = 0; i < fields.field_count(); ++i) {
    const pb::UnknownField& field = fields.field(i);
    auto [at, first] = out.try_emplace(field.number());
    UnknownValues& values = at->second;
    if (first) values.type = field.type();
    append_canonical(values.canonical, field);
    pb::UnknownFieldSet alone;
    alone.AddField(field);
    std::string wire;
    alone.SerializeToString(&wire);
    values.wire += wire;
  }
  return out;
}

void append_sized(std::string& out, std::string_view bytes) {
  append_number(out, bytes.size());
  out += bytes;
}

void append_number(std::string& out, std::uint64_t number) {
  while (number >= 0x80) {
    out += static_cast<char>((number & 0x7f) | 0x80);
    number >>= 7;
  }
  out += static_cast<char>(number);
}

}  // namespace ficus
