#include "facade/h2/header_token.h"

#include <gtest/gtest.h>

#include "facade/h2/error_code.h"

namespace ficus {
namespace {

TEST(HeaderTokenTest, EveryNameHasItsTokenAndItsNeighboursHaveNone) {
  using enum HeaderToken;
  const std::pair<const char*, HeaderToken> rows[] = {{":authority", kAuthority},
                                                      {":method", kMethod},
                                                      {":path", kPath},
                                                      {":scheme", kScheme},
                                                      {":status", kStatus},
                                                      {":protocol", kProtocol},
                                                      {"connection", kConnection},
                                                      {"keep-alive", kKeepAlive},
                                                      {"proxy-connection", kProxyConnection},
                                                      {"transfer-encoding", kTransferEncoding},
                                                      {"upgrade", kUpgrade},
                                                      {"te", kTe},
                                                      {"host", kHost},
                                                      {"content-length", kContentLength},
                                                      {"content-type", kContentType},
                                                      {"grpc-timeout", kGrpcTimeout},
                                                      {"grpc-encoding", kGrpcEncoding},
                                                      {"grpc-status", kGrpcStatus},
                                                      {"grpc-message", kGrpcMessage},
                                                      {"grpc-status-details-bin", kGrpcStatusDetails},
                                                      {"grpc-retry-pushback-ms", kGrpcPushback},
                                                      {"traceparent", kTraceparent},
                                                      {"tracestate", kTracestate},
                                                      {"x-forwarded-client-cert", kForwardedClientCert},
                                                      {"authorization", kAuthorization},
                                                      {"proxy-authorization", kProxyAuthorization},
                                                      {"cookie", kCookie},
                                                      {"set-cookie", kSetCookie}};
  for (const auto& [name, token] : rows) {
    EXPECT_EQ(header_token(name), token) << name;
    EXPECT_TRUE(names_one(token)) << name;
    EXPECT_EQ(is_pseudo(token), name[0] == ':') << name;
    const HeaderToken none = name[0] == ':' ? kUnknownPseudo : kOther;
    const std::string text = name;
    EXPECT_EQ(header_token(text + "x"), none) << name;
    EXPECT_EQ(header_token(text.substr(0, text.size() - 1)), none) << name;
    std::string changed = text;
    changed.back() = '#';
    EXPECT_EQ(header_token(changed), none) << name;
    changed = text;
    changed.back() = static_cast<char>(changed.back() - 32);
    EXPECT_EQ(header_token(changed), none) << name;
  }
  EXPECT_EQ(header_token("x-ficus-"), kFicus);
  EXPECT_EQ(header_token("x-ficus-anything-of-any-length"), kFicus);
  EXPECT_EQ(header_token("x-ficu"), kOther);
  EXPECT_EQ(header_token(""), kOther);
  EXPECT_EQ(header_token(":"), kUnknownPseudo);
}

TEST(HeaderTokenTest, OnlyTokenCharactersInLowerCaseMakeAName) {
  for (int c = 0; c < 256; ++c) {
    const char character = static_cast<char>(c);
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(character) != std::string_view::npos);
    for (const std::size_t place : {0u, 1u, 5u, 11u}) {
      std::string name(12, 'n');
      name[place] = character;
      EXPECT_EQ(name_flaws(name), good || (place == 0 && c == ':') ? 0 : field_flaw::kName) << c << " at " << place;
    }
  }
  EXPECT_EQ(name_flaws(""), field_flaw::kName);
  EXPECT_EQ(name_flaws(":"), field_flaw::kName);
  EXPECT_EQ(name_flaws("::a"), field_flaw::kName);
}

TEST(HeaderTokenTest, ControlCharactersButTabAreFlawsOfAValueWhereverTheyStand) {
  for (int c = 0; c < 256; ++c) {
    const bool good = (c >= 0x20 && c != 0x7f) || c == '\t';
    for (const std::size_t length : {1u, 7u, 8u, 9u, 16u, 23u}) {
      for (std::size_t place = 0; place < length; ++place) {
        std::string value(length, ' ');
        value[place] = static_cast<char>(c);
        EXPECT_EQ(value_flaws(value), good ? 0 : field_flaw::kValue) << c << " at " << place << " of " << length;
        EXPECT_EQ(field_flaws("n", value), value_flaws(value));
        value.back() = '\xff';
        value.front() = '\t';
        if (place != 0 && place != length - 1) {
          EXPECT_EQ(value_flaws(value), good ? 0 : field_flaw::kValue) << c;
        }
      }
    }
  }
  EXPECT_EQ(value_flaws(""), 0);
  EXPECT_EQ(field_flaws("N", "\n"), field_flaw::kName | field_flaw::kValue);
}

TEST(H2ErrorTest, NamesEveryCodeOfRfc9113) {
  EXPECT_EQ(h2_error_name(H2Error::kNoError), "NO_ERROR");
  EXPECT_EQ(h2_error_name(H2Error::kCompressionError), "COMPRESSION_ERROR");
  EXPECT_EQ(h2_error_name(H2Error::kHttp11Required), "HTTP_1_1_REQUIRED");
  EXPECT_EQ(h2_error_name(0xe), "unknown error code");
  for (std::uint32_t code = 0; code <= 0xd; ++code) EXPECT_NE(h2_error_name(code), "unknown error code") << code;
}

}  // namespace
}  // namespace ficus
