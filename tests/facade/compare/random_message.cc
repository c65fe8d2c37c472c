#include "tests/facade/compare/random_message.h"

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

namespace ficus::test {

namespace pb = google::protobuf;

std::unique_ptr<pb::Message> RandomMessages::make(const std::string& type) {
  auto message = store_.new_message(store_.find_type(type));
  fill(*message, 0);
  return message;
}

void RandomMessages::fill(pb::Message& message, int depth) {
  const pb::Descriptor* type = message.GetDescriptor();
  if (type->full_name() == "google.protobuf.Any") {
    set_any(message, depth);
    return;
  }
  std::vector<const pb::FieldDescriptor*> fields;
  for (int i = 0; i < type->field_count(); ++i) fields.push_back(type->field(i));
  type->file()->pool()->FindAllExtensions(type, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (!options_.real_oneofs && field->real_containing_oneof() != nullptr) continue;
    if (chance(depth == 0 ? 0.4 : 0.3)) set(message, field, depth);
  }
  if (options_.unknown_fields && chance(0.1)) add_unknown(message);
}

void RandomMessages::set_any(pb::Message& any, int depth) {
  static const std::vector<std::string> types = {"testing.Money", "testing.Endorsement", "testing.NoSuchType"};
  const std::string& type = types[below(types.size())];
  const pb::Reflection& r = *any.GetReflection();
  r.SetString(&any, any.GetDescriptor()->FindFieldByNumber(1), "type.googleapis.com/" + type);
  std::string value = "opaque" + std::to_string(below(2));
  if (store_.find_type(type) != nullptr && !chance(0.1)) {
    auto payload = store_.new_message(store_.find_type(type));
    fill(*payload, depth + 1);
    value = payload->SerializePartialAsString();
  }
  r.SetString(&any, any.GetDescriptor()->FindFieldByNumber(2), value);
}

void RandomMessages::add_unknown(pb::Message& message) {
  pb::UnknownFieldSet& unknown = *message.GetReflection()->MutableUnknownFields(&message);
  const int number = 200 + static_cast<int>(below(3));
  switch (below(5)) {
    case 0: unknown.AddVarint(number, below(3)); break;
    case 1: unknown.AddFixed32(number, static_cast<std::uint32_t>(below(3))); break;
    case 2: unknown.AddFixed64(number, below(3)); break;
    case 3: unknown.AddLengthDelimited(number, "u" + std::to_string(below(3))); break;
    default: unknown.AddGroup(number)->AddVarint(1, below(2)); break;
  }
}

void RandomMessages::set(pb::Message& message, const pb::FieldDescriptor* field, int depth) {
  const pb::Reflection& r = *message.GetReflection();
  if (field->is_map()) {
    r.ClearField(&message, field);
    const std::size_t entries = below(4);
    for (std::size_t i = 0; i < entries; ++i) {
      pb::Message* entry = r.AddMessage(&message, field);
      const pb::Reflection& er = *entry->GetReflection();
      const pb::FieldDescriptor* key = field->message_type()->map_key();
      switch (key->cpp_type()) {  // no key twice
        case pb::FieldDescriptor::CPPTYPE_STRING: er.SetString(entry, key, "k" + std::to_string(i)); break;
        case pb::FieldDescriptor::CPPTYPE_INT32: er.SetInt32(entry, key, static_cast<int>(i) - 1); break;
        default: er.SetBool(entry, key, i == 0); break;
      }
      if (key->cpp_type() == pb::FieldDescriptor::CPPTYPE_BOOL && i == 1) i = entries;
      set(*entry, field->message_type()->map_value(), depth + 1);
    }
    return;
  }
  const bool list = field->is_repeated();
  if (list) r.ClearField(&message, field);
  const std::size_t times = list ? below(4) : 1;
  for (std::size_t i = 0; i < times; ++i) {
    static const std::vector<double> reals = {0.0, 1.5, -1.5, std::numeric_limits<double>::quiet_NaN(),
                                              std::numeric_limits<double>::infinity(), -0.0};
    const double real = reals[below(options_.negative_zero ? reals.size() : reals.size() - 1)];
    const int small = static_cast<int>(below(3));
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        list ? r.AddInt32(&message, field, small - 1) : r.SetInt32(&message, field, small - 1);
        break;
      case pb::FieldDescriptor::CPPTYPE_INT64:
        list ? r.AddInt64(&message, field, small - 1) : r.SetInt64(&message, field, small - 1);
        break;
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        list ? r.AddUInt32(&message, field, below(3)) : r.SetUInt32(&message, field, below(3));
        break;
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        list ? r.AddUInt64(&message, field, below(3)) : r.SetUInt64(&message, field, below(3));
        break;
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        list ? r.AddDouble(&message, field, real) : r.SetDouble(&message, field, real);
        break;
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        list ? r.AddFloat(&message, field, static_cast<float>(real))
             : r.SetFloat(&message, field, static_cast<float>(real));
        break;
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        list ? r.AddBool(&message, field, small == 1) : r.SetBool(&message, field, small == 1);
        break;
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        const pb::EnumDescriptor* type = field->enum_type();
        const int number =
            type->value(static_cast<int>(below(static_cast<std::size_t>(type->value_count()))))->number();
        list ? r.AddEnumValue(&message, field, number) : r.SetEnumValue(&message, field, number);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        const std::string text = small == 0 ? "" : "s" + std::to_string(small);
        list ? r.AddString(&message, field, text) : r.SetString(&message, field, text);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
        pb::Message* child = list ? r.AddMessage(&message, field) : r.MutableMessage(&message, field);
        if (!list) child->Clear();
        if (depth < options_.depth) fill(*child, depth + 1);
        break;
      }
    }
  }
}

void RandomMessages::change(pb::Message& message) {
  const pb::Descriptor* type = message.GetDescriptor();
  const pb::Reflection& r = *message.GetReflection();
  if (type->full_name() == "google.protobuf.Any") return set_any(message, options_.depth);
  std::vector<const pb::FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map() && chance(0.5)) {
      if (!field->is_repeated()) {
        change(*r.MutableMessage(&message, field));
      } else if (const int size = r.FieldSize(message, field); size > 0) {
        const auto at = static_cast<int>(below(static_cast<std::size_t>(size)));
        if (chance(0.3)) r.SwapElements(&message, field, at, size - 1);
        if (chance(0.2)) r.RemoveLast(&message, field);
        else change(*r.MutableRepeatedMessage(&message, field, at));
      }
    } else if (chance(0.15)) {
      if (chance(0.4)) r.ClearField(&message, field);
      else set(message, field, options_.depth - 1);
    }
  }
  if (type->field_count() > 0 && chance(0.2)) {
    const pb::FieldDescriptor* field =
        type->field(static_cast<int>(below(static_cast<std::size_t>(type->field_count()))));
    if (options_.real_oneofs || field->real_containing_oneof() == nullptr) set(message, field, options_.depth - 1);
  }
  if (options_.unknown_fields && chance(0.05)) add_unknown(message);
}

void RandomMessages::shuffle(pb::Message& message) {
  const pb::Reflection& r = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const bool is_message = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      if (is_message) shuffle(*r.MutableMessage(&message, field));
      continue;
    }
    const int size = r.FieldSize(message, field);
    for (int i = 0; i < size; ++i) {
      if (is_message && !field->is_map()) shuffle(*r.MutableRepeatedMessage(&message, field, i));
    }
    for (int i = size - 1; i > 0; --i)
      r.SwapElements(&message, field, i, static_cast<int>(below(static_cast<std::size_t>(i) + 1)));
  }
}

std::string reordered(const std::string& wire, std::mt19937& random) {
  pb::UnknownFieldSet fields;
  if (!fields.ParseFromString(wire)) return wire;
  std::map<int, std::string> by_number;
  for (int i = 0; i < fields.field_count(); ++i) {
    pb::UnknownFieldSet alone;
    alone.AddField(fields.field(i));
    std::string bytes;
    alone.SerializeToString(&bytes);
    by_number[fields.field(i).number()] += bytes;
  }
  std::vector<std::string> parts;
  for (auto& [number, bytes] : by_number) parts.push_back(std::move(bytes));
  std::shuffle(parts.begin(), parts.end(), random);
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}

}  // namespace ficus::test
