// Verdicts: what the two answers' ends, statuses, encodings and messages make of a comparison. POLICY 6.
#include "facade/compare/response_diff.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/facade/compare/schema_fixture.h"

namespace ficus {
namespace {

using test::answered;
using test::diff;
using test::diff_texts;
using test::paths;
using test::summary;
using test::test_store;
using test::wire_of;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using End = Observation::End;

std::string verdict_of(const Comparison& comparison) {
  std::string out(to_string(comparison.verdict));
  return comparison.reason.empty() ? out : out + '{' + comparison.reason + '}';
}

std::string compress(std::string_view bytes, int window_bits, int level) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
std::string gzip(std::string_view bytes, int level = 6) { return compress(bytes, 31, level); }
std::string zlib(std::string_view bytes, int level = 6) { return compress(bytes, 15, level); }

Observation compressed(Side side, std::string encoding, std::vector<std::string> messages) {
  Observation out = answered(side, std::move(messages));
  out.grpc_encoding = std::move(encoding);
  for (ObservedMessage& message : out.messages) message.compressed = true;
  return out;
}

std::string answer(const std::string& text) { return wire_of(*test_store(), "testing.Answer", text); }

TEST(ResponseDiffTest, EndsAreJudgedInThePolicysOrder) {
  struct Case {
    const char* name;
    End primary_end;
    GrpcCode primary_status;
    End shadow_end;
    GrpcCode shadow_status;
    const char* want;
  };
  const auto A = End::kAnswered;
  const auto OK = GrpcCode::kOk;
  const Case cases[] = {
      {"both well", A, OK, A, OK, "match"},
      {"primary failed", End::kFailed, GrpcCode::kUnavailable, A, OK, "incomparable{primary_failed}"},
      {"primary cancelled", End::kCancelled, GrpcCode::kCancelled, A, OK, "incomparable{primary_failed}"},
      {"primary timed out", End::kTimedOut, GrpcCode::kDeadlineExceeded, A, OK, "incomparable{primary_failed}"},
      {"primary failed and shadow unavailable", End::kFailed, GrpcCode::kUnavailable, End::kFailed,
       GrpcCode::kUnavailable, "incomparable{primary_failed}"},
      {"shadow refused", A, OK, End::kFailed, GrpcCode::kUnavailable, "abandoned{shadow_unavailable}"},
      {"shadow answers UNAVAILABLE itself", A, OK, A, GrpcCode::kUnavailable, "abandoned{shadow_unavailable}"},
      {"shadow answers as the primary: UNAVAILABLE", A, GrpcCode::kUnavailable, A, GrpcCode::kUnavailable,
       "abandoned{shadow_unavailable}"},
      {"shadow exhausted", A, OK, A, GrpcCode::kResourceExhausted, "abandoned{shadow_resource_exhausted}"},
      {"shadow out of time", A, OK, A, GrpcCode::kDeadlineExceeded, "abandoned{shadow_deadline_exceeded}"},
      {"shadow out of time at the facade", A, OK, End::kTimedOut, OK, "abandoned{shadow_deadline_exceeded}"},
      {"shadow cancelled by the facade", A, OK, End::kCancelled, GrpcCode::kCancelled, "abandoned{shadow_cancelled}"},
      {"shadow says CANCELLED itself", A, OK, A, GrpcCode::kCancelled, "mismatch"},
      {"primary too large", End::kOverLimit, OK, A, OK, "abandoned{primary_over_limit}"},
      {"shadow too large", A, OK, End::kOverLimit, OK, "abandoned{shadow_over_limit}"},
      {"both too large", End::kOverLimit, OK, End::kOverLimit, OK, "abandoned{primary_over_limit}"},
      {"shadow too large and unavailable", A, OK, End::kOverLimit, GrpcCode::kUnavailable,
       "abandoned{shadow_unavailable}"},
      {"error against success", A, OK, A, GrpcCode::kNotFound, "mismatch"},
      {"success against error", A, GrpcCode::kNotFound, A, OK, "mismatch"},
      {"other errors", A, GrpcCode::kNotFound, A, GrpcCode::kInternal, "mismatch"},
      {"the same error", A, GrpcCode::kNotFound, A, GrpcCode::kNotFound, "match"},
      {"shadow broke the protocol", A, OK, End::kFailed, GrpcCode::kInternal, "mismatch"},
      {"shadow failed without a status", A, OK, End::kFailed, OK, "abandoned{shadow_failed}"},
      {"primary says UNAVAILABLE itself, shadow answers", A, GrpcCode::kUnavailable, A, OK, "mismatch"},
  };
  for (const Case& c : cases) {
    Observation primary = answered(Side::kLegacy, {}, c.primary_status);
    primary.end = c.primary_end;
    Observation shadow = answered(Side::kNew, {}, c.shadow_status);
    shadow.end = c.shadow_end;
    EXPECT_EQ(verdict_of(diff(primary, shadow, "Get", {}, test_store().get())), c.want) << c.name;
  }
}

TEST(ResponseDiffTest, EqualErrorsMatchWhateverTheirMessagesSay) {
  Observation legacy = answered(Side::kLegacy, {}, GrpcCode::kNotFound);
  legacy.grpc_message = "no policy P-1";
  Observation fresh = answered(Side::kNew, {}, GrpcCode::kNotFound);
  fresh.grpc_message = "not found";
  EXPECT_EQ(verdict_of(diff(legacy, fresh, "Get", {}, test_store().get())), "match");
}

TEST(ResponseDiffTest, StatusDifferenceIsCriticalAndReadsLegacyToNewWhoeverIsPrimary) {
  const Observation legacy = answered(Side::kLegacy, {answer("done: true")});
  const Observation fresh = answered(Side::kNew, {}, GrpcCode::kNotFound);
  for (const bool legacy_first : {true, false}) {
    const Comparison got = diff(legacy_first ? legacy : fresh, legacy_first ? fresh : legacy, "Get", {}, nullptr);
    EXPECT_EQ(got.verdict, Verdict::kMismatch);
    EXPECT_EQ(got.severity, Severity::kCritical);
    EXPECT_THAT(summary(got), ElementsAre("status  critical"));
    EXPECT_EQ(got.differences[0].legacy.text, "OK");
    EXPECT_EQ(got.differences[0].new_.text, "NOT_FOUND");
  }
}

TEST(ResponseDiffTest, DifferencesReadLegacyToNewAfterTheCutOverToo) {
  const Observation legacy = answered(Side::kLegacy, {answer("policy { number: 'a' }")});
  const Observation fresh = answered(Side::kNew, {answer("policy { number: 'b' }")});
  for (const bool legacy_first : {true, false}) {
    const Comparison got =
        diff(legacy_first ? legacy : fresh, legacy_first ? fresh : legacy, "Get", {}, test_store().get());
    ASSERT_THAT(summary(got), ElementsAre("value policy.number major"));
    EXPECT_EQ(got.differences[0].legacy.text, "a");
    EXPECT_EQ(got.differences[0].new_.text, "b");
  }
}

TEST(ResponseDiffTest, EqualBytesMatchWithoutBeingDecoded) {
  const std::string garbage = "\xff\xff not protobuf";
  EXPECT_EQ(verdict_of(diff(answered(Side::kLegacy, {garbage}), answered(Side::kNew, {garbage}), "Get", {},
                            test_store().get())),
            "match");
  const std::string not_gzip = "not gzip";
  EXPECT_EQ(verdict_of(diff(compressed(Side::kLegacy, "snappy", {not_gzip}),
                            compressed(Side::kNew, "snappy", {not_gzip}), "Get", {}, nullptr)),
            "match");
}

TEST(ResponseDiffTest, WithoutASchemaOnlyEqualBytesMatch) {
  struct Case {
    const char* name;
    Observation legacy, fresh;
    const char* want;
  };
  const Case cases[] = {
      {"equal", answered(Side::kLegacy, {"x"}), answered(Side::kNew, {"x"}), "match"},
      {"unequal", answered(Side::kLegacy, {"x"}), answered(Side::kNew, {"y"}), "incomparable{no_schema}"},
      {"one more", answered(Side::kLegacy, {"x"}), answered(Side::kNew, {"x", "x"}), "incomparable{no_schema}"},
      {"none against one", answered(Side::kLegacy, {}), answered(Side::kNew, {""}), "incomparable{no_schema}"},
      {"equal once inflated", compressed(Side::kLegacy, "gzip", {gzip("xxxxxxxx", 1)}),
       compressed(Side::kNew, "deflate", {zlib("xxxxxxxx", 9)}), "match"},
      {"status differs", answered(Side::kLegacy, {"x"}), answered(Side::kNew, {}, GrpcCode::kInternal), "mismatch"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(verdict_of(diff(c.legacy, c.fresh, "Get", {}, nullptr)), c.want) << c.name;
    // A store that has no such method is no schema either.
    EXPECT_EQ(verdict_of(diff(c.legacy, c.fresh, "NoSuchMethod", {}, test_store().get())), c.want) << c.name;
  }
}

TEST(ResponseDiffTest, CompressedMessagesAreInflatedBeforeTheyAreCompared) {
  const std::string a = answer("policy { number: 'P-1' notes: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }");
  const std::string b = answer("policy { number: 'P-2' notes: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }");
  Observation half = compressed(Side::kNew, "gzip", {gzip(a)});
  half.messages[0] = {a, false};  // an encoding is announced, this message is not compressed
  struct Case {
    const char* name;
    Observation legacy, fresh;
    const char* want;
  };
  const Case cases[] = {
      {"gzip, other level", compressed(Side::kLegacy, "gzip", {gzip(a, 1)}),
       compressed(Side::kNew, "gzip", {gzip(a, 9)}), "match"},
      {"gzip against deflate", compressed(Side::kLegacy, "gzip", {gzip(a)}),
       compressed(Side::kNew, "deflate", {zlib(a)}), "match"},
      {"gzip against identity", compressed(Side::kLegacy, "gzip", {gzip(a)}), answered(Side::kNew, {a}), "match"},
      {"compressed flag not set", compressed(Side::kLegacy, "gzip", {gzip(a)}), half, "match"},
      {"gzip of two members", compressed(Side::kLegacy, "gzip", {gzip(a.substr(0, 9)) + gzip(a.substr(9))}),
       answered(Side::kNew, {a}), "match"},
      {"other content", compressed(Side::kLegacy, "gzip", {gzip(a)}), compressed(Side::kNew, "gzip", {gzip(b)}),
       "mismatch"},
      {"same bytes, other encoding", compressed(Side::kLegacy, "deflate", {zlib(a)}),
       compressed(Side::kNew, "gzip", {zlib(a)}), "incomparable{undecodable}"},
      {"unknown encoding", compressed(Side::kLegacy, "zstd", {"x"}), answered(Side::kNew, {a}),
       "incomparable{unknown_encoding}"},
      {"flag without encoding", compressed(Side::kLegacy, "", {gzip(a)}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"flag with identity", compressed(Side::kLegacy, "identity", {a}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"not gzip", compressed(Side::kLegacy, "gzip", {"hello"}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"gzip cut off", compressed(Side::kLegacy, "gzip", {gzip(a).substr(0, 20)}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"gzip with a tail", compressed(Side::kLegacy, "gzip", {gzip(a) + "tail"}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"deflate with a tail", compressed(Side::kLegacy, "deflate", {zlib(a) + "tail"}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"nothing at all", compressed(Side::kLegacy, "gzip", {""}), answered(Side::kNew, {a}),
       "incomparable{undecodable}"},
      {"malformed protobuf", answered(Side::kLegacy, {a}), answered(Side::kNew, {"\xff\xff\xff"}),
       "incomparable{undecodable}"},
      {"invalid UTF-8 in a string", answered(Side::kLegacy, {a}), answered(Side::kNew, {"\x0a\x03\x0a\x01\xff"}),
       "incomparable{undecodable}"},
      {"malformed second message of a stream", answered(Side::kLegacy, {a, a}), answered(Side::kNew, {b, "\xff"}),
       "incomparable{undecodable}"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(verdict_of(diff(c.legacy, c.fresh, "Watch", {}, test_store().get())), c.want) << c.name;
  }
}

TEST(ResponseDiffTest, EachLimitEndsTheComparisonByItsName) {
  const auto store = test_store();
  const std::string big = answer("policy { notes: '" + std::string(5000, 'a') + "' }");
  std::string many;
  for (int i = 0; i < 200; ++i) many += "numbers: " + std::to_string(i) + ' ';
  std::string unordered_a, unordered_b;
  for (int i = 0; i < 20; ++i) {
    unordered_a += "statuses: ACTIVE ";
    unordered_b += "statuses: CANCELLED ";
  }
  std::string deep = "done: true";
  for (int i = 0; i < 70; ++i) deep = "nested { " + deep + " }";
  const std::string other = answer("done: true");

  CompareLimits inflated, elements, unordered;
  inflated.inflated_bytes = big.size() - 1;
  elements.elements = 150;
  unordered.unordered_elements = 19;
  CompareSpec unordered_rule;
  unordered_rule.unordered = paths({"statuses"});
  struct Case {
    const char* name;
    Observation legacy, fresh;
    CompareSpec rules;
    CompareLimits limits;
    const char* want;
  };
  const Case cases[] = {
      {"inflated bytes",
       compressed(Side::kLegacy, "gzip", {gzip(big)}),
       answered(Side::kNew, {other}),
       {},
       inflated,
       "incomparable{too_large}"},
      {"packed entries",
       answered(Side::kLegacy, {answer(many)}),
       answered(Side::kNew, {other}),
       {},
       elements,
       "incomparable{too_large}"},
      {"elements of both together",
       answered(Side::kLegacy, {answer(many.substr(0, many.find("numbers: 100")))}),
       answered(Side::kNew, {answer(many.substr(0, many.find("numbers: 90")))}),
       {},
       elements,
       "incomparable{too_large}"},
      {"unordered entries", answered(Side::kLegacy, {answer(unordered_a)}), answered(Side::kNew, {answer(unordered_b)}),
       unordered_rule, unordered, "incomparable{too_large}"},
      {"nesting",
       answered(Side::kLegacy, {answer(deep)}),
       answered(Side::kNew, {other}),
       {},
       {},
       "incomparable{too_deep}"},
  };
  for (const Case& c : cases) {
    const Comparison got = diff(c.legacy, c.fresh, "Get", c.rules, store.get(), c.limits);
    EXPECT_EQ(verdict_of(got), c.want) << c.name;
    EXPECT_THAT(got.differences, IsEmpty()) << c.name;
    EXPECT_THAT(got.swallowed, IsEmpty()) << c.name;
  }
  CompareLimits exactly;
  exactly.inflated_bytes = big.size();
  EXPECT_EQ(verdict_of(diff(compressed(Side::kLegacy, "gzip", {gzip(big)}), answered(Side::kNew, {big}), "Get", {},
                            store.get(), exactly)),
            "match");
}

TEST(ResponseDiffTest, ComparisonThatTakesTooLongIsIncomparable) {
  std::string a, b;
  for (int i = 0; i < 2000; ++i) {
    a += "numbers: " + std::to_string(i) + ' ';
    b += "numbers: " + std::to_string(i + 1) + ' ';
  }
  std::chrono::steady_clock::time_point now{};
  const Comparison got =
      diff_responses(answered(Side::kLegacy, {answer(a)}), answered(Side::kNew, {answer(b)}), test::kService, "Get", {},
                     test_store().get(), {}, [&] { return now += std::chrono::milliseconds(300); });
  EXPECT_EQ(verdict_of(got), "incomparable{timeout}");
  EXPECT_THAT(got.differences, IsEmpty());
}

TEST(ResponseDiffTest, HostileNestingCostsNoStack) {
  // Nested messages, nested groups of a number nobody knows, and an Any within an Any within ...: deep enough to
  // overflow any stack that recursed into them.
  std::string messages;
  for (int i = 0; i < 20'000; ++i) {
    std::string head = "\x7a";  // field 15, length-delimited
    std::size_t n = messages.size();
    for (; n >= 0x80; n >>= 7) head += static_cast<char>((n & 0x7f) | 0x80);
    head += static_cast<char>(n);
    messages = head + messages;
  }
  std::string groups;
  for (int i = 0; i < 200'000; ++i) groups += "\x9b\x06";  // start group 99
  const auto store = test_store();
  std::string any = wire_of(*store, "google.protobuf.Any", "type_url: 'x/testing.Money'");
  for (int i = 0; i < 2'000; ++i) {
    auto outer = store->new_message(store->find_type("google.protobuf.Any"));
    const auto* type = outer->GetDescriptor();
    outer->GetReflection()->SetString(outer.get(), type->FindFieldByNumber(1), "x/google.protobuf.Any");
    outer->GetReflection()->SetString(outer.get(), type->FindFieldByNumber(2), any);
    any = outer->SerializeAsString();
  }
  auto holder = store->new_message(store->find_type("testing.Answer"));
  const auto* detail = holder->GetDescriptor()->FindFieldByName("detail");
  ASSERT_TRUE(holder->GetReflection()->MutableMessage(holder.get(), detail)->ParseFromString(any));

  const std::string other = answer("done: true");
  for (const std::string& hostile : {messages, groups, holder->SerializeAsString()}) {
    const Comparison got =
        diff(answered(Side::kLegacy, {other}), answered(Side::kNew, {hostile}), "Get", {}, store.get());
    EXPECT_EQ(verdict_of(got), "incomparable{too_deep}");
  }
}

TEST(ResponseDiffTest, StreamsAreComparedMessageByMessage) {
  const std::string a = answer("policy { number: 'a' }");
  const std::string b = answer("policy { number: 'b' }");
  const auto watch = [&](std::vector<std::string> legacy, std::vector<std::string> fresh) {
    std::vector<std::string> out;
    const Comparison got = diff(answered(Side::kLegacy, std::move(legacy)), answered(Side::kNew, std::move(fresh)),
                                "Watch", {}, test_store().get());
    for (const Difference& d : got.differences) {
      out.push_back(std::to_string(d.message_index) + ' ' + std::string(to_string(d.kind)) + ' ' + to_string(d.path));
    }
    return out;
  };
  EXPECT_THAT(watch({a, b, a}, {a, b, a}), IsEmpty());
  EXPECT_THAT(watch({a, b, a}, {a, a, a}), ElementsAre("1 value policy.number"));
  EXPECT_THAT(watch({a, b}, {a}), ElementsAre("1 missing "));
  EXPECT_THAT(watch({a}, {a, b, b}), ElementsAre("1 extra ", "2 extra "));
  EXPECT_THAT(watch({a, a}, {b}), ElementsAre("0 value policy.number", "1 missing "));
}

TEST(ResponseDiffTest, MessagesBeforeEqualErrorsAreCompared) {
  const Observation legacy = answered(Side::kLegacy, {answer("policy { number: 'a' }")}, GrpcCode::kInternal);
  const Observation fresh = answered(Side::kNew, {answer("policy { number: 'b' }")}, GrpcCode::kInternal);
  EXPECT_THAT(summary(diff(legacy, fresh, "Watch", {}, test_store().get())), ElementsAre("value policy.number major"));
}

TEST(ResponseDiffTest, VerdictGoesFromMatchOverIgnoredToMismatch) {
  CompareSpec rules;
  rules.ignore = paths({"**.updated_at"});
  EXPECT_EQ(
      verdict_of(diff_texts("policy { updated_at { seconds: 1 } }", "policy { updated_at { seconds: 1 } }", rules)),
      "match");
  const Comparison ignored =
      diff_texts("policy { updated_at { seconds: 1 } }", "policy { updated_at { seconds: 2 } }", rules);
  EXPECT_EQ(verdict_of(ignored), "ignored");
  EXPECT_THAT(ignored.swallowed, ElementsAre(Pair("**.updated_at", 1)));
  EXPECT_EQ(ignored.severity, Severity::kNone);
  const Comparison mismatch =
      diff_texts("policy { number: 'a' updated_at { seconds: 1 } }", "policy { updated_at { seconds: 2 } }", rules);
  EXPECT_EQ(verdict_of(mismatch), "mismatch");
  EXPECT_THAT(mismatch.swallowed, ElementsAre(Pair("**.updated_at", 1)));
}

TEST(ResponseDiffTest, DifferencesBeyondTheLimitAreCountedAndWeighed) {
  std::string a, b;
  for (int i = 0; i < 300; ++i) {
    a += "numbers: " + std::to_string(i) + ' ';
    b += "numbers: " + std::to_string(-i - 1) + ' ';
  }
  CompareSpec rules;
  rules.minor = paths({"numbers"});
  rules.critical = paths({"ratios"});
  const Comparison got = diff_texts(a + "ratios: 1", b + "ratios: 2", rules);
  EXPECT_EQ(got.differences.size(), 100u);
  EXPECT_EQ(got.differences_more, 201u);
  EXPECT_EQ(got.severity, Severity::kCritical);
}

}  // namespace
}  // namespace ficus
