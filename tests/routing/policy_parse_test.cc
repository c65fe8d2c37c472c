#include "routing/policy_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "routing/diagnostic_codes.h"
#include "tests/routing/policy_files.h"

namespace ficus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kHead = "apiVersion: ficus/v1\nname: example\nupstreams: {a: {endpoints: [\"a:1\"]}}\n";
constexpr std::string_view kTail = "ownership_epoch: 1\n";

std::string with(std::string_view middle) { return std::string(kHead) + std::string(middle) + std::string(kTail); }

std::vector<Diagnostic> complaints(std::string_view text, const PolicyParseLimits& limits = {}) {
  auto parsed = parse_policy(text, "x.yaml", limits);
  return parsed ? parsed->diagnostics : parsed.error();
}

std::string only_complaint(std::string_view text) {
  const std::vector<Diagnostic> all = complaints(text);
  std::string out;
  for (const Diagnostic& d : all) out += (out.empty() ? "" : "\n") + to_string(d);
  return out;
}

Policy parsed(std::string_view text) {
  auto result = parse_policy(text, "x.yaml");
  if (result) return result->policy;
  ADD_FAILURE() << to_string(result.error().front()) << "\nin\n" << text;
  return {};
}

// "7: P010" for each, in order of place.
std::multiset<std::string> places(const std::vector<Diagnostic>& diagnostics) {
  std::multiset<std::string> out;
  for (const Diagnostic& d : diagnostics) out.insert(std::to_string(d.mark.line) + ": " + d.code);
  return out;
}

std::multiset<std::string> expected_places(const std::string& text) {
  constexpr std::string_view kExpect = "# expect: ";
  std::multiset<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && line.rfind(kExpect, 0) == 0;)
    out.insert(line.substr(kExpect.size()));
  return out;
}

#define FICUS_LIST_NAME(constant, code, sentence) code,
const std::set<std::string> kParsersCodes = {FICUS_PARSER_CODES(FICUS_LIST_NAME)};
#undef FICUS_LIST_NAME

bool is_parsers(const std::string& place) { return kParsersCodes.count(place.substr(place.find(": ") + 2)) != 0; }

TEST(PolicyParseTest, EachInvalidFileIsRefusedForWhatItSaysAndNothingElse) {
  const auto files = test::policy_files("tests/testdata/policies/invalid");
  ASSERT_GT(files.size(), 50u);
  std::set<std::string> seen;
  for (const auto& file : files) {
    const std::multiset<std::string> expected = expected_places(file.text);
    EXPECT_FALSE(expected.empty()) << file.name << " does not begin with # expect: <line>: <code>";
    std::multiset<std::string> ours;
    for (const std::string& place : expected) {
      if (is_parsers(place)) ours.insert(place);
    }
    const auto result = parse_policy(file.text, file.name);
    const std::vector<Diagnostic> found = result ? result->diagnostics : result.error();
    EXPECT_EQ(places(found), ours) << file.name << (found.empty() ? "" : ": " + to_string(found.front()));
    EXPECT_EQ(!result.has_value(), has_error(found)) << file.name;
    for (const Diagnostic& d : found) {
      seen.insert(d.code);
      EXPECT_EQ(d.file, file.name);
      EXPECT_FALSE(d.message.empty()) << file.name;
      for (char c : to_string(d)) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << to_string(d);
    }
  }
  // P001, P007 and P099 need files too large to keep; they have tests of their own below.
  for (const std::string& code : kParsersCodes) {
    if (code == "P001" || code == "P007" || code == "P099") continue;
    EXPECT_TRUE(seen.count(code)) << "no file of tests/testdata/policies/invalid shows " << code;
  }
}

TEST(PolicyParseTest, EachValidFileHasNoComplaint) {
  const auto files = test::policy_files("tests/testdata/policies/valid");
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    auto result = parse_policy(file.text, file.name);
    EXPECT_TRUE(result) << to_string(result ? Diagnostic() : result.error().front());
    if (result) {
      EXPECT_THAT(result->diagnostics, IsEmpty()) << file.name;
    }
  }
}

TEST(DiagnosticCodesTest, EachIsUsedOnceAndHasASentence) {
  std::set<std::string_view> codes;
  for (const DiagnosticCode& code : kAllDiagnosticCodes) {
    EXPECT_TRUE(codes.insert(code.code).second) << code.code;
    EXPECT_TRUE(code.code.size() == 4 && (code.code[0] == 'P' || code.code[0] == 'W')) << code.code;
    EXPECT_EQ(code.sentence.back(), '.') << code.code;
  }
}

TEST(PolicyParseTest, DiagnosticsPointAtTheValueTheKeyOrTheMapping) {
  const std::pair<std::string, std::string> table[] = {
      {with("rules:\n  - {name: r, capability: c, stage: lvie}\n"),
       "x.yaml:5:37: error[P032]: \"lvie\" may not stand here (did you mean \"live\"?)"},
      {with("rules:\n  - {name: r, capability: c, stage: off, tenant: [a]}\n"),
       "x.yaml:5:42: error[P010]: unknown key \"tenant\" (did you mean \"tenants\"?)"},
      {with("name: b\n"), "x.yaml:4:1: error[P011]: the key \"name\" stands here a second time (keep one of them)"},
      {with("rules:\n  - name: r\n    stage: off\n"),
       "x.yaml:5:5: error[P012]: the key \"capability\" is missing here (add it: capability: ...)"},
      {with("rules:\n  -   capability: c\n      stage: off\n"),
       "x.yaml:5:7: error[P012]: the key \"name\" is missing here (add it: name: ...)"},
      {with("rules:\n"), "x.yaml:4:1: error[P015]: \"rules\" has no value (give it one, or take the key out)"},
      {with("rules: []\n"), "x.yaml:4:8: error[P015]: this list is empty (leave the key out, or name something)"},
  };
  for (const auto& [text, want] : table) EXPECT_EQ(only_complaint(text), want);
}

TEST(PolicyParseTest, DiagnosticsNameTheWayThroughTheFile) {
  const auto all = complaints(with(
      "rules:\n  - {name: a, capability: c, stage: off}\n"
      "  - {name: b, capability: c, stage: shadow, reads: {shadow: {percent: 101}}, match: {\"a b\": [\"x,y\"]}}\n"));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].yaml_path, "rules[1].reads.shadow.percent");
  EXPECT_EQ(all[1].yaml_path, "rules[1].match[\"a b\"]");
  EXPECT_EQ(all[2].yaml_path, "rules[1].match[\"a b\"][0]");
}

TEST(PolicyParseTest, WhatIsNoPolicyAtAllIsToldInOneSentence) {
  const std::pair<std::string, std::string> table[] = {
      {std::string("\x7f" "ELF\x02\0\0\x01\0\n", 10), "x.yaml:1:6: error[P002]: there is a zero byte here"},
      {std::string("\xff\xfe" "a\0\n\0\n", 7), "x.yaml:1:1: error[P002]: this is UTF-16, not UTF-8"},
      {"\xe9\n", "x.yaml:1:1: error[P002]: this is not UTF-8"},
      {"name: a\n<<<<<<< HEAD\nb: c\n=======\nb: d\n>>>>>>> x\n", "(a merge stopped here: resolve the conflict)"},
  };
  for (const auto& [text, want] : table) {
    const std::vector<Diagnostic> all = complaints(text);
    ASSERT_EQ(all.size(), 1u) << to_string(all.front());
    EXPECT_THAT(to_string(all.front()), HasSubstr(want));
  }
}

TEST(PolicyParseTest, AFieldOfLaterWorkIsRefusedByNameWithWhatToDo) {
  const std::string text = only_complaint(
      with("schemas: {reflection: [a]}\n"));
  EXPECT_EQ(text, "x.yaml:4:11: error[P013]: \"reflection\" is not supported yet (take it out: name FileDescriptorSets, "
                  "like schemas: [\"insurance.pb\"])");
  EXPECT_THAT(only_complaint(with("capabilities: {c: {legacy: a, new: a, reads: [s.S/M], replication: facade}}\n")),
              HasSubstr("error[P013]: replication by the facade is not supported yet (write external"));
}

TEST(PolicyParseTest, ASecretNeverStandsInADiagnostic) {
  const std::string secret = "hunter2 \\x01 ";
  for (const std::string& text : {
           "apiVersion: ficus/v1\nname: n\nupstreams: {a: {endpoints: [\"a:1\"], metadata: {set: {x-key: \"" + secret +
               "\"}}}}\nownership_epoch: 1\n",
           with("capabilities: {c: {legacy: a, new: a, reads: [s.S/M], overrides: {metadata: x-side, token: \"" +
                secret + "\"}}}\n"),
       }) {
    const std::vector<Diagnostic> all = complaints(text);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_THAT(to_string(all[0]), Not(HasSubstr("hunter2")));
  }
}

TEST(PolicyParseTest, YamlsOwnTypesHaveNoSay) {
  const Policy policy =
      parsed(with("tenant_groups: {g: [no, off, 007, 1e3, true, 2027-01-01, \"null\", \"~\"]}\n"
                  "rules:\n  - {name: on, capability: yes, stage: off, reads: {shadow: {percent: \"5\"}}, until: "
                  "\"2027-01-31\"}\n"));
  std::vector<std::string> names;
  for (const NamePattern& member : policy.tenant_groups.at(0).members) names.push_back(member.text);
  EXPECT_THAT(names, ElementsAre("no", "off", "007", "1e3", "true", "2027-01-01", "null", "~"));
  EXPECT_EQ(policy.rules.at(0).name.value, "on");
  EXPECT_EQ(policy.rules.at(0).capability.value, "yes");
  EXPECT_EQ(policy.rules.at(0).stage.value, Stage::kOff);
  EXPECT_EQ(policy.rules.at(0).shadow->percent.value.millionths, 50'000u);
}

TEST(PolicyParseTest, ReadsEveryFieldOfTheWholePolicy) {
  const auto files = test::policy_files("tests/testdata/policies/valid");
  const auto file =
      std::find_if(files.begin(), files.end(), [](const auto& f) { return f.name == "insurer_full.yaml"; });
  ASSERT_NE(file, files.end());
  const Policy policy = parsed(file->text);
  EXPECT_EQ(policy.name.value, "insurer");
  ASSERT_EQ(policy.upstreams.size(), 2u);
  const UpstreamSpec& new_side = policy.upstreams[1];
  EXPECT_EQ(new_side.name.value, "policy-new");
  EXPECT_EQ(new_side.endpoints.at(0).host, "127.0.0.1");
  EXPECT_EQ(new_side.endpoints.at(0).port, 50052);
  EXPECT_EQ(new_side.connect_timeout->value, std::chrono::seconds(2));
  EXPECT_EQ(new_side.max_concurrent_requests->value, 1024u);
  EXPECT_EQ(new_side.metadata_set.at(0).name, "x-api-key");
  EXPECT_EQ(new_side.metadata_set.at(0).value, "new.key");
  EXPECT_TRUE(new_side.metadata_set.at(0).from_file);
  EXPECT_EQ(new_side.metadata_remove.at(0).value, "cookie");
  EXPECT_EQ(policy.default_upstream->value, "policy-legacy");
  EXPECT_EQ(policy.schemas.at(0).value, "insurance.pb");
  const UpstreamTlsSpec& tls = new_side.tls.value();
  EXPECT_EQ(tls.ca_file->value, "ca.pem");
  EXPECT_EQ(tls.cert_file->value, "client.pem");
  EXPECT_EQ(tls.key_file->value, "client.key");
  EXPECT_EQ(tls.server_name->value, "policy.internal");
  EXPECT_FALSE(policy.upstreams[0].tls);
  EXPECT_EQ(policy.identity.tenant.at(0).peer_san, "spiffe://corp/tenant/*");
  EXPECT_TRUE(policy.identity.tenant[0].verified());
  EXPECT_EQ(policy.identity.tenant.at(1).metadata, "x-tenant-id");
  EXPECT_FALSE(policy.identity.tenant[1].verified());
  EXPECT_EQ(policy.identity.consumer.at(0).metadata, "x-consumer-id");
  EXPECT_EQ(policy.attributes.at(0).sources.at(0).metadata, "x-product");
  EXPECT_EQ(policy.tenant_groups.at(1).members.at(0).kind, NamePattern::Kind::kPrefix);
  EXPECT_EQ(policy.tenant_groups.at(1).members.at(0).text, "eu-");

  ASSERT_EQ(policy.capabilities.size(), 2u);
  const CapabilitySpec& inquiry = policy.capabilities[0];
  EXPECT_EQ(inquiry.data->value, "policy");
  EXPECT_EQ(inquiry.legacy.value, "policy-legacy");
  EXPECT_EQ(inquiry.new_.value, "policy-new");
  ASSERT_EQ(inquiry.reads.size(), 3u);
  EXPECT_EQ(inquiry.reads[2].service, "insurance.policy.v1.PolicyService");
  EXPECT_EQ(inquiry.reads[2].method, "StreamHistory");
  EXPECT_EQ(inquiry.key->request_field->value, "policy_number");
  EXPECT_EQ(inquiry.key->methods.at(0).method.value, "ListPolicies");
  EXPECT_FALSE(inquiry.key->methods.at(0).request_field);
  EXPECT_EQ(inquiry.staleness->value, std::chrono::seconds(2));
  EXPECT_TRUE(inquiry.reverse_replication_external->value);
  EXPECT_EQ(inquiry.compare->ignore.at(0).reason, "each side stamps its own clock");
  EXPECT_EQ(inquiry.compare->ignore.at(0).until->value, std::chrono::year(2027) / 3 / 31);
  EXPECT_EQ(inquiry.compare->unordered.size(), 1u);
  EXPECT_EQ(inquiry.compare->critical.size(), 2u);
  EXPECT_EQ(inquiry.compare->minor.size(), 1u);
  EXPECT_EQ(inquiry.compare->plain.size(), 2u);
  EXPECT_TRUE(inquiry.compare->absent_equals_default);
  EXPECT_EQ(policy.capabilities[1].writes.at(0).method, "EndorseAddress");

  ASSERT_EQ(policy.rules.size(), 4u);
  EXPECT_EQ(policy.rules[0].shadow->percent.value, Percent{Percent::kFull});
  EXPECT_EQ(policy.rules[1].contact->value, "team-policy");
  const RuleSpec& pilot = policy.rules[2];
  EXPECT_EQ(pilot.tenants.at(0).kind, NamePattern::Kind::kGroup);
  EXPECT_EQ(pilot.tenants.at(0).text, "pilot");
  EXPECT_EQ(pilot.match.at(0).attribute.value, "product");
  EXPECT_EQ(pilot.match.at(0).values.at(0).text, "personal-auto");
  EXPECT_EQ(pilot.stage.value, Stage::kCanary);
  EXPECT_EQ(pilot.canary->percent.value, Percent{50'000});
  EXPECT_EQ(pilot.canary->by->value, ShareBy::kKey);

  ASSERT_EQ(policy.tests.size(), 3u);
  EXPECT_EQ(policy.tests[0].expect.owner->value, Side::kNew);
  EXPECT_EQ(policy.tests[0].expect.rule->value, "address-acme");
  EXPECT_EQ(policy.tests[1].expect.shadow->value, Percent{});
  EXPECT_EQ(policy.tests[2].metadata.at(0), (std::pair<std::string, std::string>("x-product", "personal-auto")));
  EXPECT_EQ(policy.ownership_epoch.value, 1u);
  EXPECT_GT(policy.ownership_epoch.mark.line, policy.rules[3].mark.line);
}

TEST(PolicyParseTest, AliasesStandForWhatTheyName) {
  const Policy policy =
      parsed(with("rules:\n  - &r {name: a, capability: c, stage: off, tenants: &t [x, y]}\n"
                  "  - {name: b, capability: c, stage: off, tenants: *t}\n"));
  EXPECT_EQ(policy.rules.at(1).tenants, policy.rules.at(0).tenants);
}

TEST(PolicyParseTest, AliasesCannotExplode) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int n = 0; n < 9; ++n) text += last + ", ";
    text += last + "]\n";
  }
  const auto all = complaints(with(text));
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].code, "P007");
}

TEST(PolicyParseTest, KeepsItsLimits) {
  PolicyParseLimits limits;
  limits.text_bytes = 100;
  EXPECT_EQ(complaints(std::string(101, '\n'), limits).at(0).code, "P001");
  EXPECT_EQ(complaints(std::string(100, '\n'), limits).at(0).code, "P015");
  limits = {};
  limits.nodes = 14;  // what with("") holds
  EXPECT_THAT(complaints(with(""), limits), IsEmpty());
  limits.nodes = 13;
  EXPECT_EQ(complaints(with(""), limits).at(0).code, "P007");
  limits = {};
  limits.depth = 4;
  EXPECT_THAT(complaints(with(""), limits), IsEmpty());
  limits.depth = 3;
  EXPECT_EQ(complaints(with(""), limits).at(0).code, "P006");
}

TEST(PolicyParseTest, WhatARouteTableNumbersIsCounted) {
  const std::string_view end = "ownership_epoch: 1\n";
  std::string upstreams = "apiVersion: ficus/v1\nname: n\nupstreams:\n";
  for (int i = 0; i < 1000; ++i) upstreams += "  u" + std::to_string(i) + ": {endpoints: [\"a:1\"]}\n";
  EXPECT_THAT(complaints(upstreams + std::string(end)), IsEmpty());
  EXPECT_THAT(only_complaint(upstreams + "  more: {endpoints: [\"a:1\"]}\n" + std::string(end)),
              HasSubstr("x.yaml:3:1: error[P036]: there are 1001 upstreams (at most 1000)"));

  std::string methods = "capabilities: {c: {legacy: a, new: a, service: s.S, writes: [M0";
  for (int i = 1; i < 60'000; ++i) methods += ", M" + std::to_string(i);
  EXPECT_THAT(complaints(with(methods + "]}}\n")), IsEmpty());
  EXPECT_THAT(only_complaint(with(methods + "]}}\nunmanaged: [{method: s.S/N, reason: r}]\n")),
              HasSubstr("error[P036]: there are 60001 methods (at most 60000)"));
}

TEST(PolicyParseTest, NestingDeeperThanAnyStackIsRefused) {
  for (const char* open : {"[", "{", "{a: ", "- ", "? "}) {
    std::string text = "a: ";
    if (open[0] == '-' || open[0] == '?') text = "a:\n  ";
    for (int i = 0; i < 100'000; ++i) text += open;
    const auto all = complaints(text + "\n");
    ASSERT_FALSE(all.empty()) << open;
    EXPECT_TRUE(has_error(all)) << open;
  }
}

TEST(PolicyParseTest, ShowsAHundredComplaintsAndCountsTheRest) {
  std::string rules = "rules:\n";
  for (int i = 0; i < 20'000; ++i) rules += "  - {name: r" + std::to_string(i) + ", capability: c, stage: on}\n";
  const auto all = complaints(with(rules));
  ASSERT_EQ(all.size(), 101u);
  EXPECT_EQ(all[0].mark.line, 5u);
  EXPECT_EQ(all[99].mark.line, 104u);
  EXPECT_EQ(all[100].code, "P099");
  EXPECT_THAT(all[100].message, HasSubstr("and "));
}

TEST(PolicyParseTest, WarningsNeverPushAnErrorOut) {
  std::string schemas = "schemas: [a.pb";
  for (int i = 0; i < 500; ++i) schemas += ", a.pb";
  const auto all = complaints(with(schemas + "]\nrules:\n  - {name: r, capability: c, stage: on}\n"));
  ASSERT_EQ(all.size(), 101u);
  EXPECT_TRUE(has_error(all));
  EXPECT_THAT(to_string(all[99]), HasSubstr("error[P032]"));
  EXPECT_EQ(all[100].level, DiagnosticLevel::kError);
}

TEST(PolicyParseTest, WarningsAloneDoNotRefuse) {
  const auto result = parse_policy(with("schemas: [a.pb, a.pb]\n"), "x.yaml");
  ASSERT_TRUE(result);
  ASSERT_EQ(result->diagnostics.size(), 1u);
  EXPECT_EQ(to_string(result->diagnostics[0]),
            "x.yaml:4:17: warning[W001]: \"a.pb\" is listed twice (take one of them out)");
}

TEST(PolicyParseTest, TakesAByteOrderMarkCarriageReturnsAndAnEndMarker) {
  const std::string plain = with("default_upstream: a\n");
  std::string windows = "\xef\xbb\xbf";
  for (char c : plain) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const std::string& text : {windows, "---\n" + plain, plain + "...\n", plain + "# the end\n", plain + "\n\n"}) {
    EXPECT_EQ(parsed(text), parsed(plain)) << text;
  }
}

TEST(PolicyParseTest, HundredThousandTenantsAreReadInOnePass) {
  std::string text(kHead);
  text += "tenant_groups:\n  all:\n";
  for (int i = 0; i < 100'000; ++i) text += "    - tenant-" + std::to_string(i) + "\n";
  text += kTail;
  const Policy policy = parsed(text);
  ASSERT_EQ(policy.tenant_groups.at(0).members.size(), 100'000u);
  EXPECT_EQ(policy.tenant_groups[0].members[99'999].text, "tenant-99999");
  EXPECT_EQ(policy.tenant_groups[0].members[99'999].mark, (Mark{100'005, 7}));
}

}  // namespace
}  // namespace ficus
