// A scalar of a message as the C++ type that fits. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "facade/compare/field_value.h"

namespace ficus {

// Calls `use` with the value, as the C++ type that fits; strings as const std::string&, enums as int.
template <class Use>
auto with_scalar(const google::protobuf::Message& message, int index, const google::protobuf::FieldDescriptor* field,
                 Use&& use) {
  namespace pb = google::protobuf;
  const pb::Reflection& r = *message.GetReflection();
  const bool one = index == kSingular;
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return use(one ? r.GetInt32(message, field) : r.GetRepeatedInt32(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return use(one ? r.GetInt64(message, field) : r.GetRepeatedInt64(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return use(one ? r.GetUInt32(message, field) : r.GetRepeatedUInt32(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return use(one ? r.GetUInt64(message, field) : r.GetRepeatedUInt64(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return use(one ? r.GetDouble(message, field) : r.GetRepeatedDouble(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return use(one ? r.GetFloat(message, field) : r.GetRepeatedFloat(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return use(one ? r.GetBool(message, field) : r.GetRepeatedBool(message, field, index));
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return use(static_cast<std::int32_t>(one ? r.GetEnumValue(message, field)
                                               : r.GetRepeatedEnumValue(message, field, index)));
    case pb::FieldDescriptor::CPPTYPE_STRING:
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  std::string scratch;
  return use(one ? r.GetStringReference(message, field, &scratch)
                 : r.GetRepeatedStringReference(message, field, index, &scratch));
}

}  // namespace ficus
