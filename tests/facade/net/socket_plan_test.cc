#include "facade/net/socket_plan.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

ListenSocket socket_at(ListenKind kind, const std::string& wanted, const std::string& bound) {
  // Any descriptor: what is planned is not looked at.
  return {kind, *parse_host_port(wanted), *parse_host_port(bound), UniqueFd(::dup(0))};
}
std::vector<ListenSocket> sockets(ListenSocket a) {
  std::vector<ListenSocket> all;
  all.push_back(std::move(a));
  return all;
}
std::string print(const SocketPlan& plan) {
  std::string text;
  for (const ListenSocket& socket : plan.sockets) {
    text += std::string(to_string(socket.kind)) + " " + to_string(socket.wanted) + (socket.fd ? " open; " : "; ");
  }
  return text;
}
SocketFlags flags(std::vector<std::string> listen, const std::string& admin = "127.0.0.1:9901", bool given = false) {
  return {std::move(listen), {}, admin, given};
}

TEST(SocketPlanTest, FlagsBecomeSocketsTheAdminLast) {
  SocketFlags given = flags({"127.0.0.1:1", "[::1]:2"});
  given.tls_listen = {"0.0.0.0:3"};
  const auto plan = plan_sockets(given, {});
  ASSERT_TRUE(plan) << plan.error();
  EXPECT_EQ(print(*plan), "listen 127.0.0.1:1; listen [::1]:2; tls 0.0.0.0:3; admin 127.0.0.1:9901; ");
}

TEST(SocketPlanTest, WhatCannotBeServedIsSaid) {
  const std::tuple<SocketFlags, const char*> rows[] = {
      {flags({}), "nothing to serve on"},
      {flags({"8080"}), "--listen 8080: it has no port; give HOST:PORT"},
      {flags({"127.0.0.1:1"}, "x"), "--admin x: it has no port; give HOST:PORT"},
      {flags({"127.0.0.1:1", "127.0.0.1:1"}), "--listen 127.0.0.1:1 stands twice"},
      {flags({"127.0.0.1:1"}, "127.0.0.1:1"), "--admin 127.0.0.1:1 stands twice"},
  };
  for (const auto& [given, want] : rows) {
    const auto plan = plan_sockets(given, {});
    ASSERT_FALSE(plan) << want;
    EXPECT_NE(plan.error().find(want), std::string::npos) << plan.error();
  }
  EXPECT_TRUE(plan_sockets(flags({"127.0.0.1:0", "127.0.0.1:0"}), {})) << "port 0 is two ports";
}

TEST(SocketPlanTest, InheritedSocketsStandForTheFlagsOfTheirKind) {
  auto listen = plan_sockets(flags({}), sockets(socket_at(ListenKind::kPlain, "127.0.0.1:7", "127.0.0.1:7")));
  ASSERT_TRUE(listen) << listen.error();
  EXPECT_EQ(print(*listen), "listen 127.0.0.1:7 open; admin 127.0.0.1:9901; ");
  auto same =
      plan_sockets(flags({"127.0.0.1:7"}), sockets(socket_at(ListenKind::kPlain, "127.0.0.1:7", "127.0.0.1:7")));
  ASSERT_TRUE(same) << same.error();
  EXPECT_EQ(print(*same), "listen 127.0.0.1:7 open; admin 127.0.0.1:9901; ");
  auto admin =
      plan_sockets(flags({"127.0.0.1:1"}), sockets(socket_at(ListenKind::kAdmin, "127.0.0.1:8", "127.0.0.1:8")));
  ASSERT_TRUE(admin) << admin.error();
  EXPECT_EQ(print(*admin), "listen 127.0.0.1:1; admin 127.0.0.1:8 open; ") << "the default yields to it";
  auto other =
      plan_sockets(flags({"127.0.0.1:9"}), sockets(socket_at(ListenKind::kPlain, "127.0.0.1:7", "127.0.0.1:7")));
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().find("none of the sockets that the service manager passed (127.0.0.1:7)"), std::string::npos)
      << other.error();
  std::vector<ListenSocket> two = sockets(socket_at(ListenKind::kAdmin, "127.0.0.1:7", "127.0.0.1:7"));
  two.push_back(socket_at(ListenKind::kAdmin, "127.0.0.1:8", "127.0.0.1:8"));
  EXPECT_FALSE(plan_sockets(flags({"127.0.0.1:1"}), std::move(two)));
}

TEST(SocketPlanTest, APredecessorsSocketsMatchByWhatWasAskedOrWhereTheyAreBound) {
  const auto offered = [] {
    std::vector<ListenSocket> all = sockets(socket_at(ListenKind::kPlain, "127.0.0.1:0", "127.0.0.1:4000"));
    all.push_back(socket_at(ListenKind::kAdmin, "127.0.0.1:9901", "127.0.0.1:9901"));
    return all;
  };
  for (const char* listen : {"127.0.0.1:0", "127.0.0.1:4000"}) {
    const auto filled = fill_from_predecessor(*plan_sockets(flags({listen}), {}), offered());
    ASSERT_TRUE(filled) << filled.error();
    EXPECT_TRUE(filled->sockets[0].fd && filled->sockets[1].fd);
    EXPECT_EQ(to_string(filled->sockets[0].bound), "127.0.0.1:4000");
  }
  const auto other = fill_from_predecessor(*plan_sockets(flags({"127.0.0.1:1"}), {}), offered());
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().find("--listen 127.0.0.1:1 is no address of the running facade (it has 127.0.0.1:4000)"),
            std::string::npos)
      << other.error();
  const auto more = fill_from_predecessor(*plan_sockets(flags({"127.0.0.1:0", "127.0.0.1:0"}), {}), offered());
  EXPECT_FALSE(more) << "one socket served as two";
  std::vector<ListenSocket> three = offered();
  three.push_back(socket_at(ListenKind::kTls, "127.0.0.1:5", "127.0.0.1:5"));
  const auto fewer = fill_from_predecessor(*plan_sockets(flags({"127.0.0.1:0"}), {}), std::move(three));
  ASSERT_FALSE(fewer);
  EXPECT_NE(fewer.error().find("--tls-listen 127.0.0.1:5"), std::string::npos) << fewer.error();
}

TEST(SocketPlanTest, OpeningBindsWhatIsMissingAndSaysWhatCannotBe) {
  auto plan = plan_sockets(flags({"127.0.0.1:0"}, "127.0.0.1:0", true), {});
  ASSERT_TRUE(plan && open_plan(*plan));
  EXPECT_NE(plan->sockets[0].bound.port, 0);
  auto second = plan_sockets(flags({to_string(plan->sockets[0].bound)}, "127.0.0.1:0", true), {});
  const auto taken = open_plan(*second);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().find("address already in use"), std::string::npos) << taken.error();
}

}  // namespace
}  // namespace ficus
