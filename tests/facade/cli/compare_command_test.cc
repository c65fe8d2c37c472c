#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <zlib.h>

#include "facade/trace/redact.h"
#include "facade/wire/grpc_frame.h"
#include "ficus/trace/v1/mismatch_trace.pb.h"
#include "insurance/policy/v1/policy_service.pb.h"
#include "tests/facade/cli/cli_fixture.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using test::CommandResult;
using test::holds;

constexpr std::string_view kPolicy = R"(apiVersion: ficus/v1
name: insurer
upstreams:
  policy-legacy: {endpoints: ["127.0.0.1:50051"]}
  policy-new: {endpoints: ["127.0.0.1:50052"]}
default_upstream: policy-legacy
schemas: ["insurance.pb"]
capabilities:
  inquiry:
    legacy: policy-legacy
    new: policy-new
    service: insurance.policy.v1.PolicyService
    reads: [GetPolicy, StreamHistory]
    compare:
      ignore: [{path: "**.updated_at", reason: "each side stamps its own clock"}]
      unordered: ["policy.endorsements"]
      severity: {critical: ["policy.premium.**"], minor: ["policy.notes"]}
      plain: ["policy.premium.**"]
  address:
    legacy: policy-legacy
    new: policy-new
    service: insurance.policy.v1.PolicyService
    writes: [EndorseAddress]
unmanaged: [{method: insurance.policy.v1.PolicyService/ListPolicies, reason: a test}]
rules:
  - {name: inquiry, capability: inquiry, stage: shadow, reads: {shadow: {percent: 100}}}
ownership_epoch: 1
)";

constexpr const char* kGet = "insurance.policy.v1.PolicyService/GetPolicy";
constexpr const char* kHistory = "insurance.policy.v1.PolicyService/StreamHistory";
constexpr const char* kBase = R"(policy { policy_number: "P-1" holder { full_name: "Ada Lovelace" }
  premium { currency: "EUR" amount: 100 } updated_at { seconds: 1 } })";

std::string wire(const std::string& text) {
  insurance::policy::v1::GetPolicyResponse response;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &response)) << text;
  return response.SerializeAsString();
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
std::string frame(std::string_view message, bool compressed = false) {
  const auto prefix = grpc_prefix(compressed, static_cast<std::uint32_t>(message.size()));
  return std::string(prefix.data(), prefix.size()).append(message);
}
std::string deflated(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  EXPECT_EQ(
      compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()),
      Z_OK);
  out.resize(size);
  return out;
}

class CompareCommandTest : public test::CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    add_schema();
    policy_ = write("insurer.yaml", kPolicy);
    legacy_ = write("legacy.bin", wire(kBase));
  }
  CommandResult compare(const std::string& legacy, const std::string& fresh, std::vector<std::string> more = {},
                        std::string in = {}) {
    std::vector<std::string> arguments{"compare", legacy, fresh, "--policy", policy_};
    bool names_method = false;
    for (const std::string& argument : more) names_method = names_method || argument == "--method";
    if (!names_method) more.insert(more.end(), {"--method", kGet});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, false, std::move(in));
  }
  // Legacy's usual answer against one of new's.
  CommandResult against(const std::string& new_text, std::vector<std::string> more = {}) {
    return compare(legacy_, write("new.bin", wire(new_text)), std::move(more));
  }
  void expect_refused(const CommandResult& result, const std::string& said) {
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, said)) << result.err;
  }
  std::string policy_, legacy_;
};

TEST_F(CompareCommandTest, EqualAnswersMatch) {
  const auto result = against(kBase);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "match\n  insurance.policy.v1.PolicyService/GetPolicy, capability inquiry\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(CompareCommandTest, WhatRulesSwallowIsIgnoredAndCounted) {
  const auto result = against(replaced(kBase, "seconds: 1", "seconds: 2"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "ignored\n  insurance.policy.v1.PolicyService/GetPolicy, capability inquiry\n"
            "  swallowed by **.updated_at: 1\n");
}

TEST_F(CompareCommandTest, MismatchShowsPlacesAndOnlyPlainValues) {
  const auto result = against(replaced(replaced(kBase, "100", "250"), "Ada Lovelace", "A. Lovelace"));
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_TRUE(holds(result.out, "mismatch, critical: 2 differences\n")) << result.out;
  EXPECT_TRUE(holds(result.out, "  policy.holder.full_name: value, major\n    legacy  string:12:")) << result.out;
  EXPECT_TRUE(holds(result.out, "  policy.premium.amount: value, critical\n    legacy  100\n    new     250\n"))
      << result.out;
  EXPECT_FALSE(holds(result.out, "Lovelace")) << result.out;
}

TEST_F(CompareCommandTest, AbsentSideIsSaidToBeAbsent) {
  const auto result = against(replaced(kBase, "premium { currency: \"EUR\" amount: 100 }", ""));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(holds(result.out, "policy.premium: missing, critical\n")) << result.out;
  EXPECT_TRUE(holds(result.out, "    new     (absent)\n")) << result.out;
}

TEST_F(CompareCommandTest, KeyFileGivesTheHashesOfServesTraces) {
  const auto serves = Redactor::open_key_file(path("redact.key"));
  ASSERT_TRUE(serves.has_value());
  const std::string changed = replaced(kBase, "Ada", "Eda");
  const auto with_key = against(changed, {"--redact-key", path("redact.key")});
  EXPECT_TRUE(holds(with_key.out, serves->hashed("string", "Ada Lovelace"))) << with_key.out;
  EXPECT_TRUE(holds(with_key.out, serves->hashed("string", "Eda Lovelace"))) << with_key.out;
  EXPECT_EQ(with_key.err, "");

  const auto without = against(changed);
  EXPECT_FALSE(holds(without.out, serves->hashed("string", "Ada Lovelace")));
  EXPECT_TRUE(holds(without.err, "note: values that the policy does not show plain are hashed under a key of this run"))
      << without.err;
}

TEST_F(CompareCommandTest, AbsentKeyFileIsRefusedAndNotMade) {
  expect_refused(against(kBase, {"--redact-key", path("none.key")}), "give the file that `serve --redact-key` has");
  EXPECT_FALSE(std::filesystem::exists(path("none.key")));
}

TEST_F(CompareCommandTest, JsonIsATraceWithoutACall) {
  const auto result = against(replaced(replaced(kBase, "100", "250"), "seconds: 1", "seconds: 2"), {"--json"});
  EXPECT_EQ(result.exit_code, 1);
  MismatchTrace trace;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(result.out, &trace).ok()) << result.out;
  EXPECT_EQ(trace.verdict(), MismatchTrace::MISMATCH);
  EXPECT_EQ(trace.severity(), MismatchTrace::CRITICAL);
  EXPECT_EQ(trace.method(), kGet);
  EXPECT_EQ(trace.capability(), "inquiry");
  EXPECT_EQ(trace.primary_side(), MismatchTrace::LEGACY);
  EXPECT_EQ(trace.legacy().upstream(), "policy-legacy");
  EXPECT_EQ(trace.new_().upstream(), "policy-new");
  EXPECT_EQ(trace.legacy().message_count(), 1u);
  EXPECT_EQ(trace.policy_hash().size(), 64u);
  EXPECT_FALSE(trace.has_time());
  EXPECT_EQ(trace.generation(), 0u);
  ASSERT_EQ(trace.differences_size(), 1);
  EXPECT_EQ(trace.differences(0).path(), "policy.premium.amount");
  EXPECT_EQ(trace.differences(0).legacy(), "100");
  EXPECT_EQ(trace.differences(0).new_(), "250");
  ASSERT_EQ(trace.swallowed_size(), 1);
  EXPECT_EQ(trace.swallowed(0).rule(), "**.updated_at");
  EXPECT_EQ(result.out.find('\n'), result.out.size() - 1) << "not one line";
}

TEST_F(CompareCommandTest, FramedStreamsAreComparedMessageByMessage) {
  const std::string one =
                        "\x0a\x02"
                        "e1",
                    two =
                        "\x0a\x02"
                        "e2",
                    other =
                        "\x0a\x02"
                        "e3";
  const std::string legacy = write("legacy.grpc", frame(one) + frame(two));
  const std::string fresh = write("new.grpc", frame(one) + frame(other));
  EXPECT_EQ(compare(legacy, legacy, {"--framed", "--method", kHistory}).exit_code, 0);
  const auto result = compare(legacy, fresh, {"--framed", "--method", kHistory});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_TRUE(holds(result.out, "  message 2, ")) << result.out;
  EXPECT_FALSE(holds(result.out, "message 1")) << result.out;

  const auto shorter = compare(legacy, write("new.grpc", frame(one)), {"--framed", "--method", kHistory});
  EXPECT_EQ(shorter.exit_code, 1);
  EXPECT_TRUE(holds(shorter.out, "  message 2: missing, major\n")) << shorter.out;
}

TEST_F(CompareCommandTest, CompressedFramesNeedTheirEncoding) {
  const std::string packed = write("packed.grpc", frame(deflated(wire(kBase)), true));
  const std::string bare = write("bare.grpc", frame(wire(replaced(kBase, "100", "101"))));
  const auto result = compare(packed, bare, {"--framed", "--legacy-encoding", "deflate"});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_TRUE(holds(result.out, "policy.premium.amount: value, critical\n    legacy  100\n    new     101\n"))
      << result.out;
  expect_refused(compare(packed, bare, {"--framed"}), "message 1 is compressed; say how with --legacy-encoding gzip");
  expect_refused(compare(bare, packed, {"--framed"}), "--new-encoding gzip");
  expect_refused(compare(legacy_, legacy_, {"--new-encoding", "gzip"}), "--new-encoding is about gRPC frames");
  EXPECT_EQ(compare(packed, bare, {"--framed", "--legacy-encoding", "gzip"}).exit_code, 3) << "it is no gzip";
  EXPECT_EQ(compare(packed, bare, {"--framed", "--legacy-encoding", "snappy"}).exit_code, 2);
}

TEST_F(CompareCommandTest, FilesThatHoldNoFramesAreRefusedWithAHint) {
  const std::string good = write("good.grpc", frame("\x0a\x02"
                                                    "e1"));
  struct Case {
    const char* name;
    std::string bytes;
    const char* want;
  };
  const Case cases[] = {
      {"a bare message", wire(kBase), "begins with a byte that no gRPC frame begins with; leave --framed out"},
      {"garbage behind a frame",
       frame("\x0a\x02"
             "e1") +
           "garbage",
       "goes on after message 1 with a byte"},
      {"cut off in a message",
       frame("\x0a\x02"
             "e1")
           .substr(0, 7),
       "is cut off in message 1: 2 of its 4 bytes"},
      {"cut off in the second message's prefix",
       frame("\x0a\x02"
             "e1") +
           std::string(3, '\0'),
       "is cut off in the 5 bytes before message 2"},
      {"a length beyond the file", std::string("\0\xff\xff\xff\xff", 5), "0 of its 4294967295 bytes"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    expect_refused(compare(good, write("bad.grpc", c.bytes), {"--framed", "--method", kHistory}), c.want);
  }
  EXPECT_EQ(compare(good, write("none.grpc", ""), {"--framed", "--method", kHistory}).exit_code, 1)
      << "a stream without messages is an answer";
}

TEST_F(CompareCommandTest, FramesWithoutTheFlagAreNoVerdictAndSaySo) {
  const auto result = compare(legacy_, write("new.grpc", frame(wire(kBase))));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(holds(result.out, "incomparable: undecodable\n")) << result.out;
  EXPECT_TRUE(holds(result.err, "if the files hold gRPC frames, give --framed")) << result.err;
}

TEST_F(CompareCommandTest, StandardInputStandsForOneOfThem) {
  EXPECT_EQ(compare("-", legacy_, {}, wire(kBase)).exit_code, 0);
  EXPECT_EQ(compare(legacy_, "-", {}, wire(kBase)).exit_code, 0);
  EXPECT_EQ(compare(legacy_, "-", {}, wire("policy { notes: 'x' }")).exit_code, 1);
  expect_refused(compare("-", "-"), "not both");
  expect_refused(compare(legacy_, "-", {"--framed"}, "\x01"), "begins with a byte");
}

TEST_F(CompareCommandTest, FilesThatCannotBeReadAreRefused) {
  expect_refused(compare(path("absent.bin"), legacy_), "absent.bin: No such file or directory");
  expect_refused(compare(legacy_, dir_.string()), "is a directory; give a file with one answer");
  const std::string huge = write("huge.bin", "");
  std::filesystem::resize_file(huge, (64u << 20) + 1);  // a hole: no byte is written
  expect_refused(compare(legacy_, huge), "holds more than 64 MiB");
}

TEST_F(CompareCommandTest, MethodMustBeARead) {
  struct Case {
    const char* method;
    const char* want;
  };
  const Case cases[] = {
      {"GetPolicy", "give pkg.Service/Method"},
      {"insurance.policy.v1.PolicyService/GetPolcy", "did you mean \"insurance.policy.v1.PolicyService/GetPolicy\"?"},
      {"a.B/C", "give a read of the policy"},
      {"insurance.policy.v1.PolicyService/EndorseAddress", "it is a write of address"},
      {"insurance.policy.v1.PolicyService/ListPolicies", "it is unmanaged"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.method);
    expect_refused(against(kBase, {"--method", c.method}), c.want);
  }
  EXPECT_EQ(against(kBase, {"--method", std::string("/") + kGet}).exit_code, 0) << "a leading slash is allowed";
}

TEST_F(CompareCommandTest, CapabilityMustBeTheMethods) {
  EXPECT_EQ(against(kBase, {"--capability", "inquiry"}).exit_code, 0);
  expect_refused(against(kBase, {"--capability", "address"}), "give inquiry");
}

TEST_F(CompareCommandTest, StatusesAreJudgedAsServeDoes) {
  const std::string nothing = write("nothing.bin", "");
  const auto differ = compare(legacy_, nothing, {"--new-status", "NOT_FOUND"});
  EXPECT_EQ(differ.exit_code, 1);
  EXPECT_TRUE(holds(differ.out, "  grpc-status: status, critical\n    legacy  OK\n    new     NOT_FOUND\n"))
      << differ.out;

  EXPECT_EQ(compare(nothing, nothing, {"--legacy-status", "NOT_FOUND", "--new-status", "NOT_FOUND"}).exit_code, 0);

  const auto away = compare(legacy_, nothing, {"--new-status", "UNAVAILABLE"});
  EXPECT_EQ(away.exit_code, 3);
  EXPECT_TRUE(holds(away.out, "abandoned: shadow_unavailable\n")) << away.out;
  EXPECT_TRUE(holds(away.err, "--primary says which one serves")) << away.err;

  EXPECT_EQ(compare(nothing, legacy_, {"--legacy-status", "UNAVAILABLE"}).exit_code, 1)
      << "the primary's answer counts";
  EXPECT_EQ(compare(nothing, legacy_, {"--legacy-status", "UNAVAILABLE", "--primary", "new"}).exit_code, 3);

  expect_refused(compare(legacy_, legacy_, {"--new-status", "NOTFOUND"}), "did you mean \"NOT_FOUND\"?");
  expect_refused(compare(legacy_, legacy_, {"--primary", "old"}), "--primary");
}

TEST_F(CompareCommandTest, EmptyFileIsAnEmptyMessageWhereTheStatusIsOk) {
  const auto result = compare(legacy_, write("nothing.bin", ""));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(holds(result.out, "  policy: missing, critical\n")) << result.out;
}

TEST_F(CompareCommandTest, WithoutASchemaOnlyEqualBytesMatch) {
  std::string text = replaced(std::string(kPolicy), "schemas: [\"insurance.pb\"]\n", "");
  policy_ = write("bare.yaml", text);
  EXPECT_EQ(against(kBase).exit_code, 0);
  const auto result = against(replaced(kBase, "100", "101"));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(holds(result.out, "incomparable: no_schema\n")) << result.out;
  EXPECT_TRUE(holds(result.err, "name a descriptor set under `schemas`")) << result.err;
}

TEST_F(CompareCommandTest, PolicyThatCannotBeUsedIsRefused) {
  policy_ = write("wrong.yaml", replaced(std::string(kPolicy), "stage: shadow", "stage: shadwo"));
  expect_refused(against(kBase), "error[");
  policy_ = path("absent.yaml");
  expect_refused(against(kBase), "absent.yaml");
}

TEST_F(CompareCommandTest, TextThatIsNotUtf8IsNoVerdictAndProtobufSaysNothingOfIt) {
  testing::internal::CaptureStderr();
  const auto result = compare(legacy_, write("new.bin", "\x0a\x03\x0a\x01\xff"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(holds(result.out, "incomparable: undecodable\n")) << result.out;
}

TEST_F(CompareCommandTest, FileNamesCannotWriteToTheTerminal) {
  const auto result = compare(path("a\033[2J.bin"), legacy_);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(holds(result.err, "a\\x1b[2J.bin")) << result.err;
}

}  // namespace
}  // namespace ficus
