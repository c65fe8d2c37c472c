// Single values of messages, through reflection: equality, canonical bytes, text, presence. Pure; any thread.
//
// Equality is of meaning, not of bits: a NaN equals any NaN, -0 equals 0. Enums are compared by number.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include "facade/compare/comparison.h"

namespace ficus {

// Index of a singular field.
inline constexpr int kSingular = -1;

// Whether the field's presence is a difference of its own. With `absent_equals_default` it is not, except for a member
// of a real oneof: which member is set is a value, whatever it is set to. Fields without presence (proto3's plain
// scalars) cannot tell absent from default on the wire.
bool compares_presence(const google::protobuf::FieldDescriptor* field, bool absent_equals_default);

// Scalars, strings, bytes and enums only. An absent field has its default value.
bool scalars_equal(const google::protobuf::Message& a, int index_a, const google::protobuf::Message& b, int index_b,
                   const google::protobuf::FieldDescriptor* field);
bool scalar_is_default(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);
// Equal values give equal bytes, others differ (of one field).
std::string canonical_scalar(const google::protobuf::Message& message, int index,
                             const google::protobuf::FieldDescriptor* field);

// "string", "int64", "enum", "message:insurance.policy.v1.Money".
std::string value_type(const google::protobuf::FieldDescriptor* field);
// The value as a report shows it; RawValue says how. `plain` chooses the form of messages.
RawValue raw_value(const google::protobuf::Message& message, int index, const google::protobuf::FieldDescriptor* field,
                   bool plain);
RawValue raw_message(const google::protobuf::Message& message, bool plain);

// A map's entries by their keys' text; of entries with one key the last counts, as in every protobuf parser.
using MapEntries = std::map<std::string, const google::protobuf::Message*>;
MapEntries map_entries(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);
inline const google::protobuf::FieldDescriptor* map_key_field(const google::protobuf::FieldDescriptor* map) {
  return map->message_type()->map_key();
}
inline const google::protobuf::FieldDescriptor* map_value_field(const google::protobuf::FieldDescriptor* map) {
  return map->message_type()->map_value();
}

// Unknown fields by number, in the order they came in; the order of different numbers means nothing.
struct UnknownValues {
  google::protobuf::UnknownField::Type type{};  // of the first
  std::string canonical;                        // all values
  std::string wire;                             // all values as on the wire
};
std::map<int, UnknownValues> unknown_values(const google::protobuf::UnknownFieldSet& fields);

// Appends `bytes` so that what follows cannot be mistaken for a part of it.
void append_sized(std::string& out, std::string_view bytes);
void append_number(std::string& out, std::uint64_t number);

}  // namespace ficus
