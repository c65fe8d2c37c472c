// What a policy says of an upstream arrives at the transport, split over the workers where it is a limit.
#include "facade/rpc/upstream_targets.h"

#include <gtest/gtest.h>

#include "facade/net/upstream_target.h"
#include "routing/route_table.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;

TEST(UpstreamTargetsTest, LimitsAreSplitOverTheWorkersAndRoundedUp) {
  UpstreamInfo info;
  info.max_concurrent_requests = 10;
  info.settings.max_pending = 7;
  info.settings.max_connections = 3;
  const UpstreamTarget target = target_of(info, 4);
  EXPECT_EQ(target.max_concurrent_requests, 3u);
  EXPECT_EQ(target.max_pending, 2u);
  EXPECT_EQ(target.max_connections, 1u);
}

TEST(UpstreamTargetsTest, EverySettingArrives) {
  UpstreamInfo info;
  info.name = "policy-new";
  info.endpoints.resize(2);
  info.endpoints[0].host = "one.test";
  info.endpoints[0].port = 1;
  info.endpoints[1].host = "127.0.0.1";
  info.endpoints[1].port = 2;
  info.connect_timeout = milliseconds(123);
  info.settings.balance = Balance::kRoundRobin;
  info.settings.health_check = HealthCheckSettings{"a.B", milliseconds(11), milliseconds(12), 4, 5};
  info.settings.outlier = OutlierSettings{};
  info.settings.outlier->consecutive = 3;
  info.settings.outlier->on = GrpcCodeSet{GrpcCode::kUnavailable};
  info.settings.outlier->on.add(GrpcCode::kInternal);
  info.settings.outlier->eject = milliseconds(13);
  info.settings.outlier->max_percent = 34;
  info.settings.slow_start = milliseconds(14);
  info.settings.keepalive = KeepaliveSettings{milliseconds(15), milliseconds(16), true};
  info.settings.idle_timeout = milliseconds(17);
  info.settings.authority = "policy.internal";
  const UpstreamTarget target = target_of(info, 1);
  EXPECT_EQ(target.name, "policy-new");
  ASSERT_EQ(target.endpoints.size(), 2u);
  EXPECT_EQ(to_string(target.endpoints[0]), "one.test:1");
  EXPECT_EQ(target.connect_timeout, milliseconds(123));
  EXPECT_EQ(target.balance.kind, BalanceSettings::Kind::kRoundRobin);
  ASSERT_TRUE(target.health_check);
  EXPECT_EQ(target.health_check->service, "a.B");
  EXPECT_EQ(target.health_check->interval, milliseconds(11));
  EXPECT_EQ(target.health_check->timeout, milliseconds(12));
  EXPECT_EQ(target.health_check->healthy_threshold, 4u);
  EXPECT_EQ(target.health_check->unhealthy_threshold, 5u);
  ASSERT_TRUE(target.balance.outlier);
  EXPECT_EQ(target.balance.outlier->consecutive_failures, 3u);
  EXPECT_EQ(target.balance.outlier->failure_statuses, 1u << 14 | 1u << 13);
  EXPECT_EQ(target.balance.outlier->base_ejection, milliseconds(13));
  EXPECT_EQ(target.balance.outlier->max_ejected_percent, 34u);
  EXPECT_EQ(target.balance.slow_start, milliseconds(14));
  EXPECT_EQ(target.connection.keepalive_interval, milliseconds(15));
  EXPECT_EQ(target.connection.keepalive_timeout, milliseconds(16));
  EXPECT_TRUE(target.connection.keepalive_without_calls);
  EXPECT_EQ(target.connection.idle_timeout, milliseconds(17));
  EXPECT_EQ(target.authority, "policy.internal");
}

TEST(UpstreamTargetsTest, WhatThePolicyLeavesOutIsOff) {
  const UpstreamTarget target = target_of(UpstreamInfo{}, 1);
  EXPECT_EQ(target.balance.kind, BalanceSettings::Kind::kLeastRequest);
  EXPECT_FALSE(target.health_check);
  EXPECT_FALSE(target.balance.outlier);
  EXPECT_EQ(target.balance.slow_start.count(), 0);
  EXPECT_EQ(target.connection.keepalive_interval.count(), 0);
  EXPECT_EQ(target.connection.idle_timeout.count(), 0);
}

}  // namespace
}  // namespace ficus
