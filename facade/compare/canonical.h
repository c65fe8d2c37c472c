// Canonical bytes of messages: two messages are alike under the rules, tolerances aside, exactly when their canonical
// bytes are equal. That makes "alike" an equivalence, so that lists can be matched by sorting instead of pair by pair.
// Being near is none, so tolerances have bytes of their own: loose ones, which leave out what a tolerance is about.
// Messages alike with tolerances have equal loose bytes, but not all that have them are alike.
#pragma once

#include <string>
#include <vector>

#include "facade/compare/diff_context.h"
#include "facade/compare/path_cursor.h"

namespace ficus {

// Ignored fields are left out, `unordered` and `keyed` lists sorted, defaults left out where absent equals default;
// NaNs, zeros, unknown fields and maps are brought into one form; an Any's payload is taken apart where the schema has
// its type.
class Canonicalizer {
 public:
  // kNone: nothing ignored, every list in order. kLoose: like kApply, but without what tolerances are about.
  enum class Rules { kApply, kNone, kLoose };

  // `cursor` stands at the message's path whenever a function is called, and is back there when it returns.
  Canonicalizer(const DiffContext& context, PathCursor& cursor, Rules rules)
      : context_(context),
        cursor_(cursor),
        apply_(rules != Rules::kNone && context.rules.swallows()),
        loose_(rules == Rules::kLoose && context.rules.tolerates()) {}

  // Empty for a message that is alike to an empty one.
  std::string message(const google::protobuf::Message& message);
  // The field's bytes; empty where it is left out. The cursor stands at the field itself, and the caller has asked
  // whether it is ignored.
  std::string field(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);
  // The same of each entry of a repeated field that is no map, in the list's order. `places`, of loose bytes: gets for
  // each entry the places (tolerance.h) of what was left out, in the order of the fields.
  std::vector<std::string> entries(const google::protobuf::Message& message,
                                   const google::protobuf::FieldDescriptor* field,
                                   std::vector<std::vector<double>>* places = nullptr);

 private:
  std::string map(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);
  std::string any(const OpenedAny& any, const google::protobuf::Message& message);
  std::string value(const google::protobuf::Message& message, int index,
                    const google::protobuf::FieldDescriptor* field);
  // Left out of the bytes, because a tolerance is about it.
  bool takes_place(const google::protobuf::Message& message, int index, const google::protobuf::FieldDescriptor* field);
  bool takes_place(const google::protobuf::Message& time);
  // Whether the rules ignore what the cursor stands at.
  bool ignored() const { return apply_ && context_.rules.ignored(cursor_.path()) != nullptr; }

  const DiffContext& context_;
  PathCursor& cursor_;
  bool apply_;
  bool loose_;
  std::vector<double> places_;
};

}  // namespace ficus
