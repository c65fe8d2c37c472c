#include "facade/wire/grpc_status.h"

#include <gtest/gtest.h>

#include <string>

namespace ficus {
namespace {

TEST(GrpcStatusTest, ReadsEveryCodeAndNothingElse) {
  for (int code = 0; code <= 16; ++code) {
    EXPECT_EQ(parse_grpc_status(std::to_string(code)), static_cast<GrpcCode>(code));
    EXPECT_EQ(grpc_status_text(static_cast<GrpcCode>(code)), std::to_string(code));
  }
  for (const char* bad : {"", "17", "-1", "1x", " 0", "0 ", "999", "00000", "+1"}) {
    EXPECT_EQ(parse_grpc_status(bad), GrpcCode::kUnknown) << '"' << bad << '"';
  }
  EXPECT_EQ(parse_grpc_status(std::nullopt), GrpcCode::kUnknown);
}

TEST(GrpcStatusTest, MapsHttpStatusAsTheDocumentSays) {
  const std::pair<const char*, GrpcCode> rows[] = {
      {"400", GrpcCode::kInternal},    {"401", GrpcCode::kUnauthenticated}, {"403", GrpcCode::kPermissionDenied},
      {"404", GrpcCode::kUnimplemented}, {"429", GrpcCode::kUnavailable},   {"502", GrpcCode::kUnavailable},
      {"503", GrpcCode::kUnavailable}, {"504", GrpcCode::kUnavailable},     {"200", GrpcCode::kUnknown},
      {"500", GrpcCode::kUnknown},     {"", GrpcCode::kUnknown}};
  for (const auto& [http, want] : rows) EXPECT_EQ(grpc_code_of_http(http), want) << http;
}

TEST(GrpcStatusTest, MapsResetsAsTheDocumentSays) {
  EXPECT_EQ(grpc_code_of_reset(0x0), GrpcCode::kInternal);
  EXPECT_EQ(grpc_code_of_reset(0x1), GrpcCode::kInternal);
  EXPECT_EQ(grpc_code_of_reset(0x7), GrpcCode::kUnavailable);
  EXPECT_EQ(grpc_code_of_reset(0x8), GrpcCode::kCancelled);
  EXPECT_EQ(grpc_code_of_reset(0xb), GrpcCode::kResourceExhausted);
  EXPECT_EQ(grpc_code_of_reset(0xc), GrpcCode::kPermissionDenied);
  EXPECT_EQ(grpc_code_of_reset(0x12345), GrpcCode::kInternal);
  EXPECT_EQ(http2_error_name(0x8), "CANCEL");
  EXPECT_EQ(http2_error_name(0xd), "HTTP_1_1_REQUIRED");
  EXPECT_EQ(http2_error_name(0xe), "0xe");
  EXPECT_EQ(http2_error_name(0xffffffff), "0xffffffff");
}

TEST(GrpcStatusTest, MessagesSurviveEncoding) {
  EXPECT_EQ(encode_grpc_message("plain text, 100 ok"), "plain text, 100 ok");
  EXPECT_EQ(encode_grpc_message("50% \n\xc3\xa9~\x7f"), "50%25 %0A%C3%A9~%7F");
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  EXPECT_EQ(decode_grpc_message(encode_grpc_message(every)), every);
}

TEST(GrpcStatusTest, AnEscapeThatIsNoneStaysAsItIs) {
  for (const char* text : {"%", "%4", "100%", "%zz", "%%", "a%0"}) EXPECT_EQ(decode_grpc_message(text), text) << text;
  EXPECT_EQ(decode_grpc_message("%41%4a%4A"), "AJJ");
  EXPECT_EQ(decode_grpc_message("%41"), "A");
}

}  // namespace
}  // namespace ficus
