// Schemas: FileDescriptorSets -> methods, key paths, response types. Implements routing's MethodCatalog.
// Immutable once made; any number of threads may read it (generated messages are made per call).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/method_catalog.h"

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace ficus {

struct SchemaFile {
  std::string name;   // as the policy names it
  std::string bytes;  // a serialized google.protobuf.FileDescriptorSet
};
struct SchemaError {
  std::string name;     // which file
  std::string message;  // what is wrong and what to do ("protoc --include_imports ...")
};

class DescriptorStore : public MethodCatalog {
 public:
  // Files of several sets may repeat one another if they are equal; a different definition of one file or symbol is an
  // error. Imports must be there; the well-known types are built in. Any thread.
  static Result<std::shared_ptr<const DescriptorStore>, std::vector<SchemaError>> open(
      const std::vector<SchemaFile>& files);
  ~DescriptorStore() override;

  bool has_service(std::string_view service) const override;
  std::optional<MethodInfo> find_method(std::string_view service, std::string_view method) const override;
  std::vector<std::string> methods_of(std::string_view service) const override;
  Result<KeyPath, std::string> resolve_request_key(std::string_view service, std::string_view method,
                                                   std::string_view dotted) const override;
  bool response_has(std::string_view service, std::string_view method, const PathPattern& pattern) const override;
  bool response_has_repeated(std::string_view service, std::string_view method,
                             const PathPattern& pattern) const override;
  bool response_has_keyed(std::string_view service, std::string_view method, const PathPattern& pattern,
                          std::string_view by) const override;
  bool response_has_measure(std::string_view service, std::string_view method, const PathPattern& pattern,
                            Measure measure) const override;

  // Null where the schema has no such method.
  const google::protobuf::Descriptor* response_type(std::string_view service, std::string_view method) const;
  // A message type by its full name, as an Any's type URL ends; null where there is none.
  const google::protobuf::Descriptor* find_type(std::string_view full_name) const;
  // An empty message of the type, from this store's factory. The store must outlive it. Any thread.
  std::unique_ptr<google::protobuf::Message> new_message(const google::protobuf::Descriptor* type) const;

 private:
  struct Impl;
  explicit DescriptorStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
