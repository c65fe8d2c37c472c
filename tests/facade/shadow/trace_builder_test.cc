#include "facade/shadow/trace_builder.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/schema_fixture.h"
#include "tests/facade/shadow/compare_job_fixture.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

const Redactor& redactor() {
  static const Redactor instance{Redactor::Key{}};
  return instance;
}

MismatchTrace trace_of(const CompareJob& job) {
  const CompareSpec& rules = job.table->capabilities()[job.table->methods()[job.method].capability].compare;
  return build_trace(job, test::diff(*job.primary, *job.shadow, job.method_name, rules, job.descriptors.get()),
                     redactor());
}

std::string json_of(const CompareJob& job) {
  std::string out;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(trace_of(job), &out).ok());
  return out;
}

const char* const kNoRules = "      absent_equals_default: true";

TEST(TraceBuilderTest, SaysWhoseCallItWasWhereItWentAndWhatDiffered) {
  CompareJob job = test::get_job(
      test::inquiry_table(
          "      severity: {critical: [policy.premium]}\n      ignore: [{path: \"**.updated_at\", reason: clocks}]"),
      "policy { premium { amount: 1 updated_at { seconds: 1 } } }",
      "policy { premium { amount: 2 updated_at { seconds: 2 } } }");
  const MismatchTrace trace = trace_of(job);
  EXPECT_EQ(trace.trace_id(), job.trace_id);
  EXPECT_EQ(trace.parent_span_id(), job.parent_span_id);
  EXPECT_EQ(trace.primary_span_id(), job.primary_span_id);
  EXPECT_EQ(trace.shadow_span_id(), job.shadow_span_id);
  EXPECT_EQ(trace.time().seconds(), 1'700'000'000);
  EXPECT_EQ(trace.time().nanos(), 250'000'000);
  EXPECT_EQ(trace.tenant(), "acme");
  EXPECT_EQ(trace.consumer(), "portal");
  EXPECT_EQ(trace.capability(), "inquiry");
  EXPECT_EQ(trace.method(), "testing.Service/Get");
  EXPECT_EQ(trace.rule(), "inquiry-acme");
  EXPECT_GT(trace.rule_line(), 0u);
  EXPECT_EQ(trace.stage(), "shadow");
  EXPECT_EQ(trace.policy_hash(), "c0ffee");
  EXPECT_EQ(trace.generation(), 7u);
  EXPECT_EQ(trace.primary_side(), MismatchTrace::LEGACY);
  EXPECT_EQ(trace.legacy().upstream(), "policy-legacy");
  EXPECT_EQ(trace.legacy().grpc_status(), "OK");
  EXPECT_DOUBLE_EQ(trace.legacy().latency_ms(), 1.5);
  EXPECT_EQ(trace.legacy().message_count(), 1u);
  EXPECT_EQ(trace.legacy().message_bytes(), job.primary->messages[0].bytes.size());
  EXPECT_EQ(trace.new_().upstream(), "policy-new");
  EXPECT_DOUBLE_EQ(trace.new_().latency_ms(), 3);
  EXPECT_EQ(trace.verdict(), MismatchTrace::MISMATCH);
  EXPECT_EQ(trace.severity(), MismatchTrace::CRITICAL);
  ASSERT_EQ(trace.differences_size(), 1);
  EXPECT_EQ(trace.differences(0).path(), "policy.premium.amount");
  EXPECT_EQ(trace.differences(0).kind(), ficus::trace::v1::Difference::VALUE);
  EXPECT_EQ(trace.differences(0).legacy(), redactor().hashed("int64", "1"));
  EXPECT_EQ(trace.differences(0).new_(), redactor().hashed("int64", "2"));
  ASSERT_EQ(trace.swallowed_size(), 1);
  EXPECT_EQ(trace.swallowed(0).rule(), "**.updated_at");
  EXPECT_EQ(trace.swallowed(0).count(), 1u);
}

TEST(TraceBuilderTest, LegsKeepTheirSidesAfterTheCutOver) {
  CompareJob job = test::get_job(test::inquiry_table(kNoRules), "done: true", "");
  std::swap(job.primary, job.shadow);
  const MismatchTrace trace = trace_of(job);
  EXPECT_EQ(trace.primary_side(), MismatchTrace::NEW);
  EXPECT_EQ(trace.legacy().upstream(), "policy-legacy");
  EXPECT_EQ(trace.new_().upstream(), "policy-new");
}

TEST(TraceBuilderTest, NoSecretLeavesUnlessThePolicyNamesIt) {
  CompareJob job = test::get_job(
      test::inquiry_table(kNoRules),
      "policy { number: 'SECRET-a' labels { key: 'SECRET-b' value: 'SECRET-c' } amounts { key: 'SECRET-d' value { "
      "currency: 'SECRET-e' } } riders { note: 'SECRET-f' } } "
      "raw: 'SECRET-g' detail { [x/testing.Money] { currency: 'SECRET-h' } } blobs: 'SECRET-i' accepted: 'SECRET-j'",
      "policy { amounts { key: 'SECRET-d' value { currency: 'SECRET-k' } } } raw: 'SECRET-l' detail { type_url: "
      "'x/SECRET-m' } count: 424242");
  job.key = "SECRET-n";
  auto primary = std::make_shared<Observation>(*job.primary);
  primary->grpc_message = "no such policy: SECRET-o";
  primary->messages[0].bytes += "\xa2\x06\x08SECRET-p";  // an unknown field
  job.primary = primary;
  const std::string json = json_of(job);
  EXPECT_THAT(json, Not(HasSubstr("SECRET")));
  EXPECT_THAT(json, Not(HasSubstr("424242")));
  // Nor in another coat.
  EXPECT_THAT(json, Not(HasSubstr("U0VDUkVU"))) << "base64";
  EXPECT_THAT(json, Not(HasSubstr("534543524554"))) << "hex";
  EXPECT_THAT(json, HasSubstr("policy.amounts[" + redactor().hashed("string", "SECRET-d") + "].currency"));
  EXPECT_THAT(json, HasSubstr("\"keyDigest\":\"" + redactor().hashed("string", "SECRET-n")));
  EXPECT_THAT(json, HasSubstr("\"grpcMessage\":\"" + redactor().hashed("string", "no such policy: SECRET-o")));
}

TEST(TraceBuilderTest, WhatThePolicyNamesPlainIsShownUnlessTakenBack) {
  const char* legacy = "policy { number: 'P-1' notes: 'n1' premium { amount: 1 } } raw: '\\000\\377' done: true";
  const char* fresh = "policy { number: 'P-2' notes: 'n2' } raw: 'b'";
  struct Case {
    const char* name;
    const char* compare;
    std::vector<std::string> shown, hidden;
  };
  const Case cases[] = {
      {"plain paths",
       "      plain: [policy.number, policy.premium, raw]",
       {"P-1", "P-2", "amount: 1", "AP8=", "Yg=="},
       {"n1", "n2", "KEY-1", "MSG-1"}},
      {"values: plain", "      values: plain", {"P-1", "n1", "amount: 1", "KEY-1", "MSG-1"}, {}},
      {"redact before values: plain",
       "      values: plain\n      redact: [policy.notes]",
       {"P-1", "amount: 1"},
       {"n1", "n2", "KEY-1", "MSG-1"}},
      {"redact before plain",
       "      plain: [\"policy.**\"]\n      redact: [policy.number, policy.premium.amount]",
       {"n1"},
       {"P-1", "P-2", "amount: 1"}},
  };
  for (const Case& c : cases) {
    CompareJob job = test::get_job(test::inquiry_table(c.compare), legacy, fresh);
    job.key = "KEY-1";
    auto primary = std::make_shared<Observation>(*job.primary);
    primary->grpc_message = "MSG-1";
    job.primary = primary;
    const std::string json = json_of(job);
    for (const std::string& text : c.shown) EXPECT_THAT(json, HasSubstr(text)) << c.name;
    for (const std::string& text : c.hidden) EXPECT_THAT(json, Not(HasSubstr(text))) << c.name;
  }
}

TEST(TraceBuilderTest, StatusesAndSizesAreNobodysData) {
  CompareJob job = test::get_job(test::inquiry_table(kNoRules), "", "");
  auto shadow = std::make_shared<Observation>(*job.shadow);
  shadow->grpc_status = GrpcCode::kNotFound;
  shadow->grpc_message = "no policy SECRET";
  job.shadow = shadow;
  const MismatchTrace trace = trace_of(job);
  ASSERT_EQ(trace.differences_size(), 1);
  EXPECT_EQ(trace.differences(0).kind(), ficus::trace::v1::Difference::STATUS);
  EXPECT_EQ(trace.differences(0).legacy(), "OK");
  EXPECT_EQ(trace.differences(0).new_(), "NOT_FOUND");
  EXPECT_EQ(trace.new_().grpc_status(), "NOT_FOUND");
  EXPECT_THAT(trace.new_().grpc_message(), MatchesRegex("string:16:[0-9a-f]{16}"));
}

TEST(TraceBuilderTest, MetadataIsHashedAndLatencyIsNobodysData) {
  const std::string compare = "      metadata: [x-a, x-b-bin]\n      latency: {absolute: 1ms}";
  for (const bool plain : {false, true}) {
    CompareJob job = test::get_job(test::inquiry_table(compare + (plain ? "\n      values: plain" : "")), "", "");
    auto primary = std::make_shared<Observation>(*job.primary);
    primary->metadata = {{"x-a", "SECRET-1"}};
    job.primary = primary;
    auto shadow = std::make_shared<Observation>(*job.shadow);
    shadow->metadata = {{"x-b-bin", "U0VDUkVU"}};
    job.shadow = shadow;
    const MismatchTrace trace = trace_of(job);
    ASSERT_EQ(trace.differences_size(), 3);
    EXPECT_EQ(trace.differences(0).kind(), ficus::trace::v1::Difference::METADATA);
    EXPECT_EQ(trace.differences(0).path(), "metadata[x-a]");
    EXPECT_EQ(trace.differences(0).legacy(), plain ? "SECRET-1" : redactor().hashed("string", "SECRET-1"));
    EXPECT_FALSE(trace.differences(0).has_new_());
    EXPECT_EQ(trace.differences(1).path(), "metadata[x-b-bin]");
    EXPECT_EQ(trace.differences(1).new_(), plain ? "U0VDUkVU" : redactor().hashed("string", "U0VDUkVU"));
    EXPECT_EQ(trace.differences(2).kind(), ficus::trace::v1::Difference::LATENCY);
    EXPECT_EQ(trace.differences(2).severity(), MismatchTrace::MINOR);
    EXPECT_EQ(trace.differences(2).legacy(), "1.500ms");
    EXPECT_EQ(trace.differences(2).new_(), "3.000ms");
    EXPECT_EQ(trace.severity(), MismatchTrace::MAJOR);
  }
}

TEST(TraceBuilderTest, RedactOfAMethodTakesBackWhatHasNoPathToo) {
  CompareJob job =
      test::get_job(test::inquiry_table("      values: plain\n      methods: {Get: {redact: [policy.notes]}}"),
                    "policy { notes: 'SECRET-a' number: 'P-1' }", "policy { notes: 'SECRET-b' number: 'P-2' }");
  job.key = "SECRET-c";
  const std::string json = json_of(job);
  EXPECT_THAT(json, Not(HasSubstr("SECRET")));
  EXPECT_THAT(json, HasSubstr("P-1"));
}

TEST(TraceBuilderTest, TextFromTheNetworkIsMadePrintable) {
  CompareJob job =
      test::get_job(test::inquiry_table("      values: plain"), "policy { notes: 'a' }", "policy { notes: 'b' }");
  job.tenant = "ac\xffme";
  job.key = std::string(5000, 'k');
  const MismatchTrace trace = trace_of(job);
  EXPECT_EQ(trace.tenant(), "ac\\xffme");
  EXPECT_EQ(trace.key_digest(), std::string(kMaxPlainBytes, 'k') + "...");
}

TEST(TraceBuilderTest, CallThatNoRuleTookHasNone) {
  CompareJob job = test::get_job(test::inquiry_table(kNoRules), "done: true", "");
  job.rule = kNoRule;
  const MismatchTrace trace = trace_of(job);
  EXPECT_EQ(trace.rule(), "");
  EXPECT_EQ(trace.rule_line(), 0u);
}

}  // namespace
}  // namespace ficus
