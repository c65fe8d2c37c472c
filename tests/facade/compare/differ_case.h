// A comparison made of bytes: a schema, two messages of it, and rules. Any bytes make a whole case, so that a fuzzer
// and a random test walk the same ground: tests/fuzz/differ_fuzz.cc, schema_property_test.cc. No GoogleTest here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>

#include "facade/compare/descriptor_store.h"
#include "routing/policy.h"

namespace ficus::test {

// Decisions, taken from bytes one by one; past the end each is 0, which leaves fields unset and messages unchanged.
class ByteChoices {
 public:
  explicit ByteChoices(std::string_view bytes) : left_(bytes) {}
  // 0 .. n-1; n at most 256.
  std::size_t below(std::size_t n) {
    if (left_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return byte % n;
  }
  bool done() const { return left_.empty(); }

 private:
  std::string_view left_;
};

// service r.S { rpc Get(M0) returns (M0); }, proto2 or proto3; one to four messages, which may hold each other and
// themselves, with fields f1, f2, ... of every kind there is: scalars, enums, messages, groups, maps, Any, oneofs,
// `optional`, lists, extensions, defaults. Never null.
std::shared_ptr<const DescriptorStore> schema_of(ByteChoices& choices);
inline constexpr int kSchemaMaxFields = 6;  // of a message
inline constexpr std::string_view kSchemaService = "r.S";
inline constexpr std::string_view kSchemaMethod = "Get";

struct DifferCase {
  std::shared_ptr<const DescriptorStore> store;
  std::unique_ptr<google::protobuf::Message> legacy, fresh;  // of r.M0; `fresh` is legacy changed, or made anew
  std::unique_ptr<google::protobuf::Message> shuffled;       // legacy with its lists and maps in another order
  CompareSpec rules;
};
DifferCase differ_case_of(std::string_view bytes);

// For messages about a case: both texts and the rules.
std::string describe(const DifferCase& c);

}  // namespace ficus::test
