#include "facade/rpc/call_error.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

TEST(CallErrorTest, EveryEndBecomesTheStatusTheDocumentNames) {
  struct Row {
    StreamEnd end;
    std::uint32_t code;
    const char* detail;
    GrpcCode want;
    const char* want_detail;
  };
  const Row rows[] = {
      {StreamEnd::kReset, NGHTTP2_NO_ERROR, "", GrpcCode::kInternal, "stream reset (NO_ERROR)"},
      {StreamEnd::kReset, NGHTTP2_CANCEL, "", GrpcCode::kCancelled, "stream reset (CANCEL)"},
      {StreamEnd::kReset, NGHTTP2_ENHANCE_YOUR_CALM, "", GrpcCode::kResourceExhausted, "stream reset (ENHANCE_YOUR_CALM)"},
      {StreamEnd::kReset, NGHTTP2_INADEQUATE_SECURITY, "", GrpcCode::kPermissionDenied, "stream reset (INADEQUATE_SECURITY)"},
      {StreamEnd::kNeverProcessed, NGHTTP2_REFUSED_STREAM, "", GrpcCode::kUnavailable, "stream refused"},
      {StreamEnd::kNeverProcessed, NGHTTP2_REFUSED_STREAM, "going away", GrpcCode::kUnavailable, "going away"},
      {StreamEnd::kConnectionLost, NGHTTP2_CANCEL, "connection reset", GrpcCode::kUnavailable, "connection reset"},
      {StreamEnd::kConnectionLost, NGHTTP2_CANCEL, "", GrpcCode::kUnavailable, "connection closed"},
      {StreamEnd::kConnectFailed, NGHTTP2_CONNECT_ERROR, "connection refused", GrpcCode::kUnavailable, "connection refused"},
      {StreamEnd::kFinished, NGHTTP2_NO_ERROR, "", GrpcCode::kInternal, "answer without an end"},
  };
  for (const Row& row : rows) {
    const CallError error = error_of_stream_end(row.end, row.code, row.detail, ErrorOrigin::kNew);
    EXPECT_EQ(error.grpc_code, row.want) << row.want_detail;
    EXPECT_EQ(error.detail, row.want_detail);
    EXPECT_EQ(error.origin, ErrorOrigin::kNew);
  }
}

}  // namespace
}  // namespace ficus
