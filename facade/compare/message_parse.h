// Bytes from the network -> a message of a schema's type, within limits. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "facade/compare/descriptor_store.h"
#include "routing/result.h"

namespace ficus {

enum class ParseError {
  kUndecodable,  // not protobuf, or not of this type (invalid UTF-8 in a proto3 string)
  kTooLarge,     // more fields and list entries than allowed
  kTooDeep,      // nested deeper than allowed
};

// Parses `bytes`; proto2's missing required fields are no error, since two answers can lack the same one. Fields and
// list entries are counted, and nesting is measured, on the wire before anything is allocated (two bytes on the wire
// can be kilobytes in memory), so that hostile bytes cost neither memory nor stack. `elements` is lowered by what the
// message has. The message belongs to `store`'s types and must not outlive it. Any thread.
Result<std::unique_ptr<google::protobuf::Message>, ParseError> parse_message(std::string_view bytes,
                                                                             const google::protobuf::Descriptor* type,
                                                                             const DescriptorStore& store,
                                                                             int max_depth, std::size_t& elements);

}  // namespace ficus
