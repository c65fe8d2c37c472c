#include "facade/wire/trace_context.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr const char* kSpan = "00f067aa0ba902b7";

std::string parent(std::string version = "00", std::string trace = kTrace, std::string span = kSpan, std::string flags = "01") {
  return version + "-" + trace + "-" + span + "-" + flags;
}

TEST(TraceContextTest, ReadsAndContinuesATrace) {
  const auto context = parse_traceparent(parent());
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->continued);
  EXPECT_EQ(context->trace(), kTrace);
  EXPECT_EQ(context->parent(), kSpan);
  const auto next = format_traceparent(*context, span_id_of(0xabcdef0123456789));
  EXPECT_EQ(std::string_view(next.data(), next.size()), "00-4bf92f3577b34da6a3ce929d0e0e4736-abcdef0123456789-01");
}

TEST(TraceContextTest, RefusesWhatIsNoTraceparent) {
  const std::string rows[] = {
      "", "00", parent().substr(0, 54), parent() + "0", parent() + "-more", parent("ff"), parent("0G"),
      parent("00", std::string(32, '0')), parent("00", kTrace, std::string(16, '0')),
      parent("00", "4BF92F3577B34DA6A3CE929D0E0E4736"), parent("00", kTrace, "00F067AA0BA902B7"), parent("00", kTrace, kSpan, "0x"),
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", parent("01") + "x"};
  for (const std::string& bad : rows) EXPECT_FALSE(parse_traceparent(bad)) << '"' << bad << '"';
}

TEST(TraceContextTest, ReadsALaterVersionAsFarAsItKnowsIt) {
  EXPECT_TRUE(parse_traceparent(parent("01")));
  EXPECT_TRUE(parse_traceparent(parent("cc") + "-what-the-future-brings"));
}

TEST(TraceContextTest, ABegunTraceIsValidAndNotSampled) {
  for (const auto& [high, low] : {std::pair<std::uint64_t, std::uint64_t>{0, 0}, {1, 2}, {~0ull, ~0ull}}) {
    const TraceContext begun = begin_trace(high, low);
    EXPECT_FALSE(begun.continued);
    const auto text = format_traceparent(begun, span_id_of(0));
    const auto back = parse_traceparent({text.data(), text.size()});
    ASSERT_TRUE(back) << std::string_view(text.data(), text.size());
    EXPECT_EQ(back->trace(), begun.trace());
    EXPECT_EQ(back->flags, (std::array<char, 2>{'0', '0'}));
  }
}

}  // namespace
}  // namespace ficus
