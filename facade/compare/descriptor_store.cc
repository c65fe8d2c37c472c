#include "facade/compare/descriptor_store.h"

#include <map>
#include <utility>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/api.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/source_context.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/type.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "facade/compare/schema_paths.h"

namespace ficus {
namespace {

namespace pb = google::protobuf;

constexpr std::string_view kHowToMake =
    "make it with: protoc --include_imports --descriptor_set_out=FILE.pb FILE.proto";

using Files = std::map<std::string, pb::FileDescriptorProto>;

// The well-known types as libprotobuf has them, by file name. They stand before what a set brings along: compilers of
// different years describe them differently, and they never mean different things.
Files well_known_files() {
  Files files;
  for (const pb::FileDescriptor* file :
       {pb::Any::descriptor()->file(), pb::Api::descriptor()->file(), pb::Duration::descriptor()->file(),
        pb::Empty::descriptor()->file(), pb::FieldMask::descriptor()->file(), pb::SourceContext::descriptor()->file(),
        pb::Struct::descriptor()->file(), pb::Timestamp::descriptor()->file(), pb::Type::descriptor()->file(),
        pb::StringValue::descriptor()->file(), pb::FileDescriptorSet::descriptor()->file()}) {
    file->CopyTo(&files[file->name()]);
  }
  return files;
}

// What makes two descriptions of a file the same: everything but comments and what only other tools understand.
std::string essence(pb::FileDescriptorProto file) {
  file.clear_source_code_info();
  file.DiscardUnknownFields();
  return file.SerializePartialAsString();
}

class ErrorList : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element, const pb::Message*, ErrorLocation,
                const std::string& message) override {
    errors_.push_back(file + ": " + element + ": " + message);
  }
  std::vector<std::string> take() { return std::exchange(errors_, {}); }

 private:
  std::vector<std::string> errors_;
};

// Builds files into a pool, imports first.
class PoolBuilder {
 public:
  PoolBuilder(const Files& files, const std::map<std::string, std::string>& origins, pb::DescriptorPool& pool,
              std::vector<SchemaError>& errors)
      : files_(files), well_known_(well_known_files()), origins_(origins), pool_(pool), errors_(errors) {}

  // What grpc-status-details-bin holds, unless the files say what it is. Servers send it whether or not their schema
  // does. Source: googleapis, google/rpc/status.proto.
  void build_status_details() {
    if (pool_.FindMessageTypeByName("google.rpc.Status") != nullptr || !build("google/protobuf/any.proto")) return;
    pb::FileDescriptorProto file;
    file.set_name("ficus/status_details.proto");
    file.set_package("google.rpc");
    file.set_syntax("proto3");
    file.add_dependency("google/protobuf/any.proto");
    pb::DescriptorProto& status = *file.add_message_type();
    status.set_name("Status");
    const auto add = [&](const char* name, pb::FieldDescriptorProto::Type type, pb::FieldDescriptorProto::Label label) {
      pb::FieldDescriptorProto& field = *status.add_field();
      field.set_name(name);
      field.set_number(status.field_size());
      field.set_type(type);
      field.set_label(label);
      return &field;
    };
    add("code", pb::FieldDescriptorProto::TYPE_INT32, pb::FieldDescriptorProto::LABEL_OPTIONAL);
    add("message", pb::FieldDescriptorProto::TYPE_STRING, pb::FieldDescriptorProto::LABEL_OPTIONAL);
    add("details", pb::FieldDescriptorProto::TYPE_MESSAGE, pb::FieldDescriptorProto::LABEL_REPEATED)
        ->set_type_name(".google.protobuf.Any");
    ErrorList ignored;  // another package of the name "google.rpc.Status": then it is compared as bytes
    pool_.BuildFileCollectingErrors(file, &ignored);
  }

  // Gives every message type that is in the pool then, nested ones too.
  std::vector<const pb::Descriptor*> build_all() {
    for (const auto& [name, file] : files_) build(name);
    std::vector<const pb::Descriptor*> types;
    for (const auto& [name, state] : states_) {
      const pb::FileDescriptor* file = state == State::kBuilt ? pool_.FindFileByName(name) : nullptr;
      for (int i = 0; file != nullptr && i < file->message_type_count(); ++i) types.push_back(file->message_type(i));
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
      for (int k = 0; k < types[i]->nested_type_count(); ++k) {
        const pb::Descriptor* nested = types[i]->nested_type(k);
        if (!nested->options().map_entry()) types.push_back(nested);
      }
    }
    return types;
  }

 private:
  enum class State { kBuilding, kBuilt, kFailed };

  // Whether `name` is in the pool now.
  bool build(const std::string& name) {
    if (const auto known = states_.find(name); known != states_.end()) return known->second == State::kBuilt;
    const auto well_known = well_known_.find(name);
    const auto own = files_.find(name);
    if (well_known == well_known_.end() && own == files_.end()) return false;
    const pb::FileDescriptorProto& file = well_known != well_known_.end() ? well_known->second : own->second;
    states_[name] = State::kBuilding;
    bool complete = true;
    for (const std::string& import : file.dependency()) complete = import_file(name, import) && complete;
    if (complete) {
      ErrorList found;
      complete = pool_.BuildFileCollectingErrors(file, &found) != nullptr;
      for (std::string& text : found.take()) complain(name, std::move(text));
    }
    states_[name] = complete ? State::kBuilt : State::kFailed;
    return complete;
  }

  bool import_file(const std::string& name, const std::string& import) {
    if (const auto known = states_.find(import); known != states_.end()) {
      if (known->second == State::kBuilding)
        complain(name, name + ": imports \"" + import + "\", which imports it in turn");
      return known->second == State::kBuilt;
    }
    if (files_.count(import) == 0 && well_known_.count(import) == 0) {
      complain(name, name + ": imports \"" + import + "\", which the set does not hold; " + std::string(kHowToMake));
      return false;
    }
    return build(import);
  }

  void complain(const std::string& file, std::string message) {
    const auto origin = origins_.find(file);
    errors_.push_back({origin == origins_.end() ? file : origin->second, std::move(message)});
  }

  const Files& files_;
  const Files well_known_;
  const std::map<std::string, std::string>& origins_;
  pb::DescriptorPool& pool_;
  std::vector<SchemaError>& errors_;
  std::map<std::string, State> states_;
};

Idempotency idempotency_of(const pb::MethodDescriptor* method) {
  switch (method->options().idempotency_level()) {
    case pb::MethodOptions::NO_SIDE_EFFECTS: return Idempotency::kNoSideEffects;
    case pb::MethodOptions::IDEMPOTENT: return Idempotency::kIdempotent;
    default: return Idempotency::kUnknown;
  }
}

}  // namespace

struct DescriptorStore::Impl {
  pb::DescriptorPool pool;
  // Locks inside GetPrototype; nothing else of it is used.
  std::unique_ptr<pb::DynamicMessageFactory> factory;
  std::vector<const pb::Descriptor*> types;

  const pb::ServiceDescriptor* service(std::string_view name) const {
    return pool.FindServiceByName(std::string(name));
  }
  const pb::MethodDescriptor* method(std::string_view service_name, std::string_view method_name) const {
    const auto* found = service(service_name);
    return found == nullptr ? nullptr : found->FindMethodByName(std::string(method_name));
  }
};

DescriptorStore::DescriptorStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DescriptorStore::~DescriptorStore() = default;

Result<std::shared_ptr<const DescriptorStore>, std::vector<SchemaError>> DescriptorStore::open(
    const std::vector<SchemaFile>& files) {
  std::vector<SchemaError> errors;
  Files by_name;
  std::map<std::string, std::string> origins;  // file in a set -> the set's name
  for (const SchemaFile& schema : files) {
    pb::FileDescriptorSet set;
    if (!set.ParseFromString(schema.bytes)) {
      errors.push_back({schema.name, "is not a FileDescriptorSet; " + std::string(kHowToMake)});
      continue;
    }
    if (set.file_size() == 0) {
      errors.push_back({schema.name, "holds no files; " + std::string(kHowToMake)});
      continue;
    }
    for (pb::FileDescriptorProto& file : *set.mutable_file()) {
      const std::string name = file.name();
      if (name.empty()) {
        errors.push_back(
            {schema.name, "is not a FileDescriptorSet (a file in it has no name); " + std::string(kHowToMake)});
        break;
      }
      const auto [at, first] = by_name.try_emplace(name);
      if (first) {
        at->second = std::move(file);
        origins[name] = schema.name;
      } else if (essence(at->second) != essence(std::move(file))) {
        errors.push_back({schema.name, "\"" + name + "\" is defined otherwise in " + origins[name] +
                                           "; make both sets from one version of the protos"});
      }
    }
  }
  auto impl = std::make_unique<Impl>();
  if (errors.empty()) {
    PoolBuilder builder(by_name, origins, impl->pool, errors);
    impl->types = builder.build_all();
    if (errors.empty()) builder.build_status_details();
  }
  if (!errors.empty()) return fail(std::move(errors));
  impl->factory = std::make_unique<pb::DynamicMessageFactory>(&impl->pool);
  return std::shared_ptr<const DescriptorStore>(new DescriptorStore(std::move(impl)));
}

bool DescriptorStore::has_service(std::string_view service) const { return impl_->service(service) != nullptr; }

std::optional<MethodInfo> DescriptorStore::find_method(std::string_view service, std::string_view method) const {
  const pb::MethodDescriptor* found = impl_->method(service, method);
  if (found == nullptr) return std::nullopt;
  return MethodInfo{found->client_streaming(), found->server_streaming(), idempotency_of(found)};
}

std::vector<std::string> DescriptorStore::methods_of(std::string_view service) const {
  std::vector<std::string> names;
  if (const pb::ServiceDescriptor* found = impl_->service(service)) {
    for (int i = 0; i < found->method_count(); ++i) names.push_back(found->method(i)->name());
  }
  return names;
}

Result<KeyPath, std::string> DescriptorStore::resolve_request_key(std::string_view service, std::string_view method,
                                                                  std::string_view dotted) const {
  const pb::MethodDescriptor* found = impl_->method(service, method);
  if (found == nullptr) return fail("no method " + std::string(service) + "/" + std::string(method) + " in the schema");
  return key_path_of(found->input_type(), dotted);
}

bool DescriptorStore::response_has(std::string_view service, std::string_view method,
                                   const PathPattern& pattern) const {
  const pb::Descriptor* type = response_type(service, method);
  return type != nullptr && type_has(type, pattern, any_field, impl_->types);
}

bool DescriptorStore::response_has_repeated(std::string_view service, std::string_view method,
                                            const PathPattern& pattern) const {
  const pb::Descriptor* type = response_type(service, method);
  return type != nullptr && type_has(type, pattern, is_list, impl_->types);
}

bool DescriptorStore::response_has_keyed(std::string_view service, std::string_view method, const PathPattern& pattern,
                                         std::string_view by) const {
  const pb::Descriptor* type = response_type(service, method);
  const FieldTest keyed = [by](const pb::FieldDescriptor* field) { return is_keyed_list(field, by); };
  return type != nullptr && type_has(type, pattern, keyed, impl_->types);
}

bool DescriptorStore::response_has_measure(std::string_view service, std::string_view method,
                                           const PathPattern& pattern, Measure measure) const {
  const pb::Descriptor* type = response_type(service, method);
  const FieldTest measured = [measure](const pb::FieldDescriptor* field) { return is_measure(field, measure); };
  return type != nullptr && type_has(type, pattern, measured, impl_->types);
}

const pb::Descriptor* DescriptorStore::response_type(std::string_view service, std::string_view method) const {
  const pb::MethodDescriptor* found = impl_->method(service, method);
  return found == nullptr ? nullptr : found->output_type();
}

const pb::Descriptor* DescriptorStore::find_type(std::string_view full_name) const {
  return impl_->pool.FindMessageTypeByName(std::string(full_name));
}

std::unique_ptr<pb::Message> DescriptorStore::new_message(const pb::Descriptor* type) const {
  return std::unique_ptr<pb::Message>(impl_->factory->GetPrototype(type)->New());
}

}  // namespace ficus
