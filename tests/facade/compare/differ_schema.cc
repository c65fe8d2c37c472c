// Schemas made of bytes.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include <google/protobuf/descriptor.pb.h>

#include "tests/facade/compare/differ_case.h"

namespace ficus::test {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptorProto;

constexpr int kFirstExtension = 100;

class SchemaMaker {
 public:
  explicit SchemaMaker(ByteChoices& choices) : choices_(choices) {}

  std::string make() {
    proto3_ = choices_.below(2) == 0;
    file_.set_name("r.proto");
    file_.set_package("r");
    file_.set_syntax(proto3_ ? "proto3" : "proto2");
    file_.add_dependency("google/protobuf/any.proto");
    add_enum();
    messages_ = 1 + choices_.below(4);
    for (std::size_t i = 0; i < messages_; ++i) {
      pb::DescriptorProto& message = *file_.add_message_type();
      message.set_name("M" + std::to_string(i));
      fill(message, ".r.M" + std::to_string(i), true);
    }
    if (!proto3_) add_extensions();
    pb::ServiceDescriptorProto& service = *file_.add_service();
    service.set_name("S");
    pb::MethodDescriptorProto& method = *service.add_method();
    method.set_name("Get");
    method.set_input_type(".r.M0");
    method.set_output_type(".r.M0");
    pb::FileDescriptorSet set;
    *set.add_file() = file_;
    return set.SerializeAsString();
  }

 private:
  void add_enum() {
    pb::EnumDescriptorProto& type = *file_.add_enum_type();
    type.set_name("E");
    for (const auto& [name, number] :
         {std::pair("ZERO", 0), std::pair("ONE", 1), std::pair("LARGEST", std::numeric_limits<std::int32_t>::max())}) {
      pb::EnumValueDescriptorProto& value = *type.add_value();
      value.set_name(name);
      value.set_number(number);
    }
  }

  void fill(pb::DescriptorProto& message, const std::string& scope, bool outermost) {
    const int fields = 1 + static_cast<int>(choices_.below(kSchemaMaxFields));
    const int in_oneof = choices_.below(3) == 1 ? std::min(fields, 3) : 0;
    if (in_oneof > 0) message.add_oneof_decl()->set_name("choice");
    std::vector<int> optional;  // fields that get a synthetic oneof: those stand behind the real ones
    for (int number = 1; number <= fields; ++number) {
      Field& field = *message.add_field();
      field.set_name("f" + std::to_string(number));
      field.set_number(number);
      const bool member = number <= in_oneof;
      if (member) field.set_oneof_index(0);
      set_type(field, message, scope, outermost, member);
      const bool singular_scalar = field.label() == Field::LABEL_OPTIONAL && field.type() != Field::TYPE_MESSAGE &&
                                   field.type() != Field::TYPE_GROUP;
      if (proto3_ && !member && singular_scalar && choices_.below(3) == 1) optional.push_back(number - 1);
    }
    for (const int index : optional) {
      Field& field = *message.mutable_field(index);
      field.set_proto3_optional(true);
      field.set_oneof_index(message.oneof_decl_size());
      message.add_oneof_decl()->set_name('_' + field.name());
    }
  }

  void set_type(Field& field, pb::DescriptorProto& message, const std::string& scope, bool outermost, bool member) {
    const bool list = !member && choices_.below(3) == 1;
    field.set_label(list ? Field::LABEL_REPEATED : Field::LABEL_OPTIONAL);
    switch (choices_.below(12)) {
      case 0:
      case 1:
        set_message(field, ".r.M" + std::to_string(choices_.below(messages_)));
        return;
      case 2:
        set_message(field, ".google.protobuf.Any");
        return;
      case 3:
        set_enum(field);
        return;
      case 4:
        if (!member && outermost) {
          set_map(field, message, scope);
          return;
        }
        break;
      case 5:
        if (!proto3_ && outermost) {
          set_group(field, message, scope);
          return;
        }
        break;
      default:
        break;
    }
    set_scalar(field);
  }

  static void set_message(Field& field, const std::string& type) {
    field.set_type(Field::TYPE_MESSAGE);
    field.set_type_name(type);
  }
  static void set_enum(Field& field) {
    field.set_type(Field::TYPE_ENUM);
    field.set_type_name(".r.E");
  }
  void set_scalar(Field& field) {
    static constexpr Field::Type kTypes[] = {
        Field::TYPE_STRING, Field::TYPE_INT32,   Field::TYPE_DOUBLE,  Field::TYPE_BYTES,    Field::TYPE_BOOL,
        Field::TYPE_INT64,  Field::TYPE_UINT64,  Field::TYPE_UINT32,  Field::TYPE_FLOAT,    Field::TYPE_SINT32,
        Field::TYPE_SINT64, Field::TYPE_FIXED32, Field::TYPE_FIXED64, Field::TYPE_SFIXED32, Field::TYPE_SFIXED64};
    field.set_type(kTypes[choices_.below(std::size(kTypes))]);
    if (proto3_) return;
    const bool text = field.type() == Field::TYPE_STRING || field.type() == Field::TYPE_BYTES;
    if (field.label() == Field::LABEL_REPEATED) {
      if (!text && choices_.below(2) == 1) field.mutable_options()->set_packed(true);
    } else if (field.type() != Field::TYPE_BOOL && choices_.below(4) == 1) {
      field.set_default_value("1");
    }
  }

  void set_map(Field& field, pb::DescriptorProto& message, const std::string& scope) {
    const std::string name = "F" + std::to_string(field.number()) + "Entry";  // what protoc calls it
    pb::DescriptorProto& entry = *message.add_nested_type();
    entry.set_name(name);
    entry.mutable_options()->set_map_entry(true);
    Field& key = *entry.add_field();
    key.set_name("key");
    key.set_number(1);
    key.set_label(Field::LABEL_OPTIONAL);
    static constexpr Field::Type kKeys[] = {Field::TYPE_STRING, Field::TYPE_INT32, Field::TYPE_BOOL,
                                            Field::TYPE_UINT64};
    key.set_type(kKeys[choices_.below(std::size(kKeys))]);
    Field& value = *entry.add_field();
    value.set_name("value");
    value.set_number(2);
    value.set_label(Field::LABEL_OPTIONAL);
    switch (choices_.below(4)) {
      case 0:
        value.set_type(Field::TYPE_STRING);
        break;
      case 1:
        value.set_type(Field::TYPE_DOUBLE);
        break;
      case 2:
        set_enum(value);
        break;
      default:
        set_message(value, ".r.M" + std::to_string(choices_.below(messages_)));
        break;
    }
    field.set_label(Field::LABEL_REPEATED);
    set_message(field, scope + '.' + name);
  }

  void set_group(Field& field, pb::DescriptorProto& message, const std::string& scope) {
    const std::string name = "F" + std::to_string(field.number());
    pb::DescriptorProto& group = *message.add_nested_type();
    group.set_name(name);
    fill(group, scope + '.' + name, false);
    field.set_type(Field::TYPE_GROUP);
    field.set_type_name(scope + '.' + name);
  }

  void add_extensions() {
    pb::DescriptorProto::ExtensionRange& range = *file_.mutable_message_type(0)->add_extension_range();
    range.set_start(kFirstExtension);
    range.set_end(kFirstExtension + 100);
    const int extensions = static_cast<int>(choices_.below(3));
    for (int i = 0; i < extensions; ++i) {
      Field& field = *file_.add_extension();
      field.set_name("x" + std::to_string(i));
      field.set_number(kFirstExtension + i);
      field.set_extendee(".r.M0");
      field.set_label(choices_.below(2) == 1 ? Field::LABEL_REPEATED : Field::LABEL_OPTIONAL);
      if (choices_.below(2) == 1)
        set_message(field, ".r.M" + std::to_string(choices_.below(messages_)));
      else
        set_scalar(field);
    }
  }

  ByteChoices& choices_;
  pb::FileDescriptorProto file_;
  bool proto3_ = true;
  std::size_t messages_ = 1;
};

}  // namespace

std::shared_ptr<const DescriptorStore> schema_of(ByteChoices& choices) {
  auto opened = DescriptorStore::open({{"r.pb", SchemaMaker(choices).make()}});
  if (!opened) {
    for (const SchemaError& error : opened.error()) std::fprintf(stderr, "%s\n", error.message.c_str());
    std::abort();
  }
  return *opened;
}

}  // namespace ficus::test
