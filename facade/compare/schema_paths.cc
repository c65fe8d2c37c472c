#include "facade/compare/schema_paths.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace ficus {
namespace {

namespace pb = google::protobuf;
using Step = PathPattern::Step;
using Kind = PathPattern::Step::Kind;

class PatternSearch {
 public:
  PatternSearch(const PathPattern& pattern, const FieldTest& wanted, const std::vector<const pb::Descriptor*>& known)
      : steps_(pattern.steps()), wanted_(wanted), known_(known) {}

  // Whether a field of `type`, or below it, can be matched by the steps from `at` on.
  bool search(const pb::Descriptor* type, std::size_t at) {
    if (at >= steps_.size() || !seen_.emplace(type, at).second) return false;
    if (type->full_name() == "google.protobuf.Any") {
      for (const pb::Descriptor* payload : known_) {
        if (search(payload, at)) return true;
      }
    }
    std::vector<const pb::FieldDescriptor*> fields;
    for (int i = 0; i < type->field_count(); ++i) fields.push_back(type->field(i));
    type->file()->pool()->FindAllExtensions(type, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      if (takes(field, type, at)) return true;
    }
    return false;
  }

 private:
  bool takes(const pb::FieldDescriptor* field, const pb::Descriptor* type, std::size_t at) {
    const Step& step = steps_[at];
    switch (step.kind) {
      case Kind::kName:
        if (step.name != field->name() || (step.has_map_key && !field->is_map())) return false;
        return ends_or_goes_on(field, at + 1);
      case Kind::kAnyOne: return ends_or_goes_on(field, at + 1);
      case Kind::kAnyNumber:
        // Takes this field and stays, or takes none and lets the next step have it.
        return ends_or_goes_on(field, at) || (at + 1 < steps_.size() && search(type, at + 1));
    }
    return false;
  }

  bool ends_or_goes_on(const pb::FieldDescriptor* field, std::size_t at) {
    if (only_stars_from(at) && wanted_(field)) return true;
    const pb::FieldDescriptor* value = field->is_map() ? field->message_type()->map_value() : field;
    return value->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && search(value->message_type(), at);
  }

  bool only_stars_from(std::size_t at) const {
    for (; at < steps_.size(); ++at) {
      if (steps_[at].kind != Kind::kAnyNumber) return false;
    }
    return true;
  }

  const std::vector<Step>& steps_;
  const FieldTest& wanted_;
  const std::vector<const pb::Descriptor*>& known_;
  std::set<std::pair<const pb::Descriptor*, std::size_t>> seen_;
};

std::optional<KeyLeaf> key_leaf_of(pb::FieldDescriptor::Type type) {
  switch (type) {
    case pb::FieldDescriptor::TYPE_STRING:
    case pb::FieldDescriptor::TYPE_BYTES: return KeyLeaf::kBytes;
    case pb::FieldDescriptor::TYPE_BOOL: return KeyLeaf::kBool;
    case pb::FieldDescriptor::TYPE_ENUM:
    case pb::FieldDescriptor::TYPE_INT32: return KeyLeaf::kInt32;
    case pb::FieldDescriptor::TYPE_UINT32: return KeyLeaf::kUint32;
    case pb::FieldDescriptor::TYPE_INT64: return KeyLeaf::kInt64;
    case pb::FieldDescriptor::TYPE_UINT64: return KeyLeaf::kUint64;
    case pb::FieldDescriptor::TYPE_SINT32: return KeyLeaf::kSint32;
    case pb::FieldDescriptor::TYPE_SINT64: return KeyLeaf::kSint64;
    case pb::FieldDescriptor::TYPE_FIXED32: return KeyLeaf::kFixed32;
    case pb::FieldDescriptor::TYPE_SFIXED32: return KeyLeaf::kSfixed32;
    case pb::FieldDescriptor::TYPE_FIXED64: return KeyLeaf::kFixed64;
    case pb::FieldDescriptor::TYPE_SFIXED64: return KeyLeaf::kSfixed64;
    default: return std::nullopt;
  }
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

}  // namespace

bool any_field(const pb::FieldDescriptor*) { return true; }

bool is_list(const pb::FieldDescriptor* field) { return field->is_repeated() && !field->is_map(); }

const pb::FieldDescriptor* key_of_entries(const pb::FieldDescriptor* list, std::string_view by) {
  if (!is_list(list) || list->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) return nullptr;
  const pb::FieldDescriptor* key = list->message_type()->FindFieldByName(std::string(by));
  const bool single = key != nullptr && !key->is_repeated() && key->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE;
  return single ? key : nullptr;
}

bool is_keyed_list(const pb::FieldDescriptor* field, std::string_view by) {
  return key_of_entries(field, by) != nullptr;
}

bool is_measure(const pb::FieldDescriptor* field, Measure measure) {
  if (field->is_map()) field = field->message_type()->map_value();
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return measure == Measure::kTime && is_time(field->message_type());
    case pb::FieldDescriptor::CPPTYPE_BOOL:
    case pb::FieldDescriptor::CPPTYPE_ENUM:
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return false;
    default:
      return measure == Measure::kNumber;
  }
}

bool is_time(const pb::Descriptor* type) {
  if (type->full_name() != "google.protobuf.Timestamp" && type->full_name() != "google.protobuf.Duration") return false;
  const pb::FieldDescriptor* seconds = type->FindFieldByNumber(1);
  const pb::FieldDescriptor* nanos = type->FindFieldByNumber(2);
  return seconds != nullptr && seconds->type() == pb::FieldDescriptor::TYPE_INT64 && !seconds->is_repeated() &&
         nanos != nullptr && nanos->type() == pb::FieldDescriptor::TYPE_INT32 && !nanos->is_repeated();
}

bool type_has(const pb::Descriptor* type, const PathPattern& pattern, const FieldTest& wanted,
              const std::vector<const pb::Descriptor*>& known) {
  return PatternSearch(pattern, wanted, known).search(type, 0);
}

Result<KeyPath, std::string> key_path_of(const pb::Descriptor* type, std::string_view dotted) {
  KeyPath path;
  std::string_view rest = dotted;
  for (;;) {
    const std::size_t dot = rest.find('.');
    const std::string name(rest.substr(0, dot));
    const bool last = dot == std::string_view::npos;
    const pb::FieldDescriptor* field = type->FindFieldByName(name);
    if (field == nullptr) return fail("no field " + quoted(name) + " in " + type->full_name());
    const std::string where = quoted(name) + " of " + type->full_name();
    if (field->is_map()) return fail(where + " is a map; a key is reached through singular fields");
    if (field->is_repeated()) return fail(where + " is repeated; a key is reached through singular fields");
    if (field->type() == pb::FieldDescriptor::TYPE_GROUP)
      return fail(where + " is a group; a key is not read out of one");
    // A member set later clears it, for every reader but a scan that looks for one field: the facade would route by a
    // key that the server never sees. (proto3's `optional` is a oneof only in name.)
    if (const pb::OneofDescriptor* oneof = field->real_containing_oneof()) {
      return fail(where + " is in the oneof " + quoted(oneof->name()) +
                  ", where another member may take its place; a key is a field of its own");
    }
    path.field_numbers.push_back(static_cast<std::uint32_t>(field->number()));
    const bool message = field->type() == pb::FieldDescriptor::TYPE_MESSAGE;
    if (last) {
      if (message) return fail(where + " is a message; name one of its fields");
      const auto leaf = key_leaf_of(field->type());
      if (!leaf)
        return fail(where + " is a " + std::string(field->type_name()) +
                    "; a key is a string, bytes, integer, bool or enum");
      path.leaf = *leaf;
      return path;
    }
    if (!message) return fail(where + " has no fields of its own");
    type = field->message_type();
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace ficus
