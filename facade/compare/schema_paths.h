// Paths judged against message types: whether a pattern can match anything, and where a key stands. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/field_path.h"
#include "routing/method_catalog.h"
#include "routing/result.h"

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
}  // namespace google::protobuf

namespace ficus {

// Which fields will do.
using FieldTest = std::function<bool(const google::protobuf::FieldDescriptor*)>;
bool any_field(const google::protobuf::FieldDescriptor* field);
bool is_list(const google::protobuf::FieldDescriptor* field);  // repeated, and no map: what `unordered` can be said of
// A list of messages that have a singular scalar field `by`.
bool is_keyed_list(const google::protobuf::FieldDescriptor* field, std::string_view by);
// The field's values, in a list or a map too, are such.
bool is_measure(const google::protobuf::FieldDescriptor* field, Measure measure);

// The field of an entry that a list can be matched by; null: the entries have none.
const google::protobuf::FieldDescriptor* key_of_entries(const google::protobuf::FieldDescriptor* list,
                                                        std::string_view by);
// google.protobuf.Timestamp or Duration, made as they are: int64 seconds = 1, int32 nanos = 2.
bool is_time(const google::protobuf::Descriptor* type);

// Whether a message of the type can hold a field that the pattern matches and that will do. Each pair of type and place
// in the pattern is looked at once, so recursive types end. An Any may hold any of `known`: payloads of other types are
// not taken apart when answers are compared.
bool type_has(const google::protobuf::Descriptor* type, const PathPattern& pattern, const FieldTest& wanted,
              const std::vector<const google::protobuf::Descriptor*>& known);

// `dotted` -> field numbers. Error: a sentence that says which step fails and why.
Result<KeyPath, std::string> key_path_of(const google::protobuf::Descriptor* type, std::string_view dotted);

}  // namespace ficus
