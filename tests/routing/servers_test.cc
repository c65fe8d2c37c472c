#include "routing/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ficus {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

UpstreamSpec upstream(const std::vector<std::pair<std::string, std::uint16_t>>& endpoints, const std::string& authority = {}) {
  UpstreamSpec spec;
  for (const auto& [host, port] : endpoints) {
    EndpointSpec& endpoint = spec.endpoints.emplace_back();
    endpoint.host = host;
    endpoint.port = port;
  }
  if (!authority.empty()) spec.authority = Text{authority, {}};
  return spec;
}

struct Pair {
  const char* name;
  std::vector<std::pair<std::string, std::uint16_t>> a, b;
  bool equal;
};

TEST(ServersTest, AreEqualWhereEveryHostAndPortIs) {
  const Pair cases[] = {
      {"one and the same", {{"10.0.0.1", 1}}, {{"10.0.0.1", 1}}, true},
      {"another port", {{"10.0.0.1", 1}}, {{"10.0.0.1", 2}}, false},
      {"another host", {{"10.0.0.1", 1}}, {{"10.0.0.2", 1}}, false},
      {"host and port do not run together", {{"a1", 1}}, {{"a", 11}}, false},
      {"another order", {{"a", 1}, {"b", 1}}, {{"b", 1}, {"a", 1}}, true},
      {"one twice", {{"a", 1}, {"a", 1}}, {{"a", 1}}, true},
      {"one more", {{"a", 1}, {"b", 1}}, {{"a", 1}}, false},
      {"a name's case", {{"Policy.INTERNAL", 1}}, {{"policy.internal", 1}}, true},
      {"two names, whatever they resolve to", {{"localhost", 1}}, {{"127.0.0.1", 1}}, false},
      {"IPv6 with and without its gap", {{"2001:db8::1", 1}}, {{"2001:0DB8:0:0:0:0:0:1", 1}}, true},
      {"IPv6: a gap in front", {{"::1", 1}}, {{"0:0:0:0:0:0:0:1", 1}}, true},
      {"IPv6: a gap at the end", {{"fe80::", 1}}, {{"fe80:0:0:0:0:0:0:0", 1}}, true},
      {"IPv6: nothing but a gap", {{"::", 1}}, {{"0::0", 1}}, true},
      {"IPv6: the gap elsewhere", {{"1::2:3", 1}}, {{"1:2::3", 1}}, false},
      {"IPv6: other groups", {{"::1:2", 1}}, {{"::12", 1}}, false},
      {"IPv6 with the last groups in decimal", {{"64:ff9b::192.0.2.33", 1}}, {{"64:ff9b::c000:221", 1}}, true},
      {"IPv4 as IPv6", {{"::ffff:10.0.0.1", 1}}, {{"10.0.0.1", 1}}, true},
      {"IPv4 as IPv6, in groups", {{"::FFFF:a00:1", 1}}, {{"10.0.0.1", 1}}, true},
      {"not every address with an IPv4 tail is one", {{"::10.0.0.1", 1}}, {{"10.0.0.1", 1}}, false},
  };
  for (const Pair& test : cases) {
    EXPECT_EQ(servers_of(upstream(test.a)) == servers_of(upstream(test.b)), test.equal) << test.name;
    EXPECT_EQ(servers_of(upstream(test.b)) == servers_of(upstream(test.a)), test.equal) << test.name << ", the other way";
  }
}

TEST(ServersTest, AuthorityTellsThemApartOnlyWhereItIsAskedFor) {
  const UpstreamSpec none = upstream({{"gw", 1}}), old = upstream({{"gw", 1}}, "old.internal"), fresh = upstream({{"gw", 1}}, "fresh.internal");
  EXPECT_EQ(servers_of(old), servers_of(fresh));
  EXPECT_EQ(servers_of(old), servers_of(none));
  EXPECT_FALSE(virtual_servers_of(old) == virtual_servers_of(fresh));
  EXPECT_FALSE(virtual_servers_of(old) == virtual_servers_of(none));
  EXPECT_EQ(virtual_servers_of(old), virtual_servers_of(upstream({{"GW", 1}}, "Old.Internal")));
  EXPECT_EQ(virtual_servers_of(none), servers_of(none));
}

TEST(ServersTest, DescribeThemAsTheyAreWritten) {
  EXPECT_EQ(describe(servers_of(upstream({}))), "");
  EXPECT_EQ(describe(servers_of(upstream({{"::1", 5}}))), "[::1]:5");
  EXPECT_EQ(describe(servers_of(upstream({{"b", 1}, {"A", 1}}))), "A:1, b:1");
  EXPECT_EQ(describe(servers_of(upstream({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}}))), "a:1, b:1, c:1 and 2 more");
  EXPECT_EQ(describe(virtual_servers_of(upstream({{"gw", 1}}, "old.internal"))), "gw:1 as old.internal");
}

TEST(ServersTest, InBothAndWithoutPartThem) {
  const Servers a = servers_of(upstream({{"a", 1}, {"b", 1}, {"c", 1}})), b = servers_of(upstream({{"d", 1}, {"B", 1}}));
  EXPECT_EQ(in_both(a, b), servers_of(upstream({{"b", 1}})));
  EXPECT_EQ(without(a, b), servers_of(upstream({{"a", 1}, {"c", 1}})));
  EXPECT_THAT(in_both(a, {}), IsEmpty());
  EXPECT_THAT(without(a, {}), SizeIs(3));
}

}  // namespace
}  // namespace ficus
