#include "facade/rpc/call_error.h"

#include <gtest/gtest.h>

#include "facade/h2/error_code.h"

namespace ficus {
namespace {

TEST(CallErrorTest, EveryEndBecomesTheStatusTheDocumentNames) {
  struct Row {
    StreamEnd end;
    H2Error code;
    const char* detail;
    GrpcCode want;
    const char* want_detail;
  };
  const Row rows[] = {
      {StreamEnd::kReset, H2Error::kNoError, "", GrpcCode::kInternal, "stream reset (NO_ERROR)"},
      {StreamEnd::kReset, H2Error::kCancel, "", GrpcCode::kCancelled, "stream reset (CANCEL)"},
      {StreamEnd::kReset, H2Error::kEnhanceYourCalm, "", GrpcCode::kResourceExhausted, "stream reset (ENHANCE_YOUR_CALM)"},
      {StreamEnd::kReset, H2Error::kInadequateSecurity, "", GrpcCode::kPermissionDenied, "stream reset (INADEQUATE_SECURITY)"},
      {StreamEnd::kNeverProcessed, H2Error::kRefusedStream, "", GrpcCode::kUnavailable, "stream refused"},
      {StreamEnd::kNeverProcessed, H2Error::kRefusedStream, "going away", GrpcCode::kUnavailable, "going away"},
      {StreamEnd::kConnectionLost, H2Error::kCancel, "connection reset", GrpcCode::kUnavailable, "connection reset"},
      {StreamEnd::kConnectionLost, H2Error::kCancel, "", GrpcCode::kUnavailable, "connection closed"},
      {StreamEnd::kHeadTooLarge, H2Error::kRefusedStream, "header list larger than the upstream takes",
       GrpcCode::kResourceExhausted, "header list larger than the upstream takes"},
      {StreamEnd::kConnectFailed, H2Error::kConnectError, "connection refused", GrpcCode::kUnavailable, "connection refused"},
      {StreamEnd::kFinished, H2Error::kNoError, "", GrpcCode::kInternal, "answer without an end"},
  };
  for (const Row& row : rows) {
    const CallError error = error_of_stream_end(row.end, static_cast<std::uint32_t>(row.code), row.detail, ErrorOrigin::kNew);
    EXPECT_EQ(error.grpc_code, row.want) << row.want_detail;
    EXPECT_EQ(error.detail, row.want_detail);
    EXPECT_EQ(error.origin, row.end == StreamEnd::kHeadTooLarge ? ErrorOrigin::kFacade : ErrorOrigin::kNew);
  }
}

}  // namespace
}  // namespace ficus
