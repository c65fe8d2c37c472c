#include "facade/shadow/answer_capture.h"

#include <gtest/gtest.h>

#include <string>

namespace ficus {
namespace {

std::string frame(std::string_view bytes, bool compressed = false) {
  const auto n = static_cast<std::uint32_t>(bytes.size());
  std::string out{static_cast<char>(compressed), static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                  static_cast<char>(n >> 8), static_cast<char>(n)};
  return out.append(bytes);
}

HeaderBlock block(std::initializer_list<std::pair<const char*, const char*>> fields) {
  HeaderBlock made;
  for (const auto& [name, value] : fields) made.add_static(name, value);
  return made;
}

struct Capture {
  explicit Capture(std::size_t limit = 1 << 20, std::size_t budget_limit = 1 << 20) : budget{0, budget_limit}, answer(budget) {
    answer.set_limit(limit);
  }
  Observation take() {
    std::size_t charge = 0;
    Observation seen = answer.take(charge);
    EXPECT_EQ(budget.bytes, charge) << "what is owed must be what was held";
    budget.bytes -= charge;
    return seen;
  }
  ShadowBudget budget;
  AnswerCapture answer;
};

TEST(AnswerCaptureTest, KeepsMessagesAndStatusOfAnAnswer) {
  Capture c;
  c.answer.on_headers(block({{":status", "200"}, {"grpc-encoding", "gzip"}}), false);
  const std::string bytes = frame("one") + frame("", true) + frame("three");
  for (const char byte : bytes) c.answer.on_data({&byte, 1});
  EXPECT_FALSE(c.answer.done());
  const HeaderBlock trailers = block({{"grpc-status", "5"}, {"grpc-message", "no%20such"}});
  c.answer.on_end(&trailers);
  ASSERT_TRUE(c.answer.done());
  const Observation seen = c.take();
  EXPECT_EQ(seen.end, Observation::End::kAnswered);
  EXPECT_EQ(seen.grpc_status, GrpcCode::kNotFound);
  EXPECT_EQ(seen.grpc_message, "no such");
  EXPECT_EQ(seen.grpc_encoding, "gzip");
  ASSERT_EQ(seen.messages.size(), 3u);
  EXPECT_EQ(seen.messages[0].bytes, "one");
  EXPECT_TRUE(seen.messages[1].compressed);
  EXPECT_EQ(seen.messages[2].bytes, "three");
  EXPECT_EQ(seen.message_bytes, 8u);
}

TEST(AnswerCaptureTest, ATrailersOnlyAnswerIsComplete) {
  Capture c;
  c.answer.on_headers(block({{":status", "200"}, {"grpc-status", "7"}}), true);
  ASSERT_TRUE(c.answer.done());
  EXPECT_EQ(c.take().grpc_status, GrpcCode::kPermissionDenied);
}

TEST(AnswerCaptureTest, AnAnswerWithoutStatusIsWhatHttpSays) {
  Capture c;
  c.answer.on_headers(block({{":status", "503"}}), true);
  EXPECT_EQ(c.take().grpc_status, GrpcCode::kUnavailable);
  Capture d;
  d.answer.on_headers(block({{":status", "200"}}), false);
  d.answer.on_end(nullptr);
  EXPECT_EQ(d.take().grpc_status, GrpcCode::kUnknown);
}

TEST(AnswerCaptureTest, AboveTheLimitItHoldsNothingAndStillCounts) {
  Capture c(1000);
  c.answer.on_headers(block({{":status", "200"}}), false);
  c.answer.on_data(frame(std::string(800, 'a')));
  EXPECT_GT(c.budget.bytes, 800u);
  c.answer.on_data(frame(std::string(800, 'b')));
  EXPECT_TRUE(c.answer.over_limit());
  EXPECT_EQ(c.budget.bytes, 0u);
  const HeaderBlock trailers = block({{"grpc-status", "0"}});
  c.answer.on_end(&trailers);
  const Observation seen = c.take();
  EXPECT_EQ(seen.end, Observation::End::kOverLimit);
  EXPECT_TRUE(seen.messages.empty());
  EXPECT_EQ(seen.message_bytes, 1600u);
}

TEST(AnswerCaptureTest, TheBudgetOfAllEndsKeepingToo) {
  Capture c(1 << 20, 500);
  c.answer.on_data(frame(std::string(600, 'a')));
  EXPECT_TRUE(c.answer.over_budget());
  EXPECT_EQ(c.budget.bytes, 0u);
}

TEST(AnswerCaptureTest, ALyingLengthIsBoundedByTheLimit) {
  Capture c(1 << 20, 1 << 20);
  c.answer.on_data(std::string_view("\0\xff\xff\xff\xff", 5));
  EXPECT_TRUE(c.answer.over_limit());
}

TEST(AnswerCaptureTest, BrokenFramingFailsTheAnswerNotTheProcess) {
  for (const std::string& bytes : {std::string("HTTP/1.1 200 OK"), frame("ok") + "\x07", std::string("\xff")}) {
    Capture c;
    c.answer.on_data(bytes);
    ASSERT_TRUE(c.answer.done());
    const Observation seen = c.take();
    EXPECT_EQ(seen.end, Observation::End::kFailed);
    EXPECT_EQ(seen.detail, "malformed message framing");
    EXPECT_TRUE(seen.messages.empty());
  }
}

TEST(AnswerCaptureTest, AnAnswerThatEndsInsideAMessageFailed) {
  Capture c;
  c.answer.on_data(frame("whole message").substr(0, 9));
  const HeaderBlock trailers = block({{"grpc-status", "0"}});
  c.answer.on_end(&trailers);
  EXPECT_EQ(c.take().end, Observation::End::kFailed);
}

TEST(AnswerCaptureTest, TheFirstEndCounts) {
  Capture c;
  c.answer.fail(Observation::End::kTimedOut, GrpcCode::kDeadlineExceeded, "deadline exceeded");
  const HeaderBlock trailers = block({{"grpc-status", "0"}});
  c.answer.on_end(&trailers);
  c.answer.fail(Observation::End::kFailed, GrpcCode::kInternal, "later");
  const Observation seen = c.take();
  EXPECT_EQ(seen.end, Observation::End::kTimedOut);
  EXPECT_EQ(seen.grpc_status, GrpcCode::kDeadlineExceeded);
}

const std::vector<std::string> kNames = {"x-a", "x-b-bin"};

TEST(AnswerCaptureTest, KeepsMetadataOfThePolicysNamesAndNoOther) {
  Capture c;
  c.answer.set_metadata(&kNames);
  c.answer.on_headers(block({{":status", "200"}, {"x-a", "1"}, {"x-secret", "s"}, {"x-a", "2"}}), false);
  c.answer.on_data(frame("m"));
  const HeaderBlock trailers = block({{"grpc-status", "0"}, {"x-b-bin", "AA"}, {"x-other", "o"}, {"x-a", "3"}});
  c.answer.on_end(&trailers);
  const std::vector<ObservedMetadata> want = {{"x-a", "1"}, {"x-a", "2"}, {"x-b-bin", "AA"}, {"x-a", "3"}};
  EXPECT_EQ(c.take().metadata, want);
}

TEST(AnswerCaptureTest, KeepsMetadataOfAnAnswerOfTrailersOnlyOnce) {
  Capture c;
  c.answer.set_metadata(&kNames);
  c.answer.on_headers(block({{":status", "200"}, {"grpc-status", "5"}, {"x-a", "1"}}), true);
  const Observation seen = c.take();
  EXPECT_EQ(seen.grpc_status, GrpcCode::kNotFound);
  EXPECT_EQ(seen.metadata, (std::vector<ObservedMetadata>{{"x-a", "1"}}));
}

TEST(AnswerCaptureTest, MetadataThatNobodyComparesIsNotKept) {
  Capture none, empty;
  const std::vector<std::string> no_names;
  empty.answer.set_metadata(&no_names);
  for (Capture* c : {&none, &empty}) {
    c->answer.on_headers(block({{":status", "200"}, {"grpc-status", "0"}, {"x-a", "1"}}), true);
    EXPECT_TRUE(c->take().metadata.empty());
  }
}

TEST(AnswerCaptureTest, MetadataOverTheLimitIsAnAnswerOverTheLimit) {
  const std::string long_value(300, 'v');
  for (const bool trailers_only : {true, false}) {
    for (const bool budget : {true, false}) {
      Capture c(budget ? 10'000 : 300, budget ? 300 : 10'000);
      c.answer.set_metadata(&kNames);
      HeaderBlock head = block({{":status", "200"}});
      if (trailers_only) head.add_static("grpc-status", "0");
      head.add_copy("x-a", long_value);
      c.answer.on_headers(head, trailers_only);
      EXPECT_TRUE(c.answer.over_limit());
      EXPECT_EQ(c.answer.over_budget(), budget);
      const HeaderBlock trailers = block({{"grpc-status", "0"}});
      if (!trailers_only) c.answer.on_end(&trailers);
      EXPECT_EQ(c.answer.held_bytes(), 0u);
      const Observation seen = c.take();
      EXPECT_EQ(seen.end, Observation::End::kOverLimit);
      EXPECT_TRUE(seen.metadata.empty());
    }
  }
}

TEST(AnswerCaptureTest, TrailersOverTheLimitLetTheMessagesGoToo) {
  Capture c(400);
  c.answer.set_metadata(&kNames);
  c.answer.on_headers(block({{":status", "200"}}), false);
  c.answer.on_data(frame("message"));
  HeaderBlock trailers = block({{"grpc-status", "0"}});
  trailers.add_copy("x-a", std::string(400, 'v'));
  c.answer.on_end(&trailers);
  const Observation seen = c.take();
  EXPECT_EQ(seen.end, Observation::End::kOverLimit);
  EXPECT_TRUE(seen.messages.empty());
}

}  // namespace
}  // namespace ficus
