// Schemas and messages for tests of comparing, written as text: .proto sources in, DescriptorStore out.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/message.h>

#include "facade/compare/response_diff.h"

namespace ficus::test {

// A serialized FileDescriptorSet of {file name, .proto source}; imports are not resolved.
std::string descriptor_set(const std::vector<std::pair<std::string, std::string>>& files);

// testing.Service: Get -> Answer (proto3 with lists, maps, Any, oneofs, optionals), Old -> OldAnswer (proto2 with
// defaults, groups, extensions), Watch -> stream of Answer.
const std::vector<std::pair<std::string, std::string>>& test_protos();
std::shared_ptr<const DescriptorStore> test_store();
inline constexpr std::string_view kService = "testing.Service";

// Text format -> the message `type` ("testing.Answer"), and its wire bytes. Fails the test on a typing error. Any's
// hosts are written short: [x/testing.Money], [y/testing.Money].
std::unique_ptr<google::protobuf::Message> message_of(const DescriptorStore& store, const std::string& type,
                                                      const std::string& text);
std::string wire_of(const DescriptorStore& store, const std::string& type, const std::string& text);

std::vector<PathRule> paths(std::initializer_list<std::string_view> texts);

// What both upstreams did, ready to be changed by a test.
Observation answered(Side side, std::vector<std::string> messages, GrpcCode status = GrpcCode::kOk);

// legacy is primary; the clock stands still.
Comparison diff(const Observation& legacy, const Observation& fresh, std::string_view method, const CompareSpec& rules,
                const DescriptorStore* store, const CompareLimits& limits = {});
// Two unary answers of one method, in text format.
Comparison diff_texts(const std::string& legacy, const std::string& fresh, const CompareSpec& rules = {},
                      std::string_view method = "Get");

// "kind path severity" of each difference, in order: {"value policy.premium.amount major"}. Map keys as they are.
std::vector<std::string> summary(const Comparison& comparison);

}  // namespace ficus::test
