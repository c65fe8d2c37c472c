// W110: two sides that are one. Where it stands in a file: testdata/policies/invalid/checked/same_servers.yaml.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/diagnostic_codes.h"
#include "tests/routing/check_fixture.h"

namespace ficus {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two upstreams as given, and capabilities.
std::vector<Diagnostic> found(const std::string& legacy, const std::string& fresh, const std::string& capabilities) {
  return test::diagnose("apiVersion: ficus/v1\nname: t\nupstreams:\n  old: " + legacy + "\n  fresh: " + fresh +
                        "\ncapabilities:\n" + capabilities + "ownership_epoch: 1\n");
}

const std::string kBetween = "  c: {legacy: old, new: fresh, reads: [s.S/Get], writes: [s.S/Set]}\n";

std::vector<std::string> lines(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : diagnostics) lines.push_back(to_string(diagnostic));
  return lines;
}

TEST(PolicyServersTest, TwoUpstreamsOfTheSameServersAreSaidOnceForAllTheirCapabilities) {
  const std::vector<Diagnostic> both = found("{endpoints: [\"a:1\", \"b:1\"]}", "{endpoints: [\"b:1\", \"a:1\"]}",
                                             kBetween + "  d: {legacy: fresh, new: old, reads: [s.S/List]}\n"
                                                        "  e: {legacy: old, new: fresh, reads: [s.S/Find]}\n");
  ASSERT_EQ(both.size(), 1u) << ::testing::PrintToString(lines(both));
  EXPECT_EQ(both[0].level, DiagnosticLevel::kWarning);
  EXPECT_EQ(both[0].yaml_path, "upstreams.fresh.endpoints");
  EXPECT_THAT(to_string(both[0]), HasSubstr("t.yaml:5:23: warning[W110]: upstream \"fresh\" leads to the same servers as \"old\" "
                                            "(line 4), a:1, b:1, and they are the two sides of capability \"c\" and 2 more"));
  EXPECT_THAT(both[0].hint, HasSubstr("its own endpoints"));
}

TEST(PolicyServersTest, OneUpstreamOnBothSidesIsSaidOfEachCapability) {
  const std::vector<Diagnostic> each =
      found("{endpoints: [\"a:1\"]}", "{endpoints: [\"b:1\"]}",
            "  c: {legacy: old, new: old, reads: [s.S/Get]}\n  d: {legacy: old, new: old, writes: [s.S/Set]}\n");
  ASSERT_EQ(each.size(), 2u) << ::testing::PrintToString(lines(each));
  EXPECT_EQ(each[0].yaml_path, "capabilities.c.new");
  EXPECT_EQ(each[0].code, codes::kSameServers.code);
  EXPECT_THAT(each[1].message, HasSubstr("capability \"d\" names upstream \"old\" both legacy and new"));
}

struct Silent {
  const char* name;
  const char* legacy;
  const char* fresh;
};

TEST(PolicyServersTest, SidesThatCanBeToldApartAreNotSpokenOf) {
  const Silent cases[] = {
      {"servers of their own", "{endpoints: [\"a:1\"]}", "{endpoints: [\"b:1\"]}"},
      {"another port of one host", "{endpoints: [\"a:1\"]}", "{endpoints: [\"a:2\"]}"},
      {"one server in common", "{endpoints: [\"a:1\", \"b:1\"]}", "{endpoints: [\"a:1\", \"c:1\"]}"},
      {"one side within the other", "{endpoints: [\"a:1\"]}", "{endpoints: [\"a:1\", \"b:1\"]}"},
      {"one gateway that goes by authority", "{endpoints: [\"a:1\"], authority: old.internal}",
       "{endpoints: [\"a:1\"], authority: fresh.internal}"},
      {"one gateway, and one side goes by the client's authority", "{endpoints: [\"a:1\"]}",
       "{endpoints: [\"a:1\"], authority: fresh.internal}"},
  };
  for (const Silent& test : cases) EXPECT_THAT(lines(found(test.legacy, test.fresh, kBetween)), IsEmpty()) << test.name;
}

TEST(PolicyServersTest, WhatNoCapabilityMigratesBetweenMayBeEqual) {
  const std::string third = "{endpoints: [\"b:1\"]}\n  other: {endpoints: [\"a:1\"]}";
  EXPECT_THAT(lines(found("{endpoints: [\"a:1\"]}", third, kBetween + "  d: {legacy: other, new: fresh, reads: [s.S/List]}\n")),
              IsEmpty())
      << "two names for one legacy";
}

TEST(PolicyServersTest, AnUpstreamThatDoesNotExistIsNotCalledTheSameAsItself) {
  for (const Diagnostic& diagnostic :
       found("{endpoints: [\"a:1\"]}", "{endpoints: [\"b:1\"]}", "  c: {legacy: odl, new: odl, reads: [s.S/Get]}\n")) {
    EXPECT_EQ(diagnostic.code, codes::kUnknownUpstream.code);
  }
}

}  // namespace
}  // namespace ficus
