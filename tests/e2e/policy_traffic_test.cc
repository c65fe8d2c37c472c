// Policies in traffic (POLICY 2 to 5): which side answers whom, what is refused and how, and what ficus changes in the
// metadata. The upstreams answer with the name of their side.
#include <map>

#include "tests/e2e/two_sided_fixture.h"

namespace ficus::e2e {
namespace {

using grpc::StatusCode;
using PolicyTrafficTest = TwoSidedTest;

TEST_F(PolicyTrafficTest, ReadsFollowTheStageOfTheirTenant) {
  start(parts());
  const std::pair<const char*, const char*> table[] = {{"acme", "new"}, {"shady", "legacy"}, {"nobody", "legacy"},
                                                       {"", "legacy"},  {"ACME", "legacy"},  {"acme2", "legacy"}};
  for (const auto& [tenant, side] : table) {
    const UnaryReply reply = get(tenant, "P-1");
    EXPECT_TRUE(reply.status.ok()) << tenant << ": " << reply.status.error_message();
    EXPECT_EQ(reply.message(), side) << tenant;
  }
  EXPECT_TRUE(
      ficus_->wait_metric("ficus_calls_total",
                          {{"capability", "inquiry"}, {"side", "new"}, {"role", "primary"}, {"grpc_status", "OK"}}, 1));
  EXPECT_TRUE(
      ficus_->wait_metric("ficus_tenant_calls_total", {{"tenant", "acme"}, {"stage", "live"}, {"side", "new"}}, 1));
  EXPECT_EQ(ficus_->metrics().sum("ficus_tenant_calls_total", {{"tenant", "nobody"}}), 0) << "labels are not bounded";
}

TEST_F(PolicyTrafficTest, WritesGoToTheirOwnerAlone) {
  start(parts());
  EXPECT_EQ(endorse("acme").message(), "new");
  EXPECT_EQ(endorse("shady").message(), "legacy");
  EXPECT_EQ(endorse("nobody").message(), "legacy");
  EXPECT_EQ(legacy_.calls(), 2u);
  EXPECT_EQ(new_.calls(), 1u) << "a write was repeated";
}

TEST_F(PolicyTrafficTest, AWriteWithoutATenantIsRefusedWhereOwnersDiffer) {
  start(parts());
  const UnaryReply reply = endorse("");
  EXPECT_EQ(reply.status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(reply.status.error_message().find("x-tenant-id"), std::string::npos) << reply.status.error_message();
  EXPECT_EQ(legacy_.calls() + new_.calls(), 0u);
}

TEST_F(PolicyTrafficTest, AMethodInNoCapabilityGoesToTheDefaultUpstreamAsItCame) {
  start(parts());
  for (const char* path : {"/other.v1.Other/Do", "/grpc.health.v1.Health/Check",
                           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_EQ(call(channel_, path, "m", {.metadata = {{"x-tenant-id", "acme"}}}).message(), "legacy") << path;
  }
}

TEST_F(PolicyTrafficTest, ConsumersAndAttributesNarrowARule) {
  TwoSided narrowed = parts();
  narrowed.rules =
      "  - {name: mobile-auto, capability: inquiry, tenants: [shady], consumers: [\"mobile-*\"], match: {product: "
      "[personal-auto]}, "
      "stage: shadow, reads: {serve: new, shadow: {percent: 0}}}\n" +
      kRules;
  start(narrowed);
  EXPECT_EQ(get("shady", "P-1", {{"x-consumer-id", "mobile-ios"}, {"x-product", "personal-auto"}}).message(), "new");
  EXPECT_EQ(get("shady", "P-1", {{"x-consumer-id", "mobile-ios"}, {"x-product", "home"}}).message(), "legacy");
  EXPECT_EQ(get("shady", "P-1", {{"x-consumer-id", "web"}, {"x-product", "personal-auto"}}).message(), "legacy");
  EXPECT_EQ(get("shady", "P-1").message(), "legacy");
  EXPECT_EQ(endorse("shady", {{"x-consumer-id", "mobile-ios"}, {"x-product", "personal-auto"}}).message(), "legacy");
}

// ---- canary by key

TEST_F(PolicyTrafficTest, ACanaryByKeyIsStickyAndNearItsShare) {
  start(parts());
  int on_new = 0;
  constexpr int kKeys = 200;
  for (int i = 0; i < kKeys; ++i) {
    const std::string number = "P-" + std::to_string(i);
    const std::string first = get("pilot", number).message();
    ASSERT_TRUE(first == "legacy" || first == "new");
    EXPECT_EQ(get("pilot", number).message(), first) << number << " flips";
    if (first == "new") ++on_new;
  }
  EXPECT_GT(on_new, kKeys * 20 / 100);
  EXPECT_LT(on_new, kKeys * 40 / 100);
  EXPECT_EQ(metric("ficus_unkeyed_total"), 0);
}

TEST_F(PolicyTrafficTest, TheSideOfAKeyIsTheSameForEveryWorkerAndEveryStart) {
  std::map<std::string, std::string> sides[2];
  for (auto& side : sides) {
    start(parts(), {.workers = 2});
    for (int i = 0; i < 30; ++i) {
      if (i % 5 == 0) channel_ = make_channel(ficus_->address());
      side["P-" + std::to_string(i)] = get("pilot", "P-" + std::to_string(i)).message();
    }
  }
  EXPECT_EQ(sides[0], sides[1]);
}

TEST_F(PolicyTrafficTest, HeadersWaitForTheKeyAndNoLonger) {
  start(parts());
  const auto client = RawH2::connect(ficus_->address());
  const std::uint32_t stream = client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "pilot"}}));
  EXPECT_TRUE(stays([&] { return legacy_.calls() + new_.calls() == 0; })) << "decided without the key";
  const std::string bytes = grpc_frame(get_policy_request("P-1"));
  for (const char byte : bytes) client->send_data(stream, std::string_view(&byte, 1), false);
  EXPECT_TRUE(wait_until([&] { return legacy_.calls() + new_.calls() == 1; })) << "waits for more than the message";
  client->send_data(stream, {}, true);
  ASSERT_TRUE(client->wait_over(stream));
  EXPECT_EQ(find_header(client->stream(stream).blocks.back(), "grpc-status"), "0");
  const std::string served = grpc_frames(client->stream(stream).data).at(0).message;
  EXPECT_EQ(get("pilot", "P-1").message(), served) << "the same key, cut into single bytes, went elsewhere";
  const auto records = served == "new" ? new_.records() : legacy_.records();
  EXPECT_EQ(records.at(0).messages.at(0), get_policy_request("P-1")) << "the message changed while it waited";
}

TEST_F(PolicyTrafficTest, OtherCallsOfTheCapabilityDoNotWaitForAMessage) {
  start(parts());
  const auto client = RawH2::connect(ficus_->address());
  client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "acme"}}));
  EXPECT_TRUE(new_.wait_call(0)) << "a live tenant's headers wait for a key nobody asks for";
  client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "shady"}}));
  EXPECT_TRUE(legacy_.wait_call(0)) << "a shadow's key holds the primary up";
}

TEST_F(PolicyTrafficTest, AKeyBehindFiftyKilobytesIsFoundAndOneBeyondTheLimitIsNot) {
  start(parts());
  // A key that goes to the new side, found by asking.
  std::string number;
  for (int i = 0; i < 100 && number.empty(); ++i) {
    if (get("pilot", "P-" + std::to_string(i)).message() == "new") number = "P-" + std::to_string(i);
  }
  ASSERT_FALSE(number.empty());
  const auto ask = [&](std::size_t padding) {
    return call(channel_, method("GetPolicy"), get_policy_request(number, padding),
                {.metadata = {{"x-tenant-id", "pilot"}}});
  };
  EXPECT_EQ(ask(50000).message(), "new");
  EXPECT_EQ(metric("ficus_unkeyed_total"), 0);
  const std::size_t before = legacy_.calls();
  EXPECT_EQ(ask(300000).message(), "legacy") << "unkeyed calls are served by legacy";
  EXPECT_TRUE(legacy_.wait_ended(before)->messages.at(0) == get_policy_request(number, 300000))
      << "the message changed";
  EXPECT_TRUE(ficus_->wait_metric("ficus_unkeyed_total", {{"capability", "inquiry"}}, 1));
}

TEST_F(PolicyTrafficTest, AKeyInACompressedMessageCountsTheSame) {
  start(parts());
  for (int i = 0; i < 20; ++i) {
    const std::string number = "P-" + std::to_string(i) + std::string(200, 'x');  // worth compressing
    const std::string plain = get("pilot", number).message();
    const UnaryReply zipped = call(channel_, method("GetPolicy"), get_policy_request(number),
                                   {.metadata = {{"x-tenant-id", "pilot"}}, .gzip = true});
    EXPECT_EQ(zipped.message(), plain) << i;
  }
  EXPECT_EQ(metric("ficus_unkeyed_total"), 0);
}

TEST_F(PolicyTrafficTest, AKeyBehindALotThatInflatesFromLittleIsNotSoughtWithoutEnd) {
  start(parts());
  const std::string bomb = get_policy_request("P-1", 32u << 20);  // gzip makes some 32 KB of it
  const std::size_t before = ficus_->peak_memory_bytes();
  const UnaryReply reply =
      call(channel_, method("GetPolicy"), bomb, {.metadata = {{"x-tenant-id", "pilot"}}, .gzip = true});
  EXPECT_EQ(reply.message(), "legacy") << reply.status.error_message();
  EXPECT_TRUE(ficus_->wait_metric("ficus_unkeyed_total", {{"capability", "inquiry"}}, 1));
  if (!kSanitized) {
    EXPECT_LT(ficus_->peak_memory_bytes(), before + (8u << 20));
  }
}

TEST_F(PolicyTrafficTest, AKeyInAnUnknownEncodingIsNone) {
  start(parts());
  const auto client = RawH2::connect(ficus_->address());
  for (const HeaderList& encoding :
       {HeaderList{{"x-tenant-id", "pilot"}, {"grpc-encoding", "snappy"}}, HeaderList{{"x-tenant-id", "pilot"}}}) {
    const std::size_t before = legacy_.calls();
    const std::uint32_t stream = client->open(grpc_request(method("GetPolicy"), encoding));
    client->send_data(stream, grpc_frame("\xff\x06sNaPpY", 1), true);
    EXPECT_TRUE(wait_until([&] { return legacy_.calls() == before + 1; }));
    ASSERT_TRUE(client->wait_over(stream));
  }
  EXPECT_TRUE(ficus_->wait_metric("ficus_unkeyed_total", {{"capability", "inquiry"}}, 2));
}

TEST_F(PolicyTrafficTest, CallsWithoutAKeyAreServedByLegacyAndCounted) {
  start(parts());
  const std::string cases[] = {"", get_policy_request(""), std::string("\x0a\xff\xff", 3), std::string("\x08\x01", 2)};
  for (const std::string& request : cases) {
    EXPECT_EQ(call(channel_, method("GetPolicy"), request, {.metadata = {{"x-tenant-id", "pilot"}}}).message(),
              "legacy");
  }
  ClientCall nothing(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "pilot"}}});
  nothing.writes_done();
  EXPECT_EQ(nothing.read(), "legacy");
  EXPECT_EQ(call(channel_, method("ListPolicies"), "", {.metadata = {{"x-tenant-id", "pilot"}}}).message(), "legacy");
  EXPECT_TRUE(ficus_->wait_metric("ficus_unkeyed_total", {{"capability", "inquiry"}}, 6));
  EXPECT_EQ(new_.calls(), 0u);
}

TEST_F(PolicyTrafficTest, ACallThatEndsWhileItWaitsForItsKeyReachesNobody) {
  start(parts());
  const auto client = RawH2::connect(ficus_->address());
  const std::uint32_t cancelled = client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "pilot"}}));
  client->send_data(cancelled, grpc_frame(get_policy_request("P-1")).substr(0, 7), false);
  client->send_reset(cancelled, kCancel);
  const std::uint32_t late =
      client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "pilot"}, {"grpc-timeout", "200m"}}));
  ASSERT_TRUE(client->wait_over(late)) << "the deadline does not run while the key is awaited";
  EXPECT_EQ(find_header(client->stream(late).blocks.at(0), "grpc-status"), "4");
  EXPECT_EQ(legacy_.calls() + new_.calls(), 0u);
}

// ---- marked calls

TEST_F(PolicyTrafficTest, TheShadowMarkerTakesRightsAwayOnly) {
  start(parts());
  const Metadata marked = {{"x-ficus-shadow", "1"}};
  EXPECT_EQ(get("acme", "P-1", marked).message(), "new") << "a marked read is decided as any other";
  EXPECT_EQ(values_of(new_.records().at(0).metadata, "x-ficus-shadow"), std::vector<std::string>{"1"})
      << "the marker is passed on";
  EXPECT_EQ(get("shady", "P-1", marked).message(), "legacy");
  EXPECT_TRUE(stays([&] { return new_.calls() == 1; })) << "a marked read was shadowed";
  for (const char* tenant : {"acme", "shady"}) {
    EXPECT_EQ(endorse(tenant, marked).status.error_code(), StatusCode::FAILED_PRECONDITION) << tenant;
  }
  EXPECT_EQ(call(channel_, "/other.v1.Other/Do", "m", {.metadata = marked}).status.error_code(),
            StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(begun(), 0);
}

// ---- identity

TEST_F(PolicyTrafficTest, AnIdentityThatIsNotOneCleanValueIsInvalid) {
  start(parts());
  const auto client = RawH2::connect(ficus_->address());
  const HeaderList table[] = {
      {{"x-tenant-id", "acme"}, {"x-tenant-id", "acme"}},
      {{"x-tenant-id", ""}},
      {{"x-tenant-id", std::string(257, 't')}},
      {{"x-tenant-id", "acme,globex"}},
      {{"x-tenant-id", "a\tb"}},
      {{"x-tenant-id", "acme"}, {"x-consumer-id", "a,b"}},                 // no rule asks for consumers
      {{"x-tenant-id", "acme"}, {"x-product", "p"}, {"x-product", "q"}}};  // nor for the product
  for (const HeaderList& extra : table) {
    for (const char* name : {"GetPolicy", "EndorseAddress"}) {
      const std::uint32_t stream = client->open(grpc_request(method(name), extra), true);
      ASSERT_TRUE(client->wait_over(stream));
      EXPECT_EQ(find_header(client->stream(stream).blocks.at(0), "grpc-status"), "3")
          << name << " " << extra.back().second;
    }
  }
  EXPECT_EQ(legacy_.calls() + new_.calls(), 0u);
  EXPECT_EQ(get(std::string(256, 't'), "P-1").message(), "legacy");
  // A method in no capability is nobody's business.
  EXPECT_EQ(call(channel_, "/other.v1.Other/Do", "m", {.metadata = {{"x-tenant-id", "a,b"}}}).message(), "legacy");
}

// ---- overrides and upstream metadata

TEST_F(PolicyTrafficTest, ATesterWithTheTokenForcesAReadAndNobodyElse) {
  TwoSided with_override = parts();
  with_override.inquiry_extra += "    overrides: {metadata: x-side, token: \"file:qa.token\"}\n";
  start(with_override, {.files = {{"qa.token", "s3cret\n"}}});
  EXPECT_EQ(get("shady", "P-1", {{"x-side", "new;s3cret"}}).message(), "new");
  EXPECT_EQ(get("acme", "P-1", {{"x-side", "legacy;s3cret"}}).message(), "legacy");
  EXPECT_EQ(get("shady", "P-1", {{"x-side", "new;wrong"}}).message(), "legacy");
  EXPECT_EQ(get("shady", "P-1", {{"x-side", "new"}}).message(), "legacy");
  EXPECT_EQ(get("shady", "P-1", {{"x-side", "sideways;s3cret"}}).message(), "legacy");
  EXPECT_EQ(get("nobody", "P-1", {{"x-side", "new;s3cret"}}).message(), "legacy") << "honoured in stage off";
  EXPECT_EQ(endorse("shady", {{"x-side", "new;s3cret"}}).message(), "legacy") << "an override moved a write";
  for (const ScriptedUpstream* side : {&legacy_, &new_}) {
    for (const auto& record : side->records()) {
      if (record.path == method("EndorseAddress")) continue;
      EXPECT_TRUE(values_of(record.metadata, "x-side").empty()) << "the override was forwarded";
    }
  }
  EXPECT_TRUE(ficus_->wait_metric("ficus_override_total", {{"capability", "inquiry"}}, 5));
}

TEST_F(PolicyTrafficTest, UpstreamMetadataIsSetAndRemovedOnEveryCallToThatUpstream) {
  TwoSided with_metadata = parts();
  with_metadata.new_extra = ", metadata: {set: {x-api-key: \"file:new.key\", x-plain: words}, remove: [cookie]}";
  start(with_metadata, {.files = {{"new.key", "k3y\n"}}});
  const Metadata sent = {{"cookie", "c=1"}, {"x-api-key", "client's own"}, {"x-kept", "yes"}};
  EXPECT_EQ(get("acme", "P-1", sent).message(), "new");
  EXPECT_EQ(get("shady", "P-1", sent).message(), "legacy");
  ASSERT_TRUE(new_.wait_call(1)) << "no shadow";
  for (const auto& record : new_.records()) {
    EXPECT_EQ(values_of(record.metadata, "x-api-key"), std::vector<std::string>{"k3y"});
    EXPECT_EQ(values_of(record.metadata, "x-plain"), std::vector<std::string>{"words"});
    EXPECT_EQ(values_of(record.metadata, "cookie"), std::vector<std::string>{});
    EXPECT_EQ(values_of(record.metadata, "x-kept"), std::vector<std::string>{"yes"});
  }
  const Metadata at_legacy = legacy_.records().at(0).metadata;
  EXPECT_EQ(values_of(at_legacy, "x-api-key"), std::vector<std::string>{"client's own"});
  EXPECT_EQ(values_of(at_legacy, "cookie"), std::vector<std::string>{"c=1"});
}

// ---- failures name the side

TEST_F(PolicyTrafficTest, ADeadNewSideFailsItsOwnTenantsByNameAndNobodyElse) {
  start(parts());
  new_.stop();
  const UnaryReply live = get("acme", "P-1");
  EXPECT_EQ(live.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(live.status.error_message().rfind("policy-new: ", 0), 0u) << live.status.error_message();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get(i % 2 == 0 ? "shady" : "nobody", "P-1").message(), "legacy");
  EXPECT_TRUE(ficus_->wait_metric("ficus_calls_total",
                                  {{"side", "new"}, {"role", "primary"}, {"grpc_status", "UNAVAILABLE"}}, 1));
}

TEST_F(PolicyTrafficTest, WhatCallersInventMakesNoNewSeries) {
  start(parts());
  const auto visit = [&](int i) {
    const std::string name = "invented-" + std::to_string(i);
    get(name, "P-1", {{"x-consumer-id", name}, {"x-product", name}});
    call(channel_, "/" + name + ".v1.S/" + name, "m");
    call(channel_, method(name), "m");
  };
  for (int i = 0; i < 5; ++i) visit(i);
  const std::size_t before = ficus_->metrics().samples().size();
  for (int i = 5; i < 100; ++i) visit(i);
  EXPECT_TRUE(ficus_->wait_metric("ficus_calls_total", {{"method", "other"}}, 100))
      << ficus_->metrics().print("ficus_calls");
  EXPECT_LE(ficus_->metrics().samples().size(), before + 10);
  EXPECT_EQ(http_get(ficus_->admin(), "/metrics").body.find("invented-"), std::string::npos);
}

TEST_F(PolicyTrafficTest, TheAdminAddressShowsThePolicyInForceWithoutItsSecrets) {
  TwoSided with_metadata = parts();
  with_metadata.new_extra = ", metadata: {set: {x-api-key: \"file:new.key\"}}";
  start(with_metadata, {.files = {{"new.key", "planted-secret-k3y\n"}}});
  const HttpReply policy = http_get(ficus_->admin(), "/policy");
  EXPECT_EQ(policy.status, 200);
  EXPECT_NE(policy.body.find("insurer-test"), std::string::npos) << policy.body;
  EXPECT_NE(policy.body.find("generation"), std::string::npos);
  EXPECT_EQ(policy.body.find("planted-secret-k3y"), std::string::npos);
  EXPECT_EQ(metric("ficus_policy_generation"), 1);
  EXPECT_EQ(metric("ficus_write_owner", {{"capability", "address"}, {"tenant", "acme"}, {"owner", "new"}}), 1);
  EXPECT_EQ(http_get(ficus_->admin(), "/livez").status, 200);
  EXPECT_EQ(http_get(ficus_->admin(), "/nothing-here").status, 404);
}

}  // namespace
}  // namespace ficus::e2e
