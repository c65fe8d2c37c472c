// The rules of comparing through a real facade: lists by key, tolerances, metadata, latency, rules of one method.
#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

class CompareRulesTest : public ShadowTest {
 protected:
  void start_comparing(const std::string& compare) { start_shadowing("percent: 100", "    compare:\n" + compare); }
  double ignored(const std::string& rule) const { return metric("ficus_ignored_total", {{"rule", rule}}); }
};

insurance::Policy policy_with(std::int64_t premium, std::int64_t seconds,
                              const std::vector<std::pair<std::string, std::string>>& endorsements) {
  insurance::Policy policy;
  policy.set_policy_number("P-1");
  policy.mutable_premium()->set_amount(premium);
  policy.mutable_updated_at()->set_seconds(seconds);
  for (const auto& [id, text] : endorsements) {
    auto& endorsement = *policy.add_endorsements();
    endorsement.set_endorsement_id(id);
    endorsement.set_text(text);
  }
  return policy;
}

Script answer_policy(const insurance::Policy& policy) {
  insurance::GetPolicyResponse response;
  *response.mutable_policy() = policy;
  return answer({response.SerializeAsString()});
}

const std::string kListsAndTolerances =
    "      keyed: [{path: policy.endorsements, by: endorsement_id}]\n"
    "      tolerance:\n"
    "        - {path: policy.premium.amount, absolute: 5}\n"
    "        - {path: \"**.updated_at\", window: 2s}\n"
    "      plain: [\"policy.**\"]\n";

TEST_F(CompareRulesTest, KeyedOrderAndTolerancesAreIgnoredAndCountedByRule) {
  legacy_.set_script(answer_policy(policy_with(42000, 100, {{"e1", "moved"}, {"e2", "driver"}})));
  new_.set_script(answer_policy(policy_with(42005, 102, {{"e2", "driver"}, {"e1", "moved"}})));
  start_comparing(kListsAndTolerances);
  expect_read();
  ASSERT_TRUE(wait_verdict("ignored")) << shadow_metrics();
  EXPECT_EQ(ignored("policy.endorsements"), 1);
  EXPECT_EQ(ignored("policy.premium.amount"), 1);
  EXPECT_EQ(ignored("**.updated_at"), 1);
  EXPECT_EQ(verdicts("match"), 0);
  EXPECT_TRUE(mismatch_log().empty());
}

TEST_F(CompareRulesTest, WhatIsBeyondThemIsAMismatchAtItsOwnPlace) {
  legacy_.set_script(answer_policy(policy_with(42000, 100, {{"e1", "moved"}, {"e2", "driver"}, {"e3", "x"}})));
  new_.set_script(answer_policy(policy_with(42006, 100, {{"e2", "other driver"}, {"e1", "moved"}})));
  start_comparing(kListsAndTolerances);
  expect_read();
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  const trace::MismatchTrace got = traces().at(0);
  std::vector<std::string> paths;
  for (const auto& difference : got.differences()) paths.push_back(difference.path());
  EXPECT_EQ(paths, (std::vector<std::string>{"policy.premium.amount", "policy.endorsements[1].text",
                                             "policy.endorsements[2]"}));
  EXPECT_EQ(got.differences(1).new_(), "other driver");
  EXPECT_EQ(got.differences(2).kind(), trace::Difference::MISSING);
  EXPECT_EQ(ignored("policy.endorsements"), 1);
}

// Answers the same message everywhere, so that nothing but the metadata can differ.
Script answer_with(const std::string& header, const std::string& trailer, const std::string& unnamed) {
  return [=](UpstreamCall& call) {
    if (!header.empty()) call.add_initial_metadata("x-schema", header);
    call.add_initial_metadata("x-unnamed", unnamed);
    if (!trailer.empty()) call.add_trailer("x-proof-bin", trailer);
    while (call.read()) {
    }
    call.write("");
    return grpc::Status::OK;
  };
}

TEST_F(CompareRulesTest, MetadataThatThePolicyNamesIsComparedAndHashed) {
  legacy_.set_script(answer_with("schema-1", "proof-1", "unnamed-1"));
  new_.set_script(answer_with("schema-1", "proof-1", "unnamed-2"));
  start_comparing("      metadata: [x-schema, x-proof-bin]\n");
  expect_read();
  ASSERT_TRUE(wait_verdict("match")) << shadow_metrics();

  new_.set_script(answer_with("schema-2", "", "unnamed-2"));
  expect_read();
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  const trace::MismatchTrace got = traces().at(0);
  ASSERT_EQ(got.differences_size(), 2);
  EXPECT_EQ(got.differences(0).kind(), trace::Difference::METADATA);
  EXPECT_EQ(got.differences(0).path(), "metadata[x-schema]");
  EXPECT_EQ(got.differences(0).legacy().rfind("string:8:", 0), 0u) << got.differences(0).legacy();
  EXPECT_NE(got.differences(0).legacy(), got.differences(0).new_());
  EXPECT_EQ(got.differences(1).path(), "metadata[x-proof-bin]");
  EXPECT_FALSE(got.differences(1).has_new_());
  EXPECT_EQ(got.severity(), trace::MismatchTrace::MAJOR);
  for (const char* secret : {"schema-1", "schema-2", "proof-1", "cHJvb2Yt", "unnamed"}) {
    EXPECT_EQ(mismatch_log().find(secret), std::string::npos) << secret;
  }
  EXPECT_EQ(verdicts("mismatch"), 1);
}

TEST_F(CompareRulesTest, MetadataCountsForTheBytesOfAShadow) {
  const Script large = answer_with(std::string(6000, 's'), "", "");
  legacy_.set_script(large);
  new_.set_script(large);
  start_shadowing("percent: 100, max_bytes: 4KiB", "    compare: {metadata: [x-schema]}\n");
  expect_read();
  EXPECT_TRUE(ficus_->wait_metric("ficus_shadow_verdicts_total", {{"verdict", "abandoned"}}, 1) ||
              metric("ficus_not_shadowed_total") > 0)
      << shadow_metrics();
  EXPECT_EQ(verdicts("match"), 0) << shadow_metrics();
}

TEST_F(CompareRulesTest, NewThatIsSlowerThanAllowedIsAMinorMismatch) {
  const auto slow = std::chrono::milliseconds(20);
  legacy_.set_script(answer({""}));
  new_.set_script([slow](UpstreamCall& call) {
    while (call.read()) {
    }
    const auto from = std::chrono::steady_clock::now();
    wait_until([&] { return std::chrono::steady_clock::now() - from > slow; });
    call.write("");
    return grpc::Status::OK;
  });
  start_comparing("      latency: {absolute: 1ms, relative: 0.01}\n");
  // On a busy machine legacy may once be the slower one.
  ASSERT_TRUE(wait_until([&] {
    expect_read();
    return wait_traces(1);
  })) << shadow_metrics();
  const trace::MismatchTrace got = traces().at(0);
  ASSERT_EQ(got.differences_size(), 1);
  EXPECT_EQ(got.differences(0).kind(), trace::Difference::LATENCY);
  EXPECT_EQ(got.differences(0).path(), "");
  EXPECT_EQ(got.severity(), trace::MismatchTrace::MINOR);
  EXPECT_GE(std::stod(got.differences(0).new_()), 20);
  EXPECT_LT(std::stod(got.differences(0).legacy()), std::stod(got.differences(0).new_()));
  EXPECT_GE(metric("ficus_mismatches_total", {{"severity", "minor"}}), 1);
}

TEST_F(CompareRulesTest, RulesOfAMethodHoldForItAlone) {
  const auto list = [](std::initializer_list<const char*> numbers) {
    insurance::ListPoliciesResponse response;
    for (const char* number : numbers) response.add_policies()->set_policy_number(number);
    return response.SerializeAsString();
  };
  const auto by_method = [&](std::initializer_list<const char*> numbers, const std::string& notes) -> Script {
    return [page = list(numbers), one = policy_response("P-1", 1, notes)](UpstreamCall& call) {
      while (call.read()) {
      }
      call.write(call.path() == method("ListPolicies") ? page : one);
      return grpc::Status::OK;
    };
  };
  legacy_.set_script(by_method({"P-1", "P-2"}, "a"));
  new_.set_script(by_method({"P-2", "P-1"}, "b"));
  start_comparing(
      "      methods:\n"
      "        ListPolicies: {keyed: [{path: policies, by: policy_number}]}\n"
      "        StreamHistory: {ignore: [{path: \"**.notes\", reason: free text}]}\n");
  call(channel_, method("ListPolicies"), "", {.metadata = {{"x-tenant-id", "shady"}}});
  EXPECT_TRUE(wait_verdict("ignored")) << shadow_metrics();
  EXPECT_EQ(ignored("policies"), 1);
  expect_read();
  EXPECT_TRUE(wait_verdict("mismatch")) << "another method's rule was heeded\n" << shadow_metrics();
}

}  // namespace
}  // namespace ficus::e2e
