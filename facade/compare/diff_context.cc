#include "facade/compare/diff_context.h"

#include <google/protobuf/descriptor.h>

#include "facade/compare/message_parse.h"
#include "facade/compare/schema_paths.h"

namespace ficus {

std::optional<OpenedAny> open_any(const google::protobuf::Message& message, int depth, const DiffContext& context) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  if (type->full_name() != "google.protobuf.Any") return std::nullopt;
  const FieldDescriptor* url_field = type->FindFieldByNumber(1);
  const FieldDescriptor* value_field = type->FindFieldByNumber(2);
  if (url_field == nullptr || url_field->type() != FieldDescriptor::TYPE_STRING || url_field->is_repeated() ||
      value_field == nullptr || value_field->type() != FieldDescriptor::TYPE_BYTES || value_field->is_repeated()) {
    return std::nullopt;
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  OpenedAny any;
  any.url = reflection.GetString(message, url_field);
  any.type_name = any.url.substr(any.url.rfind('/') + 1);  // npos + 1 == 0: all of it
  std::string scratch;
  const std::string& value = reflection.GetStringReference(message, value_field, &scratch);
  if (any.type_name.empty()) return std::nullopt;
  if (const auto* payload_type = context.store.find_type(any.type_name)) {
    std::size_t elements = context.limits.elements;
    auto payload = parse_message(value, payload_type, context.store, context.limits.recursion - depth - 1, elements);
    if (!context.budget.spend(context.limits.elements - elements)) return any;
    if (payload) {
      any.payload = std::move(*payload);
    } else if (payload.error() == ParseError::kTooDeep) {
      context.budget.stop("too_deep");
    } else if (payload.error() == ParseError::kTooLarge) {
      context.budget.stop("too_large");
    }
  }
  return any;
}

KeyedList keyed_list(const google::protobuf::FieldDescriptor* list, const PathCursor& cursor,
                     const DiffContext& context) {
  const KeyedRule* rule = context.rules.keyed(cursor.path());
  if (rule == nullptr) return {};
  const google::protobuf::FieldDescriptor* by = key_of_entries(list, rule->by.value);
  return by != nullptr ? KeyedList{rule, by} : KeyedList{};
}

bool order_means_nothing(const google::protobuf::FieldDescriptor* list, const PathCursor& cursor,
                         const DiffContext& context) {
  return keyed_list(list, cursor, context).rule != nullptr || context.rules.unordered(cursor.path()) != nullptr;
}

}  // namespace ficus
