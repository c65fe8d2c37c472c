// What each kind of flag takes, what it refuses, and in which words.
#include "facade/cli/flag_values.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include <sstream>

#include "facade/cli/cli.h"

namespace ficus {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1 << 20;

// "" is for a value that was read.
template <class T>
std::string hint_of(const FlagValue<T>& value) {
  return value ? std::string() : value.error().hint;
}

TEST(FlagValuesTest, TimesAreDigitsAndAUnit) {
  const std::pair<const char*, std::chrono::milliseconds> rows[] = {
      {"0", 0ms},       {"0s", 0ms},  {"500ms", 500ms}, {"3", 3s},        {"30s", 30s},
      {"2m", 2min},     {"24h", 24h}, {"1d", 24h},      {"1.5s", 1500ms}, {"0.25", 250ms},
      {"2.000000", 2s}, {"1.0s", 1s}, {"0.001s", 1ms},  {"1.25h", 75min}, {"86400", 24h}};
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_time(text, 24h);
    ASSERT_TRUE(read) << text << ": " << hint_of(read);
    EXPECT_EQ(*read, want) << text;
  }
}

TEST(FlagValuesTest, WhatIsNoTimeIsRefusedAndTheReasonSaid) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "it is empty; is a variable of your script unset?"},
      {" ", "it holds a blank"},
      {" 5s", "it holds a blank"},
      {"5s ", "it holds a blank"},
      {"5 s", "it holds a blank"},
      {"5\ts", "it holds a blank"},
      {"3 weeks", "it holds a blank"},
      {"010s", "it begins with a zero"},
      {"08", "it begins with a zero"},
      {"00", "it begins with a zero"},
      {"00.5s", "it begins with a zero"},
      {"0x10", "units are ms, s, m, h and d"},
      {"-5s", "it has a sign"},
      {"+5s", "it has a sign"},
      {"s", "it does not begin with a digit"},
      {".5s", "it does not begin with a digit"},
      {"inf", "it does not begin with a digit"},
      {"nan", "it does not begin with a digit"},
      {"1.s", "no digit follows the point"},
      {"1.2.3s", "units are ms, s, m, h and d"},
      {"1,5s", "units are ms, s, m, h and d"},
      {"1e3s", "units are ms, s, m, h and d"},
      {"5x", "units are ms, s, m, h and d"},
      {"5w", "units are ms, s, m, h and d"},
      {"1h30m", "units are ms, s, m, h and d"},
      {"5us", "units are ms, s, m, h and d"},
      {"5S", "did you mean \"5s\"?"},
      {"5sec", "did you mean \"5s\"?"},
      {"2min", "did you mean \"2m\"?"},
      {"1.5Hours", "did you mean \"1.5h\"?"},
      {"1day", "did you mean \"1d\"?"},
      {"20msec", "did you mean \"20ms\"?"},
      {"0.0001s", "it has more than three decimals"},
      {"1.0001s", "it has more than three decimals"},
      {"0.1ms", "that is no whole number of milliseconds"},
      {"86401", "that is more"},
      {"24.001h", "that is more"},
      {"2d", "that is more"},
      {"1.001d", "that is more"},
      {"99999999999999999999s", "that is more"},
      {"18446744073709551616ms", "that is more"},
      {"999999999999999999d", "that is more"},
  };
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_time(text, 24h);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().hint, want) << text;
    EXPECT_EQ(read.error().allowed, "a time from 0 to 1d, as 500ms, 30s or 2h");
  }
}

TEST(FlagValuesTest, SizesAreDigitsAndAUnit) {
  const std::pair<const char*, std::uint64_t> rows[] = {
      {"1048576", kMiB}, {"1048576B", kMiB}, {"1024KiB", kMiB},     {"1MiB", kMiB},
      {"1mi", kMiB},     {"2mib", 2 * kMiB}, {"3GiB", 3072 * kMiB}, {"1TiB", kMiB * kMiB},
      {"2M", 2'000'000}, {"2MB", 2'000'000}, {"1gb", 1'000'000'000}};
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_size(text, kMiB, kMiB * kMiB);
    ASSERT_TRUE(read) << text << ": " << hint_of(read);
    EXPECT_EQ(*read, want) << text;
  }
}

TEST(FlagValuesTest, WhatIsNoSizeIsRefusedAndTheReasonSaid) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "it is empty; is a variable of your script unset?"},
      {"plenty", "it does not begin with a digit"},
      {"MiB", "it does not begin with a digit"},
      {"64 MiB", "it holds a blank"},
      {"64MiB\n", "it holds a blank"},
      {"-64MiB", "it has a sign"},
      {"064MiB", "it begins with a zero"},
      {"0x4000000", "units are KiB, MiB, GiB and TiB"},
      {"64MBi", "did you mean \"64MiB\"?"},
      {"64Mib5", "units are KiB, MiB, GiB and TiB"},
      {"64i", "units are KiB, MiB, GiB and TiB"},
      {"64ib", "units are KiB, MiB, GiB and TiB"},
      {"64bytes", "units are KiB, MiB, GiB and TiB"},
      {"1.5GiB", "write fractions in the smaller unit: 1536MiB for 1.5 GiB"},
      {"0", "that is less"},
      {"1000", "that is less"},
      {"1023KiB", "that is less"},
      {"1MB", "that is less"},
      {"1048577MiB", "that is more"},
      {"2TiB", "that is more"},
      {"999999999999999999TiB", "that is more"},
      {"18446744073709551617", "that is more"},
  };
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_size(text, kMiB, kMiB * kMiB);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().hint, want) << text;
    EXPECT_EQ(read.error().allowed, "a size from 1MiB to 1TiB, as 64MiB or 2GiB");
  }
}

TEST(FlagValuesTest, CountsAreDigitsOfTheRange) {
  for (const auto& [text, want] : {std::pair<const char*, std::uint64_t>{"1", 1}, {"10", 10}, {"256", 256}}) {
    const auto read = read_flag_count(text, 1, 256);
    ASSERT_TRUE(read) << text << ": " << hint_of(read);
    EXPECT_EQ(*read, want);
  }
  const std::pair<const char*, const char*> rows[] = {
      {"", "it is empty; is a variable of your script unset?"},
      {"0", "that is less"},
      {"257", "that is more"},
      {"99999999999999999999", "that is more"},
      {"-1", "it has a sign"},
      {"+1", "it has a sign"},
      {"010", "it begins with a zero"},
      {"0x10", "digits only"},
      {"1e2", "digits only"},
      {"2.0", "digits only"},
      {"four", "digits only"},
      {"4 ", "it holds a blank"},
  };
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_count(text, 1, 256);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().hint, want) << text;
    EXPECT_EQ(read.error().allowed, "a whole number from 1 to 256");
  }
}

TEST(FlagValuesTest, WordsAreTakenAsTheyAreWrittenAndNothingElse) {
  const std::vector<std::string_view> words = {"debug", "info", "warn", "error"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto read = read_flag_word(words[i], words);
    ASSERT_TRUE(read) << words[i];
    EXPECT_EQ(*read, i);
  }
  // The numbers behind the words among them: CLI11 takes those.
  const std::pair<const char*, const char*> rows[] = {
      {"", ""},
      {"0", ""},
      {"1", ""},
      {"3", ""},
      {"-1", ""},
      {"chatty", ""},
      {"info ", "did you mean \"info\"?"},
      {"inof", "did you mean \"info\"?"},
      {"debg", "did you mean \"debug\"?"},
      {"WARN", "did you mean \"warn\"?"},
      {"warning", ""},
      {"Eror", "did you mean \"error\"?"},
  };
  for (const auto& [text, want] : rows) {
    const auto read = read_flag_word(text, words);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().hint, want) << text;
    EXPECT_EQ(read.error().allowed, "debug, info, warn or error");
  }
  EXPECT_EQ(read_flag_word("x", {"only"}).error().allowed, "only");
}

TEST(FlagValuesTest, OneFormAndNoControlCharacterGetsThrough) {
  EXPECT_EQ(wrong_value("inof", {"debug or info", "did you mean \"info\"?"}),
            "\"inof\" is not allowed; give debug or info (did you mean \"info\"?)");
  EXPECT_EQ(wrong_value("x", {"name=value", ""}), "\"x\" is not allowed; give name=value");
  EXPECT_EQ(wrong_value("\x1b[31m\xff", {"y", ""}), "\"\\x1b[31m\\xff\" is not allowed; give y");
  EXPECT_LT(wrong_value(std::string(1 << 20, 'a'), {"y", ""}).size(), 200u);
}

// The flags on a command line.
struct Flags {
  std::chrono::milliseconds time{2h};
  std::uint64_t size = 512 * kMiB;
  unsigned count = 4;
  bool word = true;
  std::vector<std::string> addresses;
};
struct Parsed {
  int exit_code;
  std::string out, err;
};
Parsed parse(Flags& flags, std::vector<const char*> arguments) {
  CLI::App app("test", "flags");
  add_time_flag(app, "--time", flags.time, "A time", 24h);
  add_size_flag(app, "--size", flags.size, "A size", kMiB, kMiB * kMiB);
  add_count_flag(app, "--count", flags.count, "A count", 1u, 256u);
  add_word_flag(app, "--word", flags.word, "A word", {{"off", false}, {"on", true}});
  app.add_option("--address", flags.addresses, "Where")
      ->check(flag_check("HOST:PORT",
                         [](std::string_view text) {
                           return text.find(':') == std::string_view::npos ? std::string("it has no port")
                                                                           : std::string();
                         }),
              "");
  arguments.insert(arguments.begin(), "flags");
  std::ostringstream out, err;
  CommandContext context{out, err};
  const int code = run_command_line(app, static_cast<int>(arguments.size()), arguments.data(), context);
  return {code, out.str(), err.str()};
}

TEST(FlagValuesTest, FlagsSetWhatTheyStandForAndLeaveTheRest) {
  Flags flags;
  EXPECT_EQ(parse(flags, {"--time", "90s", "--word", "off", "--address", "h:1", "--address", "[::1]:2"}).exit_code,
            kExitOk);
  EXPECT_EQ(flags.time, 90s);
  EXPECT_FALSE(flags.word);
  EXPECT_EQ(flags.addresses, (std::vector<std::string>{"h:1", "[::1]:2"}));
  EXPECT_EQ(flags.size, 512 * kMiB);
  EXPECT_EQ(flags.count, 4u);
  EXPECT_EQ(parse(flags, {"--size=1GiB", "--count=256"}).exit_code, kExitOk);
  EXPECT_EQ(flags.size, 1024 * kMiB);
  EXPECT_EQ(flags.count, 256u);
}

TEST(FlagValuesTest, AWrongValueEndsTheParsingWithTheFlagsName) {
  const std::pair<std::vector<const char*>, const char*> rows[] = {
      {{"--time", "5 s"},
       "--time: \"5 s\" is not allowed; give a time from 0 to 1d, as 500ms, 30s or 2h (it holds a blank)"},
      {{"--time", ""}, "--time: \"\" is not allowed; give a time from 0 to 1d"},
      {{"--time=-1s"}, "--time: \"-1s\" is not allowed; give a time from 0 to 1d"},
      {{"--size", "64MBi"},
       "--size: \"64MBi\" is not allowed; give a size from 1MiB to 1TiB, as 64MiB or 2GiB (did you mean \"64MiB\"?)"},
      {{"--count", "0x10"}, "--count: \"0x10\" is not allowed; give a whole number from 1 to 256 (digits only)"},
      {{"--count", "010"},
       "--count: \"010\" is not allowed; give a whole number from 1 to 256 (it begins with a zero)"},
      {{"--word", "1"}, "--word: \"1\" is not allowed; give off or on\n"},
      {{"--word", ""}, "--word: \"\" is not allowed; give off or on\n"},
      {{"--word", "ofd"}, "--word: \"ofd\" is not allowed; give off or on (did you mean \"off\"?)"},
      {{"--address", "h:1", "--address", "nowhere"},
       "--address: \"nowhere\" is not allowed; give HOST:PORT (it has no port)"},
      {{"--address", ""}, "--address: \"\" is not allowed; give HOST:PORT (it has no port)"},
  };
  for (const auto& [arguments, want] : rows) {
    Flags flags;
    const Parsed parsed = parse(flags, arguments);
    EXPECT_EQ(parsed.exit_code, kExitUsage) << want;
    EXPECT_EQ(parsed.err.find(want), 0u) << parsed.err << want;
  }
}

TEST(FlagValuesTest, HelpShowsWhatIsAllowedAndTheDefault) {
  Flags flags;
  const std::string help = parse(flags, {"--help"}).out;
  for (const char* want : {"--time TIME=2h", "--size SIZE=512MiB", "--count 1..256=4", "--word off|on=on"}) {
    EXPECT_NE(help.find(want), std::string::npos) << want << help;
  }
}

}  // namespace
}  // namespace ficus
