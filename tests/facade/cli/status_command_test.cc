#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

#include "facade/cli/status_print.h"
#include "facade/cli/text_table.h"
#include "tests/facade/cli/cli_fixture.h"

namespace ficus::test {
namespace {

namespace v1 = control::v1;
using ::testing::HasSubstr;
using ::testing::Not;

using StatusCommandTest = CliTest;

v1::GetStatusResponse parsed(const std::string& json) {
  v1::GetStatusResponse status;
  const auto read = google::protobuf::util::JsonStringToMessage(json, &status);
  EXPECT_TRUE(read.ok()) << read.ToString();
  return status;
}

// A facade in the middle of a migration, with nothing wrong.
v1::GetStatusResponse good() {
  return parsed(R"({
    "process": {"version": "0.1.0", "pid": 4242, "state": "READY", "startedAt": "2026-11-30T10:00:00Z", "now": "2026-11-30T13:12:30Z"},
    "policy": {"name": "insurer", "hash": "3f2a91c04b1d77aa0011", "generation": "7", "loadedAt": "2026-11-30T13:10:00Z", "byAllWorkers": true, "files": ["policy.yaml"]},
    "listeners": [{"kind": "CLEARTEXT", "address": "127.0.0.1:8080"}, {"kind": "TLS", "address": "[::]:8443"}, {"kind": "ADMIN", "address": "127.0.0.1:9901"}],
    "workers": [{"index": 0, "clientConnections": "3"}, {"index": 1, "clientConnections": "4"}],
    "load": {"primaryCalls": "1", "shadowCalls": "2", "comparisonsWaiting": "0"},
    "capabilities": [
      {"name": "inquiry", "legacyUpstream": "old", "newUpstream": "new",
       "rules": [{"name": "acme", "stage": "live", "newReads": {"percentMillionths": 1000000}, "shadowedReads": {}, "writeOwner": "new"},
                 {"name": "pilot", "stage": "canary", "newReads": {"percentMillionths": 2500, "by": "key", "eligible": "400", "in": "3"},
                  "shadowedReads": {"percentMillionths": 100000, "by": "request"}, "writeOwner": "legacy"}],
       "shadows": {"begun": "12", "match": "11", "ignored": "1"}},
      {"name": "address", "shadows": {}}],
    "upstreams": [
      {"name": "old", "endpoints": ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"], "primary": {"healthy": "6"}, "connections": "9"},
      {"name": "new", "endpoints": ["new.internal:443"], "tls": true, "primary": {"healthy": "2"}, "shadow": {"healthy": "2"}}]
  })");
}

TEST(StatusTextTest, IsReadFromTopToBottom) {
  EXPECT_EQ(status_text(good(), false), R"(ficus 0.1.0, pid 4242: ready, up 3 h 12 min
policy     insurer, generation 7, 3f2a91c04b1d, in force for 2 min (2026-11-30 13:10:00 UTC)
listening  cleartext 127.0.0.1:8080, TLS [::]:8443, admin 127.0.0.1:9901
load       7 client connections on 2 workers, 1 call and 2 shadows in flight, 0 comparisons waiting

CAPABILITY  RULE                   STAGE   NEW SERVES                SHADOWED         WRITES OWNED BY
inquiry     acme                   live    100 %                     0 %              new
            pilot                  canary  0.25 % by key (3 of 400)  10 % by request  legacy
address     (none: all to legacy)  -       -                         -                -

SHADOWS OF  BEGUN  MATCH  IGNORED  NOISE  LAG  MISMATCH  INCOMPARABLE  ABANDONED  NOT BEGUN
inquiry        12     11        1      0    0         0             0          0          0

UPSTREAM  ENDPOINTS                            FOR CALLS  FOR SHADOWS       CONNECTIONS  FAILED TO CONNECT  CALLS FAILED
old       10.0.0.1:80, 10.0.0.2:80 and 1 more  3 healthy  no address known            9                  0             0
new       TLS new.internal:443                 1 healthy  1 healthy                   0                  0             0
)");
}

TEST(StatusTextTest, WhatIsWrongComesFirst) {
  v1::GetStatusResponse status = good();
  v1::Reload& reload = *status.mutable_last_reload();
  reload.set_outcome(v1::Reload::REFUSED);
  reload.set_trigger("file_changed");
  reload.mutable_at()->set_seconds(status.process().now().seconds() - 240);
  v1::Diagnostic& diagnostic = *reload.add_diagnostics();
  diagnostic.set_level(v1::Diagnostic::ERROR);
  diagnostic.set_code("P014");
  diagnostic.set_file("policy.yaml");
  diagnostic.set_line(12);
  diagnostic.set_column(5);
  diagnostic.set_message("no upstream named \"nwe\"");
  diagnostic.set_hint("did you mean \"new\"?");
  reload.set_diagnostics_more(3);
  auto& shadows = *status.mutable_capabilities(0)->mutable_shadows();
  shadows.set_mismatch(4);
  for (const auto& [severity, count] : {std::pair("critical", 1), std::pair("major", 0), std::pair("minor", 3)}) {
    auto* added = shadows.add_mismatch_severities();
    added->set_reason(severity);
    added->set_count(static_cast<std::uint64_t>(count));
  }
  shadows.set_abandoned(2);
  auto* reason = shadows.add_abandoned_reasons();
  reason->set_reason("deadline");
  reason->set_count(2);
  status.mutable_upstreams(0)->set_connections(0);
  status.mutable_upstreams(0)->set_connect_failures(7);
  status.mutable_upstreams(1)->mutable_shadow()->clear_healthy();
  status.mutable_upstreams(1)->mutable_shadow()->set_ejected(1);
  const std::string text = status_text(status, false);
  const std::string alarms = text.substr(text.find('\n') + 1, text.find("\npolicy ") - text.find('\n'));
  EXPECT_EQ(alarms,
            "! the last reload was refused 4 min ago: the file and the policy in force differ\n"
            "! upstream old: no connection is open, and 7 attempts failed\n"
            "! upstream new (for shadows): no endpoint is healthy\n"
            "! inquiry: 4 mismatches (1 critical, 3 minor)\n");
  EXPECT_THAT(text, HasSubstr("reload     refused 4 min ago (file_changed); the policy above stays in force\n"
                              "           policy.yaml:12:5: error[P014]: no upstream named \"nwe\" (did you mean "
                              "\"new\"?)\n"
                              "           and 3 more\n"));
  EXPECT_THAT(text, HasSubstr("  inquiry, abandoned: 2 deadline\n"));
  EXPECT_THAT(text, HasSubstr("0.5 ejected")) << "what one of two workers sees";
}

TEST(StatusTextTest, ADrainingFacadeSaysSo) {
  v1::GetStatusResponse status = good();
  status.mutable_process()->set_state(v1::Process::DRAINING);
  EXPECT_THAT(status_text(status, false), HasSubstr(": draining, takes no new calls, up"));
}

TEST(StatusTextTest, ColoursComeOnlyWhereTheyAreAskedFor) {
  v1::GetStatusResponse status = good();
  status.mutable_capabilities(0)->mutable_shadows()->set_mismatch(4);
  EXPECT_THAT(status_text(status, false), Not(HasSubstr("\033")));
  const std::string coloured = status_text(status, true);
  EXPECT_THAT(coloured, HasSubstr("\033[32mready\033[0m"));
  EXPECT_THAT(coloured, HasSubstr("\033[1;31m! inquiry: 4 mismatches\033[0m"));
  // They take no room: without them it is the same text.
  std::string stripped;
  for (std::size_t at = 0; at < coloured.size(); ++at) {
    if (coloured[at] == '\033') {
      at = coloured.find('m', at);
    } else {
      stripped += coloured[at];
    }
  }
  EXPECT_EQ(stripped, status_text(status, false));
}

TEST(StatusTextTest, ATimeIsToldInTheTwoLargestUnits) {
  const struct {
    std::int64_t seconds;
    const char* want;
  } rows[] = {{-5, "up 0 s\n"},      {59, "up 59 s\n"},        {60, "up 1 min\n"},
              {3599, "up 59 min\n"}, {3600, "up 1 h\n"},       {3660, "up 1 h 1 min\n"},
              {86'400, "up 1 d\n"},  {90'000, "up 1 d 1 h\n"}, {86'400 * 30, "up 30 d\n"}};
  for (const auto& row : rows) {
    v1::GetStatusResponse status = good();
    status.mutable_process()->mutable_started_at()->set_seconds(status.process().now().seconds() - row.seconds);
    EXPECT_THAT(status_text(status, false), HasSubstr(row.want)) << row.seconds;
  }
}

TEST(StatusTextTest, WhatAFacadeSaysCannotSteerTheTerminal) {
  v1::GetStatusResponse status = good();
  status.mutable_policy()->set_name("insurer\033[2J");
  status.mutable_upstreams(0)->set_endpoints(0, "host\r\n:80");
  status.mutable_capabilities(0)->mutable_rules(0)->set_name("a\tb");
  const std::string text = status_text(status, false);
  EXPECT_THAT(text, HasSubstr("insurer\\x1b[2J"));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, HasSubstr("a\\x09b"));
}

TEST(StatusTextTest, OfAnEmptyStatusNothingIsInvented) {
  const std::string text = status_text({}, false);
  EXPECT_THAT(text, Not(HasSubstr("!")));
  EXPECT_THAT(text, Not(HasSubstr("SHADOWS")));
  EXPECT_THAT(text, Not(HasSubstr("CAPABILITY"))) << "a table's head with nothing below it";
}

TEST(StatusJsonTest, IsTheProtobufMappingWithEveryFieldThere) {
  const std::string json = status_json(good());
  EXPECT_THAT(json, HasSubstr("\"byAllWorkers\": true"));
  EXPECT_THAT(json, HasSubstr("\"mismatch\": \"0\"")) << "what is zero is left out";
  EXPECT_EQ(parsed(json).SerializeAsString(), good().SerializeAsString());
}

TEST(TextTableTest, ColumnsAreAsWideAsCharactersAndLinesEndWithoutBlanks) {
  TextTable table({"NAME", "N", "M"}, 1);
  table.row({{"prüfen"}, {"1"}, {"22"}});
  table.row({{"x"}, {"333"}, {""}});
  EXPECT_EQ(table.print([](const std::string& head) { return "<" + head + ">"; }),
            "<NAME      N   M>\n"
            "prüfen    1  22\n"
            "x       333\n");
}

TEST_F(StatusCommandTest, WhereNothingListensItSaysWhatToDoAndEndsWithTwo) {
  const CommandResult result = run({"status", "--control", path("absent.sock")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("ficus status: nothing listens at " + path("absent.sock")));
  EXPECT_THAT(result.err, HasSubstr("hint: start the facade with `ficus serve --control "));
  write("file.sock", "no socket");
  EXPECT_EQ(run({"status", "--control", path("file.sock")}).exit_code, 2);
}

TEST_F(StatusCommandTest, WrongArgumentsAreRefusedInWords) {
  const struct {
    std::vector<std::string> words;
    const char* want;
  } rows[] = {{{"status", "--control", ""}, "--control: \"\" is not allowed; give a Unix socket's path"},
              {{"status", "--control", "unix-abstract:x"}, "abstract name"},
              {{"status", "--control", std::string(200, 'x')}, "too long for a Unix socket"},
              {{"status", "--timeout", "soon"}, "--timeout: \"soon\" is not allowed"},
              {{"status", "now"}, "now"}};
  for (const auto& row : rows) {
    const CommandResult result = run(row.words);
    EXPECT_EQ(result.exit_code, 2) << row.want;
    EXPECT_THAT(result.err, HasSubstr(row.want));
  }
}

TEST_F(StatusCommandTest, HelpNamesItsDefaultSocketAndItsExitCodes) {
  const CommandResult result = run({"status", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("/run/ficus/control.sock"));
  EXPECT_THAT(result.out, HasSubstr("Exit codes:"));
}

}  // namespace
}  // namespace ficus::test
