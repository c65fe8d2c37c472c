#include "routing/peer_san.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ficus {
namespace {

// What '*' matched, in angle brackets; "-" for no match.
std::string matched(std::string_view pattern, std::string_view san) {
  const auto parsed = SanPattern::parse(pattern);
  if (!parsed) return "no pattern";
  const auto value = parsed->match(san);
  return value ? '<' + std::string(*value) + '>' : "-";
}

TEST(SanPatternTest, YieldsWhatTheStarMatched) {
  struct Case {
    const char* pattern;
    const char* san;
    const char* want;
  };
  const Case cases[] = {
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant/acme", "<acme>"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant/", "<>"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant", "-"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant/acme/", "-"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant/acme/ns/x", "-"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenants/acme", "-"},
      {"spiffe://corp/tenant/*", "spiffe://evil/spiffe://corp/tenant/acme", "-"},
      {"spiffe://corp/tenant/*", "SPIFFE://corp/tenant/acme", "-"},
      {"spiffe://corp/tenant/*", "spiffe://corp/tenant/ac%2Fme", "<ac%2Fme>"},
      {"spiffe://corp/tenant/*/sa/web", "spiffe://corp/tenant/acme/sa/web", "<acme>"},
      {"spiffe://corp/tenant/*/sa/web", "spiffe://corp/tenant/acme/x/sa/web", "-"},
      {"spiffe://corp/t-*-x", "spiffe://corp/t-a-x-x", "<a-x>"},
      {"spiffe://corp/aa*aa", "spiffe://corp/aaa", "-"},
      {"spiffe://*/web", "spiffe://corp/web", "<corp>"},
      {"*.tenants.corp", "acme.tenants.corp", "<acme>"},
      {"*.tenants.corp", "a.b.tenants.corp", "<a.b>"},
      {"*.tenants.corp", "tenants.corp", "-"},
      {"*@corp.example", "acme@corp.example", "<acme>"},
      {"acme@*", "acme@corp.example", "<corp.example>"},
      {"t*", "t1", "<1>"},
  };
  for (const Case& c : cases) EXPECT_EQ(matched(c.pattern, c.san), c.want) << c.pattern << " against " << c.san;
}

TEST(SanPatternTest, ASanOfAnotherKindNeverMatches) {
  EXPECT_EQ(matched("*corp", "spiffe://corp"), "-") << "a pattern of DNS names, a URI";
  EXPECT_EQ(matched("*corp", "user@corp"), "-") << "a pattern of DNS names, an email address";
  EXPECT_EQ(matched("*@corp", "x://y@corp"), "-") << "a pattern of email addresses, a URI with a user";
  EXPECT_EQ(matched("s*p", "s://p"), "-");
  EXPECT_EQ(matched("s://*", "s://u@h"), "<u@h>") << "a URI with a user in it is a URI";
}

TEST(SanPatternTest, APatternHoldsOneStarAndMore) {
  for (const char* text :
       {"", "*", "**", "spiffe://corp/tenant/acme", "spiffe://*/tenant/*", "a b*", "a\tb*", "\xc3\xa4*"}) {
    EXPECT_FALSE(SanPattern::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(SanPattern::parse(std::string_view("a\0*", 3)).has_value());
  EXPECT_TRUE(SanPattern::parse("a*").has_value());
}

TEST(PeerSanTest, OnlySansThatShowTheirKindAreAdmitted) {
  struct Case {
    SanKind kind;
    std::string_view text;
    bool want;
  };
  const Case cases[] = {
      {SanKind::kUri, "spiffe://corp/tenant/acme", true},
      {SanKind::kUri, "https://u@corp/", true},
      {SanKind::kUri, "urn:uuid:1", false},
      {SanKind::kUri, "u@h", false},
      {SanKind::kDns, "acme.tenants.corp", true},
      {SanKind::kDns, "*.tenants.corp", true},
      {SanKind::kDns, "spiffe://corp/tenant/acme", false},
      {SanKind::kDns, "acme@corp.example", false},
      {SanKind::kEmail, "acme@corp.example", true},
      {SanKind::kEmail, "acme", false},
      {SanKind::kEmail, "spiffe://corp/x@y", false},
      {SanKind::kDns, "", false},
      {SanKind::kDns, "acme .corp", false},
      {SanKind::kDns, std::string_view("acme.corp\0.evil", 15), false},
      {SanKind::kUri, "spiffe://corp/t\xc3\xa4nant", false},
      {SanKind::kUri, "spiffe://corp/\x7f", false},
  };
  for (const Case& c : cases) EXPECT_EQ(admissible_peer_san(c.kind, c.text), c.want) << c.text;
}

}  // namespace
}  // namespace ficus
