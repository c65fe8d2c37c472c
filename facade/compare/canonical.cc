#include "facade/compare/canonical.h"

#include <algorithm>
#include <optional>

#include <google/protobuf/descriptor.h>

#include "facade/compare/field_value.h"
#include "facade/compare/schema_paths.h"
#include "facade/compare/tolerance.h"

namespace ficus {

namespace pb = google::protobuf;

std::string Canonicalizer::message(const pb::Message& message) {
  std::string out;
  if (!context_.budget.spend()) return out;
  const pb::Reflection& reflection = *message.GetReflection();
  if (const auto opened = open_any(message, cursor_.depth(), context_)) {
    out = any(*opened, message);
  } else if (!takes_place(message)) {
    std::vector<const pb::FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const pb::FieldDescriptor* f : fields) {
      if (!context_.budget.spend()) return out;
      const PathCursor::Step step(cursor_, f);
      if (ignored()) continue;
      const std::string bytes = field(message, f);
      if (bytes.empty()) continue;
      append_number(out, static_cast<std::uint64_t>(f->number()));
      append_sized(out, bytes);
    }
  }
  const pb::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  if (unknown.empty()) return out;
  for (const auto& [number, values] : unknown_values(unknown)) {
    if (!context_.budget.spend()) return out;
    const PathCursor::Step step(cursor_, std::to_string(number));
    if (ignored()) continue;
    append_number(out, static_cast<std::uint64_t>(number));
    append_sized(out, "?" + values.canonical);  // no field's bytes begin so
  }
  return out;
}

std::string Canonicalizer::any(const OpenedAny& any, const pb::Message& message) {
  // The type's name always counts: fields of two types are never alike, whatever of the URL is ignored.
  std::string out;
  append_number(out, 0);
  append_sized(out, any.type_name);
  const pb::Descriptor* type = message.GetDescriptor();
  {
    const PathCursor::Step step(cursor_, type->FindFieldByNumber(1));
    if (!ignored()) append_sized(out, any.url);
  }
  if (any.payload != nullptr) {
    const PathCursor::Payload inside(cursor_);
    append_sized(out, "." + this->message(*any.payload));
    return out;
  }
  const pb::FieldDescriptor* value = type->FindFieldByNumber(2);
  const PathCursor::Step step(cursor_, value);
  if (!ignored()) append_sized(out, "?" + canonical_scalar(message, kSingular, value));
  return out;
}

std::string Canonicalizer::field(const pb::Message& message, const pb::FieldDescriptor* field) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (field->is_map()) return map(message, field);
  std::string out;
  if (field->is_repeated()) {
    std::vector<std::string> all = entries(message, field);
    if (all.empty()) return out;
    if (apply_ && order_means_nothing(field, cursor_, context_)) std::sort(all.begin(), all.end());
    out = "*";
    append_number(out, all.size());
    for (const std::string& entry : all) append_sized(out, entry);
    return out;
  }
  const bool by_presence = compares_presence(field, context_.rules.absent_equals_default());
  if (by_presence && !reflection.HasField(message, field)) return out;
  if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
    const std::string bytes = this->message(reflection.GetMessage(message, field));
    return by_presence || !bytes.empty() ? "." + bytes : out;
  }
  if (takes_place(message, kSingular, field)) return by_presence ? "." : out;
  if (!by_presence && scalar_is_default(message, field)) return out;
  return "." + canonical_scalar(message, kSingular, field);
}

bool Canonicalizer::takes_place(const pb::Message& message, int index, const pb::FieldDescriptor* field) {
  if (!loose_ || !is_measure(field, Measure::kNumber)) return false;
  const auto any = [](const ToleranceRule&) { return true; };
  if (context_.rules.tolerated(cursor_.path(), Measure::kNumber, any) == nullptr) return false;
  places_.push_back(place_of_number(message, index, field));
  return true;
}

bool Canonicalizer::takes_place(const pb::Message& time) {
  if (!loose_ || !is_time(time.GetDescriptor())) return false;
  const auto any = [](const ToleranceRule&) { return true; };
  if (context_.rules.tolerated(cursor_.path(), Measure::kTime, any) == nullptr) return false;
  places_.push_back(place_of_time(time));
  return true;
}

std::vector<std::string> Canonicalizer::entries(const pb::Message& message, const pb::FieldDescriptor* field,
                                                std::vector<std::vector<double>>* places) {
  const int size = message.GetReflection()->FieldSize(message, field);
  std::vector<std::string> out;
  out.reserve(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    if (!context_.budget.spend()) break;
    if (places != nullptr) places_.clear();
    out.push_back(value(message, i, field));
    if (places != nullptr) places->push_back(places_);
  }
  return out;
}

std::string Canonicalizer::map(const pb::Message& message, const pb::FieldDescriptor* field) {
  std::string out;
  const pb::FieldDescriptor* value_field = map_value_field(field);
  const std::string key_type = value_type(map_key_field(field));
  for (const auto& [key, entry] : map_entries(message, field)) {
    if (!context_.budget.spend()) break;
    cursor_.at_key(key, key_type);
    if (ignored()) continue;
    if (out.empty()) out = "#";
    append_sized(out, key);
    append_sized(out, value(*entry, kSingular, value_field));
  }
  cursor_.at_whole();
  return out;
}

std::string Canonicalizer::value(const pb::Message& message, int index, const pb::FieldDescriptor* field) {
  if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
    return takes_place(message, index, field) ? std::string() : canonical_scalar(message, index, field);
  }
  const pb::Reflection& reflection = *message.GetReflection();
  return this->message(index == kSingular ? reflection.GetMessage(message, field)
                                          : reflection.GetRepeatedMessage(message, field, index));
}

}  // namespace ficus
