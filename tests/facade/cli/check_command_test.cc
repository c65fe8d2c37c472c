#include "tests/facade/cli/cli_fixture.h"

namespace ficus {
namespace {

class CheckCommandTest : public test::CliTest {};
using test::holds;

constexpr std::string_view kGood = R"(apiVersion: ficus/v1
name: good
upstreams:
  old: {endpoints: ["127.0.0.1:1"]}
  fresh: {endpoints: ["127.0.0.1:2"]}
default_upstream: old
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get]}
rules:
  - {name: r, capability: a, stage: off, until: 2026-12-31}
ownership_epoch: 1
)";

std::string bad_policy() {
  std::string text(kGood);
  text.replace(text.find("default_upstream: old"), 21, "default_upstream: odl");
  text.replace(text.find("new: fresh"), 10, "new: frehs");
  return text;
}

TEST_F(CheckCommandTest, CleanPolicyIsOk) {
  const auto result = run({"check", write("p.yaml", kGood)});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_EQ(result.out, path("p.yaml") + ": ok\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(CheckCommandTest, PrintsEveryDiagnosticOfEveryFile) {
  const std::string good = write("good.yaml", kGood);
  const std::string bad = write("bad.yaml", bad_policy());
  const auto result = run({"check", bad, good});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(holds(result.out, bad + ":6:")) << result.out;
  EXPECT_TRUE(holds(result.out, "\"odl\"")) << result.out;
  EXPECT_TRUE(holds(result.out, "\"frehs\"")) << result.out;
  EXPECT_TRUE(holds(result.out, "did you mean \"fresh\"?")) << result.out;
  EXPECT_TRUE(holds(result.out, bad + ": 2 errors\n")) << result.out;
  EXPECT_TRUE(holds(result.out, good + ": ok\n")) << result.out;
}

TEST_F(CheckCommandTest, WarningsDoNotFail) {
  const auto result = run({"check", write("p.yaml", kGood), "--today", "2027-01-01"});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_TRUE(holds(result.out, "warning[")) << result.out;
  EXPECT_TRUE(holds(result.out, ": ok, 1 warning\n")) << result.out;
}

TEST_F(CheckCommandTest, TodayIsTheLastGoodDayOfUntil) {
  const std::string policy = write("p.yaml", kGood);
  EXPECT_FALSE(holds(run({"check", policy, "--today", "2026-12-31"}).out, "warning"));
  EXPECT_TRUE(holds(run({"check", "--today", "2027-01-01", policy}).out, "warning"));
}

TEST_F(CheckCommandTest, JsonIsOneArrayWithAnObjectAFile) {
  const std::string good = write("good.yaml", kGood);
  const std::string bad = write("bad.yaml", bad_policy());
  const auto result = run({"check", "--format", "json", good, bad});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(result.out.starts_with("[{\"file\":\"" + good + "\",\"ok\":true,\"diagnostics\":[]},{\"file\":\"" + bad +
                                     "\",\"ok\":false,\"diagnostics\":[{\"code\":\"P"))
      << result.out;
  EXPECT_TRUE(holds(result.out, "\"level\":\"error\",\"file\":\"" + bad + "\",\"line\":6,\"column\":19,")) << result.out;
  EXPECT_TRUE(holds(result.out, "\"path\":\"default_upstream\"")) << result.out;
  EXPECT_TRUE(result.out.ends_with("}]}]\n")) << result.out;
}

TEST_F(CheckCommandTest, SaysWhatToDoAboutAFileThatCannotBeRead) {
  const std::pair<std::string, std::string> table[] = {
      {"/nonexistent/policy.yaml", "no such file (check the name)"},
      {"no-such-policy.yaml", "no such file (check the name; it is sought from /"},
      {"/", "is a directory (name a regular file)"},
      {"/dev/null", "is a device, not a regular file (name a regular file)"},
      {"", "the name of the policy's file is empty (name a file"},
  };
  for (const auto& [file, want] : table) {
    const auto result = run({"check", file});
    EXPECT_EQ(result.exit_code, 2) << file;
    EXPECT_TRUE(holds(result.out, "error[P200]") && holds(result.out, want)) << result.out;
  }
}

TEST_F(CheckCommandTest, AMisspeltCommandIsNamed) {
  const auto result = run({"chekc", "p.yaml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(holds(result.err, "there is no command \"chekc\"")) << result.err;
}

TEST_F(CheckCommandTest, AMisspeltWordComesWithTheRightOne) {
  EXPECT_TRUE(holds(run({"chekc", "p.yaml"}).err, "did you mean \"check\"?"));
  for (const char* flag : {"--fromat", "--fromat=json"}) {
    const auto result = run({"check", "p.yaml", flag});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_TRUE(holds(result.err, "there is no flag \"--fromat\": did you mean \"--format\"?")) << result.err;
  }
  const auto result = run({"check", "p.yaml", "--nothing-like-it"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(holds(result.err, "there is no flag \"--nothing-like-it\"\n")) << result.err;
}

TEST_F(CheckCommandTest, UnreadableFileIsExitTwo) {
  const auto missing = run({"check", path("absent.yaml")});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_TRUE(holds(missing.out, path("absent.yaml"))) << missing.out;
  EXPECT_EQ(run({"check", dir_.string()}).exit_code, 2) << "a directory";
  EXPECT_EQ(run({"check", write("bad.yaml", bad_policy()), path("absent.yaml")}).exit_code, 2)
      << "beside a policy with errors too";
  EXPECT_EQ(run({"check", write("empty.yaml", "")}).exit_code, 1) << "it can be read, and is wrong";
}

TEST_F(CheckCommandTest, WrongArgumentsAreExitTwo) {
  const std::string policy = write("p.yaml", kGood);
  const std::vector<std::vector<std::string>> wrong = {
      {"check"},
      {"check", policy, "--format", "xml"},
      {"check", policy, "--today", "tomorrow"},
      {"check", policy, "--today", "2026-02-30"},
      {"check", policy, "--nonsense"},
      {"chekc", policy},
      {},
  };
  for (const auto& arguments : wrong) {
    const auto result = run(arguments);
    EXPECT_EQ(result.exit_code, 2) << (arguments.empty() ? "nothing" : arguments.back());
    EXPECT_NE(result.err, "");
  }
}

TEST_F(CheckCommandTest, AWrongValueIsNamedWithItsFlagAndWhatIsAllowed) {
  const std::string policy = write("p.yaml", kGood);
  const std::pair<std::vector<std::string>, const char*> rows[] = {
      {{"--format", "xml"}, "--format: \"xml\" is not allowed; give text or json\n"},
      {{"--format", "jsno"}, "--format: \"jsno\" is not allowed; give text or json (did you mean \"json\"?)\n"},
      {{"--format", "1"}, "--format: \"1\" is not allowed; give text or json\n"},
      {{"--today", "tomorrow"}, "--today: \"tomorrow\" is not allowed; give YYYY-MM-DD, as 2027-07-01\n"},
      {{"--today", "2026-02-30"},
       "--today: \"2026-02-30\" is not allowed; give YYYY-MM-DD, as 2027-07-01 (there is no such day)\n"},
  };
  for (const auto& [flags, want] : rows) {
    const auto result = run({"check", policy, flags[0], flags[1]});
    EXPECT_EQ(result.exit_code, 2) << want;
    EXPECT_EQ(result.err.rfind(want, 0), 0u) << result.err << want;
  }
}

TEST_F(CheckCommandTest, HelpHasExamplesAndExitCodes) {
  const auto result = run({"check", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(holds(result.out, "ficus check policies/insurer.yaml"));
  EXPECT_TRUE(holds(result.out, "Exit codes: 0"));
}

TEST_F(CheckCommandTest, ColoursOnlyWhereAsked) {
  const std::string bad = write("bad.yaml", bad_policy());
  EXPECT_FALSE(holds(run({"check", bad}).out, "\033["));
  EXPECT_TRUE(holds(run({"check", bad}, true).out, "\033[1;31merror["));
}

TEST_F(CheckCommandTest, RunsThePolicysOwnTests) {
  std::string text(kGood);
  text.replace(text.find("upstreams:"), 10,
               "tests:\n  - {name: wrong, method: p.S/Get, expect: {serve: new}}\nupstreams:");
  const auto result = run({"check", write("p.yaml", text)});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(holds(result.out, "test \"wrong\"")) << result.out;
}

}  // namespace
}  // namespace ficus
