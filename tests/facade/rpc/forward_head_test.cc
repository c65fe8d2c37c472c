#include "facade/rpc/forward_head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ficus {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

HeaderBlock block_of(const Fields& fields) {
  HeaderBlock block;
  for (const auto& [name, value] : fields) block.add_copy(name, value, true);
  return block;
}

Fields visible(const HeaderBlock& block) {
  Fields fields;
  for (const auto& field : block.fields()) {
    if (!field.hidden) fields.emplace_back(field.name, field.value);
  }
  return fields;
}

class ForwardHeadTest : public ::testing::Test {
 protected:
  ForwardHead how() {
    ForwardHead h;
    h.upstream = &upstream_;
    h.trace = &trace_;
    h.traceparent = "00-t-s-01";
    return h;
  }
  UpstreamInfo upstream_;
  TraceContext trace_ = [] {
    TraceContext t;
    t.continued = true;
    return t;
  }();
};

TEST_F(ForwardHeadTest, WhatTheClientSentStaysInOrder) {
  const Fields sent = {{":method", "POST"}, {":path", "/s/m"}, {":authority", "a"}, {"te", "trailers"},
                       {"content-type", "application/grpc"}, {"k", "1"}, {"k", "2"}, {"b-bin", "AA=="}, {"cookie", "c"}};
  HeaderBlock head = block_of(sent);
  prepare_forward_head(head, how());
  Fields want = sent;
  want.emplace_back("traceparent", "00-t-s-01");
  EXPECT_EQ(visible(head), want);
}

TEST_F(ForwardHeadTest, TheUpstreamsAuthorityStandsWhereTheClientsStood) {
  upstream_.settings.authority = "policy.internal:443";
  HeaderBlock head = block_of({{":method", "POST"}, {":authority", "facade"}, {":path", "/s/m"}, {"te", "trailers"}});
  prepare_forward_head(head, how());
  EXPECT_EQ(visible(head), (Fields{{":method", "POST"}, {":authority", "policy.internal:443"}, {":path", "/s/m"},
                                   {"te", "trailers"}, {"traceparent", "00-t-s-01"}}));
}

TEST_F(ForwardHeadTest, TheUpstreamsAuthorityStandsInFrontOfMetadataWhereTheClientSentHostOnly) {
  upstream_.settings.authority = "policy.internal";
  HeaderBlock head = block_of({{":method", "POST"}, {":path", "/s/m"}, {"host", "facade"}, {"te", "trailers"}});
  prepare_forward_head(head, how());
  EXPECT_EQ(visible(head), (Fields{{":authority", "policy.internal"}, {":method", "POST"}, {":path", "/s/m"},
                                   {"te", "trailers"}, {"traceparent", "00-t-s-01"}}));
}

TEST_F(ForwardHeadTest, AClientThatNamesNobodyMeansTheUpstream) {
  const std::pair<EndpointSpec, const char*> cases[] = {{EndpointSpec{{}, "policy.internal", 443}, "policy.internal:443"},
                                                        {EndpointSpec{{}, "::1", 80}, "[::1]:80"}};
  for (const auto& [endpoint, want] : cases) {
    upstream_.endpoints = {endpoint};
    HeaderBlock head = block_of({{":method", "POST"}, {":path", "/s/m"}, {"te", "trailers"}});
    prepare_forward_head(head, how());
    EXPECT_EQ(visible(head), (Fields{{":authority", want}, {":method", "POST"}, {":path", "/s/m"},
                                     {"te", "trailers"}, {"traceparent", "00-t-s-01"}}));
    HeaderBlock empty = block_of({{":method", "POST"}, {":authority", ""}, {":path", "/s/m"}});
    prepare_forward_head(empty, how());
    EXPECT_EQ(visible(empty).at(1), (Fields::value_type{":authority", want}));
    HeaderBlock host = block_of({{":method", "POST"}, {":path", "/s/m"}, {"host", "facade"}});
    prepare_forward_head(host, how());
    EXPECT_EQ(visible(host).at(2), (Fields::value_type{"host", "facade"}));
  }
}

TEST_F(ForwardHeadTest, BlanksAtTheEndsOfValuesGo) {
  const Fields sent = {{":method", "POST"}, {":path", "/s/m"}, {":authority", "a"}, {"both", " \ta b\t "}, {"only", " \t"}, {"none", ""}};
  const Fields want = {{":method", "POST"}, {":path", "/s/m"}, {":authority", "a"}, {"both", "a b"}, {"only", ""}, {"none", ""}, {"traceparent", "00-t-s-01"}};
  HeaderBlock head = block_of(sent);
  prepare_forward_head(head, how());
  EXPECT_EQ(visible(head), want);
  HeaderBlock trailers = block_of({{"end", " x "}});
  prepare_forward_trailers(trailers, upstream_, "");
  EXPECT_EQ(visible(trailers), (Fields{{"end", "x"}}));
}

TEST_F(ForwardHeadTest, OwnMetadataOfAClientIsDropped) {
  HeaderBlock head = block_of({{"x-ficus-anything", "1"}, {"x-ficus-shadow", "1"}, {"x-fic", "stays"}});
  prepare_forward_head(head, how());
  EXPECT_EQ(visible(head), (Fields{{"x-fic", "stays"}, {"traceparent", "00-t-s-01"}}));
}

TEST_F(ForwardHeadTest, TheMarkerPassesWhereItHolds) {
  HeaderBlock head = block_of({{"x-ficus-shadow", "1"}});
  ForwardHead h = how();
  h.marked = true;
  prepare_forward_head(head, h);
  EXPECT_EQ(head.find("x-ficus-shadow"), "1");
}

TEST_F(ForwardHeadTest, AShadowLegIsMarkedOnce) {
  HeaderBlock head = block_of({{"x-ficus-shadow", "nonsense"}});
  ForwardHead h = how();
  h.mark = true;
  prepare_forward_head(head, h);
  EXPECT_EQ(visible(head), (Fields{{"traceparent", "00-t-s-01"}, {"x-ficus-shadow", "1"}}));
}

TEST_F(ForwardHeadTest, ConnectionLevelFieldsAreDropped) {
  HeaderBlock head = block_of({{"connection", "close"}, {"keep-alive", "1"}, {"proxy-connection", "x"},
                               {"transfer-encoding", "chunked"}, {"upgrade", "h2c"}, {"te", "trailers"}});
  prepare_forward_head(head, how());
  EXPECT_EQ(visible(head), (Fields{{"te", "trailers"}, {"traceparent", "00-t-s-01"}}));
}

TEST_F(ForwardHeadTest, TheTimeoutIsWhatIsLeft) {
  HeaderBlock head = block_of({{"grpc-timeout", "10S"}});
  ForwardHead h = how();
  h.timeout = std::chrono::milliseconds(9500);
  prepare_forward_head(head, h);
  EXPECT_EQ(head.find("grpc-timeout"), "9500000u");
}

TEST_F(ForwardHeadTest, TracestateGoesWithTheTraceItCameWith) {
  HeaderBlock kept = block_of({{"traceparent", "old"}, {"tracestate", "a=1"}});
  prepare_forward_head(kept, how());
  EXPECT_EQ(visible(kept), (Fields{{"traceparent", "00-t-s-01"}, {"tracestate", "a=1"}}));
  trace_.continued = false;
  HeaderBlock dropped = block_of({{"traceparent", "broken"}, {"tracestate", "a=1"}});
  prepare_forward_head(dropped, how());
  EXPECT_EQ(visible(dropped), (Fields{{"traceparent", "00-t-s-01"}}));
}

TEST_F(ForwardHeadTest, TheUpstreamsMetadataIsSetAndRemoved) {
  upstream_.metadata_set = {{"x-api-key", "secret"}, {"traceparent-not", "v"}};
  upstream_.metadata_remove = {"cookie"};
  HeaderBlock head = block_of({{"cookie", "a"}, {"x-api-key", "forged"}, {"cookie", "b"}});
  prepare_forward_head(head, how());
  EXPECT_FALSE(head.find("cookie"));
  EXPECT_EQ(head.find("x-api-key"), "secret");
  for (const auto& field : head.fields()) {
    if (!field.hidden && field.name == "x-api-key") {
      EXPECT_TRUE(field.never_index) << "a secret entered the table";
    }
  }
}

TEST_F(ForwardHeadTest, TheOverrideIsAlwaysRemoved) {
  HeaderBlock head = block_of({{"x-side", "new;token"}, {"x-side", "legacy"}});
  ForwardHead h = how();
  h.override_metadata = "x-side";
  prepare_forward_head(head, h);
  EXPECT_FALSE(head.find("x-side"));
}

TEST_F(ForwardHeadTest, WhatAClientMayNotSayInItsHeadItMayNotSayInItsTrailers) {
  HeaderBlock trailers = block_of({{"x-end", "mine"}, {"x-forwarded-client-cert", "Hash=forged"}, {"x-ficus-shadow", "1"},
                                   {"host", "elsewhere"}, {"x-side", "new;token"}, {"x-api-key", "forged"}, {"cookie", "c"}});
  upstream_.metadata_set = {{"x-api-key", "ours"}};
  upstream_.metadata_remove = {"cookie"};
  prepare_forward_trailers(trailers, upstream_, "x-side");
  EXPECT_EQ(visible(trailers), (Fields{{"x-end", "mine"}}));
}

}  // namespace
}  // namespace ficus
