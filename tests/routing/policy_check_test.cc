// The checker against files: each of testdata/policies/invalid/checked says which diagnostics it must get, all of them
// and no other, in its first lines.
#include "routing/policy_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "routing/diagnostic_codes.h"
#include "tests/routing/check_fixture.h"

namespace ficus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using test::LineAndCode;

const std::filesystem::path kTestdata = std::filesystem::path(FICUS_SOURCE_DIR) / "tests/testdata/policies";

std::vector<std::filesystem::path> yaml_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string text_of(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += to_string(diagnostic) + '\n';
  return text;
}

TEST(PolicyCheckFilesTest, EachFileGetsExactlyTheDiagnosticsItExpects) {
  const auto files = yaml_files(kTestdata / "invalid/checked");
  ASSERT_GT(files.size(), 50u);
  for (const auto& file : files) {
    const std::string text = test::read_file(file);
    const std::vector<LineAndCode> expected = test::expectations(text);
    EXPECT_FALSE(expected.empty()) << file;
    const std::vector<Diagnostic> found = test::diagnose(text, file.filename().string());
    std::vector<LineAndCode> got;
    for (const Diagnostic& diagnostic : found) got.emplace_back(diagnostic.mark.line, diagnostic.code);
    EXPECT_EQ(got, expected) << text_of(found);
    for (const Diagnostic& diagnostic : found) {
      EXPECT_EQ(diagnostic.level, diagnostic.code[0] == 'W' ? DiagnosticLevel::kWarning : DiagnosticLevel::kError);
      EXPECT_FALSE(diagnostic.message.empty() || diagnostic.yaml_path.empty()) << to_string(diagnostic);
      EXPECT_NE(diagnostic.mark.column, 0u) << to_string(diagnostic);
    }
  }
}

TEST(PolicyCheckFilesTest, EveryCodeOfTheCheckerIsMetInAFile) {
  std::set<std::string> met;
  for (const auto& file : yaml_files(kTestdata / "invalid/checked")) {
    for (const LineAndCode& expected : test::expectations(test::read_file(file))) met.insert(expected.second);
  }
  // These need two policies (owner_table_test.cc, owner_servers_test.cc), and a policy too large for a file (policy_reach_test.cc).
  met.insert({std::string(codes::kEpochMustGrow.code), std::string(codes::kEpochMustStay.code),
              std::string(codes::kOwnerServersTaken.code), std::string(codes::kOwnerServersMixed.code),
              std::string(codes::kOwnerServersReplaced.code),
              std::string(codes::kNotJudged.code)});
#define FICUS_EXPECT_MET(constant, code, sentence) EXPECT_EQ(met.count(code), 1u) << code << ": " << sentence;
  FICUS_CHECKER_CODES(FICUS_EXPECT_MET)
#undef FICUS_EXPECT_MET
}

// A policy around what a case is about.
std::string policy(const std::string& body) {
  return "apiVersion: ficus/v1\nname: t\nupstreams:\n  policy-legacy: {endpoints: [\"127.0.0.1:1\"]}\n"
         "  policy-new: {endpoints: [\"127.0.0.1:2\"]}\n" + body + "\nownership_epoch: 1\n";
}

struct Said {
  const char* name;
  std::string body;
  std::vector<std::string> want;  // parts of the diagnostics, written out
};

TEST(PolicyCheckTest, SaysWhatWhereAndWhatToDo) {
  const Said cases[] = {
      {"an upstream misspelt",
       "capabilities: {c: {legacy: policy-legacy, new: policy-nwe, reads: [s.S/Get]}}",
       {"t.yaml:6:48: error[P014]: no upstream named \"policy-nwe\" (did you mean \"policy-new\"?)"}},
      {"an upstream like no other", "default_upstream: elsewhere", {"no upstream named \"elsewhere\" (define it under upstreams)"}},
      {"a rule that never matches names the rules above with their lines",
       "identity: {tenant: [{metadata: x-t}]}\n"
       "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}\nrules:\n"
       "  - {name: a, capability: c, tenants: [x], stage: off}\n  - {name: b, capability: c, tenants: [\"y*\"], stage: off}\n"
       "  - {name: d, capability: c, tenants: [x, yy], stage: off}",
       {"t.yaml:11:5: error[P125]: rule \"d\" (line 11) can never match", "goes to rule \"a\" (line 9), rule \"b\" (line 10)"}},
      {"who gives the other owner",
       "identity: {tenant: [{metadata: x-t}], consumer: [{metadata: x-c}]}\n"
       "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}\nrules:\n"
       "  - {name: a, capability: c, tenants: [x], consumers: [app], stage: complete}",
       {"rule \"a\" (line 9) says that new owns writes for x, but consumers cannot decide that, and they belong to legacy: "
        "no rule takes it"}},
      {"a failing test says expected and got",
       "tests: [{name: n, method: s.S/Get, expect: {serve: new}, tenant: x, metadata: {x-t: a b}}]\n"
       "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}",
       {"t.yaml:6:52: error[P160]: test \"n\": expected serve new, got legacy (no rule)", "(why: ficus explain t.yaml --method s.S/Get --tenant x --metadata 'x-t=a b')"}},
      {"a refused test says why",
       "tests: [{name: n, method: s.S/Put, expect: {serve: new}}]\n"
       "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}",
       {"error[P161]: test \"n\": the call is refused with UNIMPLEMENTED: ", "s.S/Put", "expect: {refused: UNIMPLEMENTED}"}},
  };
  for (const Said& test : cases) {
    const std::vector<Diagnostic> found = test::diagnose(policy(test.body));
    ASSERT_FALSE(found.empty()) << test.name;
    for (const std::string& part : test.want) EXPECT_THAT(text_of(found), HasSubstr(part)) << test.name;
  }
}

TEST(PolicyCheckTest, OneUnknownServiceIsOneDiagnosticHoweverManyMethodsItHas) {
  const std::string one = "schemas: [\"s.pb\"]\ncapabilities: {c: {legacy: policy-legacy, new: policy-new, service: s.S, reads: [A";
  const std::vector<Diagnostic> many = test::diagnose(policy(one + ", B], writes: [C]}}"));
  ASSERT_EQ(many.size(), 1u) << text_of(many);
  EXPECT_EQ(many[0].yaml_path, "capabilities.c.reads[0]");
  EXPECT_THAT(text_of(many), HasSubstr("error[P115]: no schema has a service s.S, of which the policy names 3 methods (correct the "
                                       "name, or add its descriptors to schemas)"));
  EXPECT_THAT(text_of(test::diagnose(policy(one + "]}}"))), HasSubstr("no schema has a service s.S (correct"));
}

TEST(PolicyCheckTest, YamlPathLeadsToTheValue) {
  const std::vector<Diagnostic> found = test::diagnose(policy(
      "identity: {tenant: [{metadata: x-t}]}\ncapabilities: {c: {legacy: nobody, new: policy-new, reads: [s.S/Get]}}\n"
      "rules:\n  - {name: a, capability: c, stage: off, tenants: [x, \"group:g\"], reads: {serve: new}}"));
  std::vector<std::string> paths;
  for (const Diagnostic& diagnostic : found) paths.push_back(diagnostic.yaml_path);
  EXPECT_THAT(paths, ElementsAre("capabilities.c.legacy", "rules[0].tenants[1]", "rules[0].reads.serve"));
}

TEST(PolicyCheckTest, TestsAreNotRunWhereAnythingElseIsWrong) {
  const std::vector<Diagnostic> found = test::diagnose(policy(
      "tests: [{name: n, method: s.S/Get, expect: {serve: new}}]\n"
      "capabilities: {c: {legacy: policy-legacy, new: nobody, reads: [s.S/Get]}}"));
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_EQ(found[0].code, codes::kUnknownUpstream.code);
}

TEST(PolicyCheckTest, TestsRunBesideWarnings) {
  const std::vector<Diagnostic> found = test::diagnose(policy(
      "tests: [{name: n, method: s.S/Get, expect: {serve: new}}]\ntenant_groups: {g: [x]}\n"
      "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}"));
  ASSERT_EQ(found.size(), 2u) << text_of(found);
  EXPECT_EQ(found[0].code, codes::kTestFails.code);
  EXPECT_EQ(found[1].code, codes::kUnusedGroup.code);
}

TEST(PolicyCheckTest, KeyOfATestDecidesTheShareAsTheCallsOwnKeyWould) {
  const std::string body =
      "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], key: {metadata: x-n}, staleness: 1s}}\n"
      "rules: [{name: a, capability: c, stage: canary, reads: {canary: {percent: 50, by: key}, shadow: {percent: 0}}}]\n"
      "tests:\n";
  int on_new = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "P-" + std::to_string(i);
    const auto passes = [&](const std::string& test) { return test::diagnose(policy(body + test)).empty(); };
    const std::string given = "  - {name: n, method: s.S/Get, key: " + key + ", expect: {serve: ";
    const std::string sent = "  - {name: n, method: s.S/Get, metadata: {x-n: " + key + "}, expect: {serve: ";
    const bool to_new = passes(given + "new}}");
    EXPECT_NE(to_new, passes(given + "legacy}}")) << key;
    EXPECT_EQ(to_new, passes(sent + "new}}")) << key;
    on_new += to_new;
  }
  EXPECT_GT(on_new, 5);
  EXPECT_LT(on_new, 35);
}

TEST(PolicyCheckTest, KeyThatNoCallCouldYieldIsNoKeyInATest) {
  // Without a schema no request has a field, so every call is unkeyed and served by legacy.
  const std::string body =
      "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], key: {request_field: number}, staleness: 1s}}\n"
      "rules: [{name: a, capability: c, stage: canary, reads: {canary: {percent: 99.9999, by: key}, shadow: {percent: 0}}}]\n"
      "tests: [{name: n, method: s.S/Get, key: P-1, expect: {serve: legacy, new_share: 99.9999}}]";
  const std::vector<Diagnostic> found = test::diagnose(policy(body));
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_EQ(found[0].code, codes::kKeyNeedsSchema.code);
}

TEST(PolicyCheckTest, AtMostAHundredDiagnosticsAreListedErrorsFirst) {
  std::string body = "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}\ntenant_groups: {";
  for (int i = 0; i < 150; ++i) body += (i == 0 ? "g" : ", g") + std::to_string(i) + ": [x]";
  body += "}\nrules:";
  for (int i = 0; i < 30; ++i) body += "\n  - {name: r" + std::to_string(i) + ", capability: nowhere, stage: off}";
  const std::vector<Diagnostic> found = test::diagnose(policy(body));
  ASSERT_EQ(found.size(), 101u);
  const auto errors = std::count_if(found.begin(), found.end(), [](const Diagnostic& d) { return d.level == DiagnosticLevel::kError; });
  EXPECT_EQ(errors, 31) << "thirty unknown capabilities, and the last line";
  EXPECT_EQ(found.back().code, codes::kMoreDiagnostics.code);
  EXPECT_THAT(found.back().message, HasSubstr("80 more"));
}

// One service of very many methods without side effects.
class LargeCatalog : public test::InsuranceCatalog {
 public:
  explicit LargeCatalog(std::size_t methods) : methods_(methods) {}
  bool has_service(std::string_view) const override { return true; }
  std::vector<std::string> methods_of(std::string_view) const override {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < methods_; ++i) names.push_back("M" + std::to_string(i));
    return names;
  }

 private:
  std::size_t methods_;
};

TEST(PolicyCheckTest, StarOfMoreMethodsThanTheTableCanNumberIsAnError) {
  const auto parsed = parse_policy(policy("schemas: [\"s.pb\"]\ncapabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [\"s.S/*\"]}}"), "t.yaml");
  ASSERT_TRUE(parsed.has_value());
  const LargeCatalog fits(65'000), too_large(66'000);
  EXPECT_THAT(check_policy({parsed->policy, &fits, test::kToday}), IsEmpty());
  const std::vector<Diagnostic> found = check_policy({parsed->policy, &too_large, test::kToday});
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_EQ(found[0].code, codes::kTooMany.code);
}

struct Fine {
  const char* name;
  std::string body;
};

// What looks like an error or a warning of the tables above and is none.
TEST(PolicyCheckTest, FindsNothingWhereNothingIsWrong) {
  const std::string tenants = "identity: {tenant: [{metadata: x-t}], consumer: [{metadata: x-c}], trust_metadata: true}\n";
  const std::string reads = "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}}\n";
  const std::string both = "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], writes: [s.S/Set]}}\n";
  const Fine cases[] = {
      {"a rule of exact names above a prefix that takes them too",
       tenants + reads + "rules:\n  - {name: a, capability: c, tenants: [eu-1], stage: off}\n  - {name: b, capability: c, tenants: [\"eu-*\"], stage: off}"},
      {"every written name taken above, but the prefix takes others too",
       tenants + reads + "rules:\n  - {name: a, capability: c, tenants: [eu-1, eu-2], stage: off}\n"
                         "  - {name: b, capability: c, tenants: [\"eu-*\"], stage: off}\n  - {name: d, capability: c, tenants: [\"*\"], stage: off}"},
      {"any tenant above: calls without one are left",
       tenants + reads + "rules:\n  - {name: a, capability: c, tenants: [\"*\"], stage: off}\n  - {name: b, capability: c, stage: off}"},
      {"all reads taken above, but writes reach the rule",
       tenants + both + "rules:\n  - {name: a, capability: c, consumers: [\"*\", none], stage: off}\n  - {name: b, capability: c, tenants: [x], stage: off}"},
      {"a call without an attribute is left by any value of it",
       tenants + "attributes: {p: [{metadata: x-p}]}\n" + reads +
           "rules:\n  - {name: a, capability: c, match: {p: [\"*\"]}, stage: off}\n  - {name: b, capability: c, stage: off}"},
      {"two attributes that cross without covering",
       tenants + "attributes: {p: [{metadata: x-p}], q: [{metadata: x-q}]}\n" + reads +
           "rules:\n  - {name: a, capability: c, match: {p: [x]}, stage: off}\n  - {name: b, capability: c, match: {q: [y]}, stage: off}\n"
           "  - {name: d, capability: c, match: {p: [x, z], q: [y, z]}, stage: off}"},
      {"none needs no source of tenants", reads + "rules: [{name: a, capability: c, tenants: [none], stage: off}]"},
      {"a method named in one capability and taken by a star in another",
       "capabilities:\n  c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}\n  d: {legacy: policy-legacy, new: policy-new, writes: [\"s.S/*\"]}"},
      {"shadow of 0 % where new owns and nothing feeds legacy",
       tenants + reads + "rules: [{name: a, capability: c, tenants: [x], stage: live, reads: {shadow: {percent: 0}}}]"},
      {"a shadow on new where new owns but legacy is fed",
       tenants + "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], staleness: 1s, reverse_replication: external}}\n"
                 "rules: [{name: a, capability: c, tenants: [x], stage: live, reads: {serve: legacy, shadow: {percent: 100}}}]"},
      {"reverse_replication none and absent are alike",
       "capabilities:\n  c: {data: d, legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}\n"
       "  d: {data: d, legacy: policy-legacy, new: policy-new, writes: [s.S/Set], reverse_replication: none}"},
      {"a narrowed rule with the same owner as the table",
       tenants + reads + "rules:\n  - {name: a, capability: c, tenants: [x], consumers: [app], stage: live, reads: {shadow: {percent: 0}}}\n"
                         "  - {name: b, capability: c, tenants: [x], stage: complete}"},
      {"capabilities that share no data may differ",
       tenants + "tests: [{name: n, method: s.S/Set, tenant: x, expect: {owner: new}}]\ncapabilities:\n"
                 "  c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get]}\n  d: {legacy: policy-legacy, new: policy-new, writes: [s.S/Set]}\n"
                 "rules: [{name: a, capability: d, tenants: [x], stage: live}]"},
      {"until is the last good day",
       reads + "rules: [{name: a, capability: c, stage: off, until: 2026-07-01}]"},
      {"half of two tenants is one",
       tenants + "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], staleness: 1s}}\n"
                 "rules: [{name: a, capability: c, tenants: [x, y], stage: shadow, reads: {shadow: {percent: 50, by: tenant}}}]"},
      {"one owner for everyone, by metadata that decides nothing",
       "identity: {tenant: [{metadata: x-t}]}\ntests: [{name: n, method: s.S/Set, expect: {owner: new}}]\n"
       "capabilities: {c: {legacy: policy-legacy, new: policy-new, writes: [s.S/Set]}}\nrules: [{name: a, capability: c, stage: live}]"},
      {"a call without a tenant, refused and expected to be",
       tenants + "tests:\n  - {name: n, method: s.S/Set, expect: {refused: FAILED_PRECONDITION}}\n"
                 "  - {name: o, method: s.S/Set, tenant: x, expect: {owner: new}}\n"
                 "capabilities: {c: {legacy: policy-legacy, new: policy-new, writes: [s.S/Set]}}\nrules: [{name: a, capability: c, tenants: [x], stage: live}]"},
  };
  for (const Fine& test : cases) {
    const std::vector<Diagnostic> found = test::diagnose(policy(test.body));
    EXPECT_THAT(found, IsEmpty()) << test.name << ":\n" << text_of(found);
  }
}

TEST(PolicyCheckTest, HundredThousandTenantsAreJudgedAtOnce) {
  std::string body = "identity: {tenant: [{metadata: x-t}], trust_metadata: true}\n"
                     "capabilities: {c: {legacy: policy-legacy, new: policy-new, reads: [s.S/Get], staleness: 1s}}\n"
                     "tenant_groups:\n  all: [";
  for (int i = 0; i < 100'000; ++i) body += (i == 0 ? "" : ", ") + ("tenant-" + std::to_string(i));
  body += "]\nrules:\n";
  for (int i = 0; i < 1000; ++i) {
    body += "  - {name: r" + std::to_string(i) + ", capability: c, tenants: [tenant-" + std::to_string(i) + "], stage: off}\n";
  }
  body += "  - {name: all, capability: c, tenants: [\"group:all\"], stage: off}";
  EXPECT_THAT(test::diagnose(policy(body)), IsEmpty());
}

}  // namespace
}  // namespace ficus
