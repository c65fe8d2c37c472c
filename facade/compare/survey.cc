#include "facade/compare/survey.h"

#include <algorithm>
#include <functional>
#include <string>

#include <google/protobuf/descriptor.h>

#include "facade/compare/field_value.h"

namespace ficus {
namespace {

namespace pb = google::protobuf;

class Surveyor {
 public:
  Surveyor(PathCursor& cursor, const DiffContext& context) : cursor_(cursor), context_(context) {}

  void message(const pb::Message& message, std::uint64_t path_hash) {
    if (!context_.budget.spend()) return;
    const pb::Reflection& reflection = *message.GetReflection();
    const auto any = open_any(message, cursor_.depth(), context_);
    if (any && any->payload != nullptr) {
      leaf(path_hash, any->url);
      const PathCursor::Payload inside(cursor_);
      this->message(*any->payload, path_hash);
    } else {
      std::vector<const pb::FieldDescriptor*> fields;
      reflection.ListFields(message, &fields);
      if (fields.empty() && reflection.GetUnknownFields(message).empty()) leaf(path_hash, {});
      for (const pb::FieldDescriptor* f : fields) {
        const PathCursor::Step step(cursor_, f);
        field(message, f, mix(path_hash, static_cast<std::uint64_t>(f->number())));
      }
    }
    for (const auto& [number, values] : unknown_values(reflection.GetUnknownFields(message))) {
      const PathCursor::Step step(cursor_, std::to_string(number));
      leaf(mix(path_hash, static_cast<std::uint64_t>(number)), values.canonical);
    }
  }

  Survey take() {
    std::sort(out_.hashes.begin(), out_.hashes.end());
    return std::move(out_);
  }

 private:
  void field(const pb::Message& message, const pb::FieldDescriptor* field, std::uint64_t path_hash) {
    const pb::Reflection& reflection = *message.GetReflection();
    if (field->is_map()) {
      const std::string key_type = value_type(map_key_field(field));
      for (const auto& [key, entry] : map_entries(message, field)) {
        cursor_.at_key(key, key_type);
        out_.plain = out_.plain && context_.rules.plain(cursor_.path());
        value(*entry, kSingular, map_value_field(field), mix(path_hash, std::hash<std::string>{}(key)));
      }
      cursor_.at_whole();
    } else if (field->is_repeated()) {
      const int size = reflection.FieldSize(message, field);
      for (int i = 0; i < size && !context_.budget.stopped(); ++i) value(message, i, field, path_hash);
    } else {
      value(message, kSingular, field, path_hash);
    }
  }

  void value(const pb::Message& message, int index, const pb::FieldDescriptor* field, std::uint64_t path_hash) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      leaf(path_hash, canonical_scalar(message, index, field));
      return;
    }
    const pb::Reflection& reflection = *message.GetReflection();
    this->message(index == kSingular ? reflection.GetMessage(message, field)
                                     : reflection.GetRepeatedMessage(message, field, index),
                  path_hash);
  }

  void leaf(std::uint64_t path_hash, const std::string& canonical) {
    if (!context_.budget.spend()) return;
    out_.plain = out_.plain && context_.rules.plain(cursor_.path());
    if (context_.rules.ignored(cursor_.path()) != nullptr) return;
    ++out_.leaves;
    out_.severity = std::max(out_.severity, context_.rules.severity(cursor_.path()));
    out_.hashes.push_back(mix(path_hash, std::hash<std::string>{}(canonical)));
  }

  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2));
    x ^= x >> 31;
    x *= 0x94d049bb133111ebull;
    return x ^ (x >> 29);
  }

  PathCursor& cursor_;
  const DiffContext& context_;
  Survey out_;
};

}  // namespace

Survey survey_message(const pb::Message& message, PathCursor& cursor, const DiffContext& context) {
  Surveyor surveyor(cursor, context);
  surveyor.message(message, 0);
  Survey out = surveyor.take();
  if (out.leaves == 0) out.severity = context.rules.severity(cursor.path());
  return out;
}

std::size_t common_leaves(const Survey& a, const Survey& b) {
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.hashes.size() && j < b.hashes.size();) {
    if (a.hashes[i] == b.hashes[j]) ++common, ++i, ++j;
    else if (a.hashes[i] < b.hashes[j]) ++i;
    else ++j;
  }
  return common;
}

}  // namespace ficus
