#include "tests/support/policies.h"

#include <cstdint>

#include "tests/support/temp_dir.h"

namespace ficus::e2e {
namespace {

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

void put_bytes_field(std::string& to, std::uint32_t number, std::string_view bytes) {
  put_varint(to, number << 3 | 2);
  put_varint(to, bytes.size());
  to += bytes;
}

}  // namespace

std::string pass_through_policy(const std::vector<std::string>& endpoints, const std::string& upstream_extra) {
  std::string list;
  for (const std::string& endpoint : endpoints) list += (list.empty() ? "\"" : ", \"") + endpoint + "\"";
  return "apiVersion: ficus/v1\n"
         "name: relay\n"
         "upstreams:\n"
         "  policy-new: {endpoints: [" +
         list + "]" + upstream_extra +
         "}\n"
         "default_upstream: policy-new\n"
         "ownership_epoch: 1\n";
}

std::string two_sided_policy(const TwoSided& parts) {
  std::string text =
      "apiVersion: ficus/v1\n"
      "name: insurer-test\n"
      "upstreams:\n"
      "  policy-legacy: {endpoints: [\"" +
      parts.legacy + "\"]" + parts.legacy_extra +
      "}\n"
      "  policy-new: {endpoints: [\"" +
      parts.new_ + "\"]" + parts.new_extra + "}\n";
  if (parts.default_upstream) text += "default_upstream: policy-legacy\n";
  if (parts.schema) text += "schemas: [\"insurance.pb\"]\n";
  text +=
      "identity:\n"
      "  tenant: [{metadata: x-tenant-id}]\n"
      "  consumer: [{metadata: x-consumer-id}]\n"
      "attributes:\n"
      "  product: [{metadata: x-product}]\n";
  text += parts.top_extra;
  text +=
      "capabilities:\n"
      "  inquiry:\n"
      "    data: policy\n"
      "    legacy: policy-legacy\n"
      "    new: policy-new\n"
      "    service: insurance.policy.v1.PolicyService\n"
      "    reads: [GetPolicy, ListPolicies, StreamHistory]\n"
      "    staleness: 2s\n"
      "    reverse_replication: external\n";
  text += parts.inquiry_extra;
  text +=
      "  address:\n"
      "    data: policy\n"
      "    legacy: policy-legacy\n"
      "    new: policy-new\n"
      "    service: insurance.policy.v1.PolicyService\n"
      "    reverse_replication: external\n"
      "    writes: [EndorseAddress]\n";
  if (!parts.rules.empty()) text += "rules:\n" + parts.rules;
  text += "ownership_epoch: " + std::to_string(parts.epoch) + "\n";
  return text;
}

std::string insurance_schema() { return read_file(FICUS_INSURANCE_PB); }

std::string get_policy_request(std::string_view number, std::size_t padding) {
  std::string message;
  if (padding > 0) put_bytes_field(message, 15, std::string(padding, 'p'));
  put_bytes_field(message, 1, number);
  return message;
}

std::string noise(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x1234567u;
  for (char& byte : bytes) {  // xorshift64
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state >> 32);
  }
  return bytes;
}

}  // namespace ficus::e2e
