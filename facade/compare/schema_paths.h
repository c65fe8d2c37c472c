// Paths judged against message types: whether a pattern can match anything, and where a key stands. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routing/field_path.h"
#include "routing/method_catalog.h"
#include "routing/result.h"

namespace google::protobuf {
class Descriptor;
}  // namespace google::protobuf

namespace ficus {

enum class FieldWanted {
  kAny,
  kList,  // repeated, and no map: what `unordered` can be said of
};

// Whether a message of the type can hold a field that the pattern matches. Each pair of type and place in the pattern
// is looked at once, so recursive types end. An Any may hold any of `known`: payloads of other types are not taken
// apart when answers are compared.
bool type_has(const google::protobuf::Descriptor* type, const PathPattern& pattern, FieldWanted wanted,
              const std::vector<const google::protobuf::Descriptor*>& known);

// `dotted` -> field numbers. Error: a sentence that says which step fails and why.
Result<KeyPath, std::string> key_path_of(const google::protobuf::Descriptor* type, std::string_view dotted);

}  // namespace ficus
