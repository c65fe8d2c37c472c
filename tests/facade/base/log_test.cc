#include "facade/base/log.h"

#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facade/base/check.h"

namespace ficus {
namespace {

std::string logged(std::string_view event, std::string_view message, std::initializer_list<LogField> fields) {
  testing::internal::CaptureStderr();
  log_event(LogLevel::kWarn, event, message, fields);
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, LineIsTimeLevelEventMessageAndFields) {
  const std::string line = logged("policy_reload_failed", "the file has errors", {{"file", "a b.yaml"}, {"errors", 3}});
  EXPECT_TRUE(std::regex_match(
      line, std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z warning policy_reload_failed "
                       "message=\"the file has errors\" file=\"a b.yaml\" errors=3\n")))
      << line;
}

TEST(LogTest, NothingInAValueCanBeginALineOrMoveACursor) {
  struct Case {
    const char* name;
    std::string value;
    const char* want;
  };
  const Case cases[] = {
      {"newline", "a\nb", "v=\"a\\nb\""},
      {"escape sequence", "\x1b[2J", "v=\"\\x1b[2J\""},
      {"one-byte control of latin-1", "\x9b" "2J", "v=\"\\x9b2J\""},
      {"the same in UTF-8", "\xc2\x9b" "2J", "v=\"\\xc2\\x9b2J\""},
      {"quote and backslash", "a\"\\", "v=\"a\\\"\\\\\""},
      {"a field of its own", "1 admin=true", "v=\"1 admin=true\""},
      {"empty", "", "v=\"\""},
      {"UTF-8 text", "Zürich", "v=\"Zürich\""},
      {"half a character", "Z\xc3", "v=\"Z\\xc3\""},
      {"NUL", std::string("a\0b", 3), "v=\"a\\x00b\""},
      {"plain word", "policy-new", "v=policy-new"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(logged("event", "", {{"v", c.value}}), testing::HasSubstr(std::string("event ") + c.want + "\n"))
        << c.name;
  }
}

TEST(LogTest, LevelsBelowTheLimitAreNotWritten) {
  set_log_level(LogLevel::kError);
  EXPECT_EQ(logged("event", "", {}), "");
  set_log_level(LogLevel::kInfo);
  EXPECT_NE(logged("event", "", {}), "");
}

TEST(CheckDeathTest, NamesTheConditionAndTheReason) {
  EXPECT_DEATH(FICUS_CHECK(1 + 1 == 3) << "sums " << 2, "log_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3: sums 2");
}

TEST(CheckTest, TrueConditionDoesNotEvaluateTheReason) {
  int evaluated = 0;
  FICUS_CHECK(true) << ++evaluated;
  EXPECT_EQ(evaluated, 0);
}

}  // namespace
}  // namespace ficus
