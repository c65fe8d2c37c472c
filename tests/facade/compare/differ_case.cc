#include "tests/facade/compare/differ_case.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

namespace ficus::test {
namespace {

namespace pb = google::protobuf;

constexpr int kDepth = 4;

class MessageMaker {
 public:
  MessageMaker(ByteChoices& choices, const DescriptorStore& store) : choices_(choices), store_(store) {}

  void fill(pb::Message& message, int depth) {
    if (is_any(message)) return fill_any(message, depth);
    for (const pb::FieldDescriptor* field : fields_of(message)) {
      if (choices_.done()) return;
      if (choices_.below(2) == 1) set(message, field, depth);
    }
    if (choices_.below(16) == 1) add_unknown(message);
  }

  // Leaves most as it is: 0 of each choice changes nothing.
  void change(pb::Message& message, int depth) {
    if (choices_.done()) return;
    if (is_any(message)) {
      if (choices_.below(4) == 1) fill_any(message, depth);
      return;
    }
    const pb::Reflection& r = *message.GetReflection();
    for (const pb::FieldDescriptor* field : fields_of(message)) {
      switch (choices_.below(10)) {
        case 1:
          set(message, field, depth);
          break;
        case 2:
          r.ClearField(&message, field);
          break;
        case 3:
          shuffle(message, field);
          break;
        case 4:
          if (field->is_repeated() && r.FieldSize(message, field) > 0) r.RemoveLast(&message, field);
          break;
        case 5:
        case 6:
          change_within(message, field, depth);
          break;
        default:
          break;
      }
    }
    if (choices_.below(16) == 1) add_unknown(message);
  }

  void shuffle_all(pb::Message& message) {
    if (is_any(message)) return;
    const pb::Reflection& r = *message.GetReflection();
    std::vector<const pb::FieldDescriptor*> fields;
    r.ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      const bool holds_messages = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
      if (!field->is_repeated()) {
        if (holds_messages) shuffle_all(*r.MutableMessage(&message, field));
        continue;
      }
      const int size = r.FieldSize(message, field);
      for (int i = 0; holds_messages && !field->is_map() && i < size; ++i) {
        shuffle_all(*r.MutableRepeatedMessage(&message, field, i));
      }
      shuffle(message, field);
    }
  }

 private:
  static bool is_any(const pb::Message& message) {
    return message.GetDescriptor()->full_name() == "google.protobuf.Any";
  }
  static std::vector<const pb::FieldDescriptor*> fields_of(const pb::Message& message) {
    const pb::Descriptor* type = message.GetDescriptor();
    std::vector<const pb::FieldDescriptor*> fields;
    for (int i = 0; i < type->field_count(); ++i) fields.push_back(type->field(i));
    std::vector<const pb::FieldDescriptor*> extensions;
    type->file()->pool()->FindAllExtensions(type, &extensions);
    std::sort(extensions.begin(), extensions.end(), [](auto* a, auto* b) { return a->number() < b->number(); });
    fields.insert(fields.end(), extensions.begin(), extensions.end());
    return fields;
  }

  void shuffle(pb::Message& message, const pb::FieldDescriptor* field) {
    if (!field->is_repeated()) return;
    const pb::Reflection& r = *message.GetReflection();
    for (int i = r.FieldSize(message, field) - 1; i > 0; --i) {
      r.SwapElements(&message, field, i, static_cast<int>(choices_.below(static_cast<std::size_t>(i) + 1)));
    }
  }

  void change_within(pb::Message& message, const pb::FieldDescriptor* field, int depth) {
    const pb::Reflection& r = *message.GetReflection();
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) return;
    if (!field->is_repeated()) {
      if (r.HasField(message, field)) change(*r.MutableMessage(&message, field), depth + 1);
    } else if (const int size = r.FieldSize(message, field); size > 0) {
      const auto at = static_cast<int>(choices_.below(static_cast<std::size_t>(size)));
      change(*r.MutableRepeatedMessage(&message, field, at), depth + 1);
    }
  }

  void fill_any(pb::Message& any, int depth) {
    static const char* const kTypes[] = {"r.M0", "r.M1", "no.Such", "google.protobuf.Any"};
    const pb::Reflection& r = *any.GetReflection();
    const std::string type = kTypes[choices_.below(std::size(kTypes))];
    const char* const host = choices_.below(4) == 1 ? "example.org/" : "type.googleapis.com/";
    std::string value = "opaque" + std::to_string(choices_.below(2));
    const pb::Descriptor* known = store_.find_type(type);
    if (known != nullptr && choices_.below(8) != 1) {
      const auto payload = store_.new_message(known);
      if (depth < kDepth) fill(*payload, depth + 1);
      value = payload->SerializePartialAsString();
    }
    r.SetString(&any, any.GetDescriptor()->FindFieldByNumber(1), host + type);
    r.SetString(&any, any.GetDescriptor()->FindFieldByNumber(2), value);
  }

  void add_unknown(pb::Message& message) {
    pb::UnknownFieldSet& unknown = *message.GetReflection()->MutableUnknownFields(&message);
    const int number = 300 + static_cast<int>(choices_.below(2));
    switch (choices_.below(5)) {
      case 0:
        unknown.AddVarint(number, choices_.below(3));
        break;
      case 1:
        unknown.AddFixed32(number, static_cast<std::uint32_t>(choices_.below(3)));
        break;
      case 2:
        unknown.AddFixed64(number, choices_.below(3));
        break;
      case 3:
        unknown.AddLengthDelimited(number, "u" + std::to_string(choices_.below(3)));
        break;
      default:
        unknown.AddGroup(number)->AddVarint(1, choices_.below(2));
        break;
    }
  }

  void set(pb::Message& message, const pb::FieldDescriptor* field, int depth) {
    const pb::Reflection& r = *message.GetReflection();
    if (!field->is_repeated()) {
      set_one(message, field, depth);
      return;
    }
    r.ClearField(&message, field);
    const std::size_t entries = choices_.below(5);
    for (std::size_t i = 0; i < entries; ++i) {
      if (!field->is_map()) {
        set_one(message, field, depth);
        continue;
      }
      pb::Message& entry = *r.AddMessage(&message, field);
      set_key(entry, i);
      set_one(entry, field->message_type()->map_value(), depth + 1);
      if (field->message_type()->map_key()->type() == pb::FieldDescriptor::TYPE_BOOL && i == 1) break;
    }
  }

  // No key twice in a map: what a message with one means is up to who reads it.
  static void set_key(pb::Message& entry, std::size_t i) {
    const pb::Reflection& r = *entry.GetReflection();
    const pb::FieldDescriptor* key = entry.GetDescriptor()->map_key();
    switch (key->type()) {
      case pb::FieldDescriptor::TYPE_STRING:
        r.SetString(&entry, key, "k" + std::to_string(i));
        break;
      case pb::FieldDescriptor::TYPE_INT32:
        r.SetInt32(&entry, key, static_cast<int>(i) - 1);
        break;
      case pb::FieldDescriptor::TYPE_BOOL:
        r.SetBool(&entry, key, i == 1);
        break;
      default:
        r.SetUInt64(&entry, key, std::numeric_limits<std::uint64_t>::max() - i);
        break;
    }
  }

  // Sets the field, or adds one entry to a list.
  void set_one(pb::Message& message, const pb::FieldDescriptor* field, int depth) {
    static constexpr double kReals[] = {
        0.0, 1.0, -0.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.5};
    const pb::Reflection& r = *message.GetReflection();
    const bool list = field->is_repeated();
    if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      pb::Message& child = list ? *r.AddMessage(&message, field) : *r.MutableMessage(&message, field);
      if (!list) child.Clear();
      if (depth < kDepth) fill(child, depth + 1);
      return;
    }
    const std::size_t n = choices_.below(4);  // few values, so that equal ones are common
    const std::int64_t number = n == 3 ? -1 : static_cast<std::int64_t>(n);
    const double real = kReals[choices_.below(std::size(kReals))];
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32: {
        const auto value = static_cast<std::int32_t>(number);
        list ? r.AddInt32(&message, field, value) : r.SetInt32(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_INT64:
        list ? r.AddInt64(&message, field, number) : r.SetInt64(&message, field, number);
        break;
      case pb::FieldDescriptor::CPPTYPE_UINT32: {
        const auto value = static_cast<std::uint32_t>(number);
        list ? r.AddUInt32(&message, field, value) : r.SetUInt32(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_UINT64: {
        const auto value = static_cast<std::uint64_t>(number);
        list ? r.AddUInt64(&message, field, value) : r.SetUInt64(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        list ? r.AddDouble(&message, field, real) : r.SetDouble(&message, field, real);
        break;
      case pb::FieldDescriptor::CPPTYPE_FLOAT: {
        const auto value = static_cast<float>(real);
        list ? r.AddFloat(&message, field, value) : r.SetFloat(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        list ? r.AddBool(&message, field, n == 1) : r.SetBool(&message, field, n == 1);
        break;
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        // 7 is in no enum here: an open one shows it as a number, a closed one keeps it as an unknown field.
        const int value = n == 2 ? std::numeric_limits<std::int32_t>::max() : n == 3 ? 7 : static_cast<int>(n);
        list ? r.AddEnumValue(&message, field, value) : r.SetEnumValue(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        static const char* const kTexts[] = {"", "1", "a", "\xc3\xa9"};
        list ? r.AddString(&message, field, kTexts[n]) : r.SetString(&message, field, kTexts[n]);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
  }

  ByteChoices& choices_;
  const DescriptorStore& store_;
};

std::vector<PathRule> paths_of(ByteChoices& choices, std::size_t most) {
  std::vector<PathRule> out;
  const std::size_t count = choices.below(most + 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string a = "f" + std::to_string(1 + choices.below(kSchemaMaxFields));
    const std::string b = "f" + std::to_string(1 + choices.below(kSchemaMaxFields));
    std::string text;
    switch (choices.below(8)) {
      case 0:
        text = a;
        break;
      case 1:
        text = "**." + a;
        break;
      case 2:
        text = a + "." + b;
        break;
      case 3:
        text = a + ".*";
        break;
      case 4:
        text = "*." + b;
        break;
      case 5:
        text = a + ".**." + b;
        break;
      case 6:
        text = "x0";
        break;
      default:
        text = "**.type_url";
        break;
    }
    auto pattern = PathPattern::parse(text);
    if (!pattern) std::abort();
    PathRule rule;
    rule.path = *std::move(pattern);
    rule.reason = "a test";
    out.push_back(std::move(rule));
  }
  return out;
}

}  // namespace

DifferCase differ_case_of(std::string_view bytes) {
  ByteChoices choices(bytes);
  DifferCase c;
  c.store = schema_of(choices);
  c.rules.ignore = paths_of(choices, 3);
  c.rules.unordered = paths_of(choices, 3);
  c.rules.critical = paths_of(choices, 1);
  c.rules.absent_equals_default = choices.below(3) != 1;
  MessageMaker maker(choices, *c.store);
  c.legacy = c.store->new_message(c.store->find_type("r.M0"));
  maker.fill(*c.legacy, 0);
  c.fresh.reset(c.legacy->New());
  if (choices.below(8) == 1) {
    maker.fill(*c.fresh, 0);
  } else {
    c.fresh->CopyFrom(*c.legacy);
    maker.change(*c.fresh, 0);
  }
  c.shuffled.reset(c.legacy->New());
  c.shuffled->CopyFrom(*c.legacy);
  maker.shuffle_all(*c.shuffled);
  return c;
}

std::string describe(const DifferCase& c) {
  std::string out = c.legacy->GetDescriptor()->file()->DebugString() + "legacy: " + c.legacy->ShortDebugString() +
                    "\nnew: " + c.fresh->ShortDebugString() + "\nshuffled: " + c.shuffled->ShortDebugString() +
                    "\nabsent_equals_default: " + (c.rules.absent_equals_default ? "true" : "false");
  for (const auto& [what, rules] : {std::pair("ignore", &c.rules.ignore), std::pair("unordered", &c.rules.unordered),
                                    std::pair("critical", &c.rules.critical)}) {
    for (const PathRule& rule : *rules) out += std::string("\n") + what + ": " + rule.path.text();
  }
  return out + '\n';
}

}  // namespace ficus::test
