#include "routing/policy_parse_values.h"

#include <gtest/gtest.h>

#include <random>

namespace ficus::parsing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// The value's text, or "!" and the code.
template <class T, class Print>
std::string outcome(const Parsed<T>& parsed, Print print) {
  return parsed ? std::string(print(*parsed)) : "!" + std::string(parsed.error().code->code);
}
std::string outcome(const Parsed<std::string>& parsed) {
  return outcome(parsed, [](const std::string& text) { return text; });
}

TEST(PolicyValuesTest, DurationsHaveAUnitAndNoFraction) {
  const std::pair<std::string_view, std::string_view> table[] = {{"200ms", "200ms"},
                                                                 {"2s", "2s"},
                                                                 {"5m", "5m"},
                                                                 {"1000ms", "1s"},
                                                                 {"60s", "1m"},
                                                                 {"90s", "90s"},
                                                                 {"1h", "!P027"},
                                                                 {"", "!P027"},
                                                                 {"s", "!P027"},
                                                                 {"2", "!P027"},
                                                                 {"2S", "!P027"},
                                                                 {"2 s", "!P027"},
                                                                 {"1.5s", "!P027"},
                                                                 {"-1s", "!P027"},
                                                                 {"02s", "!P027"},
                                                                 {"2ms2s", "!P027"},
                                                                 {"0s", "!P037"},
                                                                 {"61m", "!P037"},
                                                                 {"18446744073709551615m", "!P027"},
                                                                 {"999999999999999999m", "!P027"}};
  for (const auto& [text, want] : table) {
    EXPECT_EQ(outcome(parse_duration(text, milliseconds(1), hours(1)), print_duration), want) << text;
  }
}

TEST(PolicyValuesTest, SizesHaveAUnit) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"64KiB", "64KiB"}, {"1MiB", "1MiB"},    {"1024KiB", "1MiB"}, {"1000B", "1000B"},
      {"2048B", "2KiB"},  {"64", "!P028"},     {"64kib", "!P028"},  {"64KB", "!P028"},
      {"1GiB", "!P028"},  {"1.5MiB", "!P028"}, {"0B", "!P037"},     {"17MiB", "!P037"}};
  for (const auto& [text, want] : table) EXPECT_EQ(outcome(parse_size(text, 1, 16 << 20), print_size), want) << text;
}

TEST(PolicyValuesTest, CountsAreDigitsOnly) {
  const std::pair<std::string_view, std::string_view> table[] = {{"1", "1"},
                                                                 {"65535", "65535"},
                                                                 {"0", "!P037"},
                                                                 {"65536", "!P037"},
                                                                 {"99999999999999999999999", "!P037"},
                                                                 {"010", "!P026"},
                                                                 {"00", "!P026"},
                                                                 {"", "!P026"},
                                                                 {"-1", "!P026"},
                                                                 {"+1", "!P026"},
                                                                 {"1_000", "!P026"},
                                                                 {"0x10", "!P026"},
                                                                 {"1.0", "!P026"},
                                                                 {" 1", "!P026"},
                                                                 {"1 ", "!P026"}};
  for (const auto& [text, want] : table) {
    EXPECT_EQ(outcome(parse_count(text, 1, 65535), [](std::uint64_t n) { return std::to_string(n); }), want) << text;
  }
}

TEST(PolicyValuesTest, EveryPercentageIsExact) {
  for (std::uint32_t millionths = 0; millionths <= Percent::kFull; millionths += millionths < 20'000 ? 1 : 997) {
    const Percent percent{millionths};
    const auto parsed = parse_percent(to_string(percent));
    ASSERT_TRUE(parsed) << to_string(percent);
    ASSERT_EQ(*parsed, percent);
  }
  const std::pair<std::string_view, std::string_view> table[] = {{"5", "5"},
                                                                 {"5.0", "5"},
                                                                 {"0.2500", "0.25"},
                                                                 {"100.0000", "100"},
                                                                 {"99.9999", "99.9999"},
                                                                 {"0", "0"},
                                                                 {"100.0001", "!P037"},
                                                                 {"101", "!P037"},
                                                                 {"1000000000000000000000", "!P029"},
                                                                 {"5%", "!P029"},
                                                                 {".5", "!P029"},
                                                                 {"5.", "!P029"},
                                                                 {"05", "!P029"},
                                                                 {"1e1", "!P029"},
                                                                 {"-0", "!P029"},
                                                                 {"0.00001", "!P029"},
                                                                 {"", "!P029"},
                                                                 {"5,5", "!P029"},
                                                                 {"nan", "!P029"},
                                                                 {"%", "!P029"}};
  for (const auto& [text, want] : table) {
    EXPECT_EQ(outcome(parse_percent(text), [](Percent p) { return to_string(p); }), want) << text;
  }
}

TEST(PolicyValuesTest, DatesAreDaysThatExist) {
  const std::pair<std::string_view, std::string_view> table[] = {{"2027-03-31", "2027-03-31"},
                                                                 {"2024-02-29", "2024-02-29"},
                                                                 {"0001-01-01", "0001-01-01"},
                                                                 {"2027-02-29", "!P030"},
                                                                 {"2027-04-31", "!P030"},
                                                                 {"2027-13-01", "!P030"},
                                                                 {"2027-00-01", "!P030"},
                                                                 {"2027-01-00", "!P030"},
                                                                 {"27-01-01", "!P030"},
                                                                 {"2027-1-1", "!P030"},
                                                                 {"2027/01/01", "!P030"},
                                                                 {"2027-01-0a", "!P030"},
                                                                 {"", "!P030"},
                                                                 {"2027-01-011", "!P030"}};
  for (const auto& [text, want] : table) EXPECT_EQ(outcome(parse_date(text), print_date), want) << text;
}

TEST(PolicyValuesTest, BoolsAreTheTwoWords) {
  EXPECT_TRUE(*parse_bool("true"));
  EXPECT_FALSE(*parse_bool("false"));
  for (std::string_view text : {"True", "yes", "on", "1", "", "no", "false "}) EXPECT_FALSE(parse_bool(text)) << text;
}

TEST(PolicyValuesTest, FileNamesStayBesideOrBelowThePolicy) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"a.pb", "a.pb"},    {"certs/new.key", "certs/new.key"},
      {"..a", "..a"},      {"a..b/c", "a..b/c"},
      {"a b", "a b"},      {"", "!P024"},
      {"/a", "!P024"},     {"..", "!P024"},
      {"../a", "!P024"},   {"a/..", "!P024"},
      {"a/../b", "!P024"}, {"./a", "!P024"},
      {"a/./b", "!P024"},  {"a//b", "!P024"},
      {"a/", "!P024"},     {std::string_view("a\0", 2), "!P024"},
      {"a\n", "!P024"}};
  for (const auto& [text, want] : table) EXPECT_EQ(outcome(parse_file_name(text)), want) << text;
  EXPECT_EQ(outcome(parse_file_reference("file:new.key")), "new.key");
  EXPECT_EQ(outcome(parse_file_reference("file:../new.key")), "!P024");
  EXPECT_EQ(outcome(parse_file_reference("new.key")), "!P024");
  EXPECT_EQ(outcome(parse_file_reference("file:")), "!P024");
}

TEST(PolicyValuesTest, EndpointsAreHostAndPort) {
  const auto print = [](const EndpointSpec& e) { return e.host + " " + std::to_string(e.port); };
  const std::pair<std::string_view, std::string_view> good[] = {
      {"localhost:1", "localhost 1"},
      {"127.0.0.1:65535", "127.0.0.1 65535"},
      {"policy-new.apps.svc.cluster.local:443", "policy-new.apps.svc.cluster.local 443"},
      {"[::]:80", ":: 80"},
      {"[::1]:80", "::1 80"},
      {"[1::]:80", "1:: 80"},
      {"[2001:db8::1]:80", "2001:db8::1 80"},
      {"[1:2:3:4:5:6:7:8]:80", "1:2:3:4:5:6:7:8 80"},
      {"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1 80"},
      {"1and1.example:80", "1and1.example 80"},
      {"3com:80", "3com 80"},
  };
  for (const auto& [text, want] : good) EXPECT_EQ(outcome(parse_endpoint(text), print), want) << text;
  for (std::string_view text : {"",
                                ":",
                                "a",
                                "a:",
                                ":1",
                                "a:0",
                                "a:65536",
                                "a:01",
                                "a:+1",
                                "a: 1",
                                "a b:1",
                                "http://a:1",
                                "a/b:1",
                                "::1:80",
                                "[::1]",
                                "[]:1",
                                "[:]:1",
                                "[:::]:1",
                                "[1]:1",
                                "[1:2:3:4:5:6:7]:1",
                                "[1:2:3:4:5:6:7:8:9]:1",
                                "[1::2::3]:1",
                                "[12345::]:1",
                                "[g::]:1",
                                "[1:2:3:4:5:6:7::8]x:1",
                                "[::1%eth0]:1",
                                "[127.0.0.1]:1",
                                "[::1.2.3]:1",
                                "[::1.2.3.256]:1",
                                "[1:]:1",
                                "[:1]:1",
                                "256.0.0.1:1",
                                "1.2.3:1",
                                "1.2.3.4.5:1",
                                "01.2.3.4:1",
                                "127.1:1",
                                "a..b:1",
                                ".a:1",
                                "a.:1",
                                "-a:1",
                                "a-:1",
                                "a-.b:1",
                                "a.-b:1",
                                "1:1",
                                "a\n:1"}) {
    EXPECT_EQ(outcome(parse_endpoint(text), print), "!P025") << text;
  }
}

TEST(PolicyValuesTest, AnIpv6AddressHasEightGroupsOrOneGap) {
  const auto print = [](const EndpointSpec& e) { return e.host; };
  EXPECT_EQ(outcome(parse_endpoint("[1:2:3:4:5:6:7::]:1"), print), "1:2:3:4:5:6:7::");
  EXPECT_EQ(outcome(parse_endpoint("[::2:3:4:5:6:7:8]:1"), print), "::2:3:4:5:6:7:8");
  EXPECT_EQ(outcome(parse_endpoint("[1:2:3:4:5:6:7:8::]:1"), print), "!P025");
  EXPECT_EQ(outcome(parse_endpoint("[::1:2:3:4:5:6:7:8]:1"), print), "!P025");
  EXPECT_EQ(outcome(parse_endpoint("[1:2:3:4:5:6:1.2.3.4]:1"), print), "1:2:3:4:5:6:1.2.3.4");
}

std::string show(const Parsed<NamePattern>& parsed) {
  static const char* const kKinds[] = {"name ", "prefix ", "group ", "any", "none"};
  return outcome(parsed, [](const NamePattern& p) { return kKinds[static_cast<int>(p.kind)] + p.text; });
}

TEST(PolicyValuesTest, NamePatternsTakeTheFormsOfTheirPlace) {
  struct Row {
    std::string_view text, tenants, consumers, names, values;
  };
  const Row table[] = {
      {"acme", "name acme", "name acme", "name acme", "name acme"},
      {"eu-*", "prefix eu-", "prefix eu-", "prefix eu-", "prefix eu-"},
      {"eu *", "prefix eu ", "prefix eu ", "prefix eu ", "prefix eu "},
      {"*", "any", "any", "!P021", "any"},
      {"none", "none", "none", "!P021", "name none"},
      {"none*", "prefix none", "prefix none", "prefix none", "prefix none"},
      {"group:eu", "group eu", "!P021", "!P021", "name group:eu"},
      {"group:", "!P020", "!P021", "!P021", "name group:"},
      {"group:*", "!P020", "!P021", "!P021", "prefix group:"},
      {"a*b", "!P021", "!P021", "!P021", "!P021"},
      {"**", "!P021", "!P021", "!P021", "!P021"},
      {"a**", "!P021", "!P021", "!P021", "!P021"},
      {"a,b", "!P021", "!P021", "!P021", "!P021"},
      {" a", "!P021", "!P021", "!P021", "!P021"},
      {"a ", "!P021", "!P021", "!P021", "!P021"},
      {" *", "!P021", "!P021", "!P021", "!P021"},
      {"a\tb", "!P021", "!P021", "!P021", "!P021"},
      {"", "!P021", "!P021", "!P021", "!P021"},
      {"None", "name None", "name None", "name None", "name None"},
      {"\xc3\xa4", "name \xc3\xa4", "name \xc3\xa4", "name \xc3\xa4", "name \xc3\xa4"},
  };
  for (const Row& row : table) {
    EXPECT_EQ(show(parse_name_pattern(row.text, PatternForms::kTenants)), row.tenants) << row.text;
    EXPECT_EQ(show(parse_name_pattern(row.text, PatternForms::kConsumers)), row.consumers) << row.text;
    EXPECT_EQ(show(parse_name_pattern(row.text, PatternForms::kNames)), row.names) << row.text;
    EXPECT_EQ(show(parse_name_pattern(row.text, PatternForms::kValues)), row.values) << row.text;
  }
  EXPECT_EQ(show(parse_name_pattern(std::string(256, 'a'), PatternForms::kTenants)), "name " + std::string(256, 'a'));
  EXPECT_EQ(show(parse_name_pattern(std::string(257, 'a'), PatternForms::kTenants)), "!P021");
}

TEST(PolicyValuesTest, MetadataNamesAreLowerCaseAndOurs) {
  struct Row {
    std::string_view name;
    bool read, set, remove, test;
  };
  const Row table[] = {
      {"x-tenant-id", true, true, true, true},
      {"authorization", true, true, true, true},
      {"user-agent", true, true, true, true},
      {"a.b_c-1", true, true, true, true},
      {"token-bin", false, false, true, true},
      {"x-ficus-shadow", false, false, false, true},
      {"x-ficus-a", false, false, false, false},
      {"grpc-timeout", false, false, false, false},
      {"te", false, false, false, false},
      {"content-type", false, false, false, false},
      {"host", false, false, false, false},
      {"connection", false, false, false, false},
      {"proxy-connection", false, false, false, false},
      {":path", false, false, false, false},
      {"X-Tenant", false, false, false, false},
      {"", false, false, false, false},
      {"a b", false, false, false, false},
      {"a:b", false, false, false, false},
      {"\xc3\xa4", false, false, false, false},
      {"a\n", false, false, false, false},
  };
  for (const Row& row : table) {
    EXPECT_EQ(parse_metadata_name(row.name, MetadataUse::kRead).has_value(), row.read) << row.name;
    EXPECT_EQ(parse_metadata_name(row.name, MetadataUse::kSet).has_value(), row.set) << row.name;
    EXPECT_EQ(parse_metadata_name(row.name, MetadataUse::kRemove).has_value(), row.remove) << row.name;
    EXPECT_EQ(parse_metadata_name(row.name, MetadataUse::kTest).has_value(), row.test) << row.name;
  }
}

TEST(PolicyValuesTest, MetadataValuesArePrintableAscii) {
  for (std::string_view text : {"a", "a b", "Bearer x,y;z", "~"}) EXPECT_TRUE(parse_metadata_value(text)) << text;
  for (std::string_view text :
       std::initializer_list<std::string_view>{"", " a", "a ", "a\tb", "a\r\nb", "\x7f", "\xc3\xa4", {"a\0b", 3}}) {
    EXPECT_FALSE(parse_metadata_value(text)) << text;
  }
}

TEST(PolicyValuesTest, MethodsAreServiceAndMethod) {
  const auto print = [](const MethodRef& ref) { return ref.service + " " + ref.method; };
  struct Row {
    std::string_view text, service, want;
  };
  const Row table[] = {
      {"pkg.S/M", "", "pkg.S M"}, {"S/M", "", "S M"},          {"pkg.S/*", "", "pkg.S *"},   {"M", "pkg.S", "pkg.S M"},
      {"*", "pkg.S", "pkg.S *"},  {"o.T/M", "pkg.S", "o.T M"}, {"M", "", "!P033"},           {"*", "", "!P033"},
      {"/pkg.S/M", "", "!P033"},  {"pkg.S/M/N", "", "!P033"},  {"pkg.S/", "pkg.S", "!P033"}, {"/M", "pkg.S", "!P033"},
      {"pkg.S/M*", "", "!P033"},  {"pkg./M", "", "!P033"},     {".S/M", "", "!P033"},        {"1a/M", "", "!P033"},
      {"a-b/M", "", "!P033"},     {"", "pkg.S", "!P033"},      {"pkg.*/M", "", "!P033"},     {"M\n", "pkg.S", "!P033"}};
  for (const Row& row : table) EXPECT_EQ(outcome(parse_method(row.text, row.service), print), row.want) << row.text;
}

TEST(PolicyValuesTest, NoParserTakesRandomBytesBadly) {
  std::mt19937 random(11);
  const std::string_view alphabet("0159.%msKiMB:/*[]-abAZ \"\\\n\0\xc3\xa4\xff,", 32);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t left = random() % 12; left > 0; --left) text += alphabet[random() % alphabet.size()];
    // Whatever one takes, printing it gives a text that means the same.
    if (const auto d = parse_duration(text, milliseconds(0), hours(99))) {
      EXPECT_EQ(*parse_duration(print_duration(*d), milliseconds(0), hours(99)), *d);
    }
    if (const auto s = parse_size(text, 0, 1ull << 40)) {
      EXPECT_EQ(*parse_size(print_size(*s), 0, 1ull << 40), *s);
    }
    if (const auto p = parse_percent(text)) {
      EXPECT_EQ(*parse_percent(to_string(*p)), *p);
    }
    for (PatternForms forms :
         {PatternForms::kTenants, PatternForms::kConsumers, PatternForms::kNames, PatternForms::kValues}) {
      (void)parse_name_pattern(text, forms);
    }
    (void)parse_endpoint(text);
    (void)parse_method(text, "s");
    (void)parse_path_pattern(text);
    (void)parse_metadata_name(text, MetadataUse::kRead);
  }
}

}  // namespace
}  // namespace ficus::parsing
