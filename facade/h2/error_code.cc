#include "facade/h2/error_code.h"

namespace ficus {

std::string_view h2_error_name(std::uint32_t code) noexcept {
  switch (static_cast<H2Error>(code)) {
    case H2Error::kNoError:
      return "NO_ERROR";
    case H2Error::kProtocolError:
      return "PROTOCOL_ERROR";
    case H2Error::kInternalError:
      return "INTERNAL_ERROR";
    case H2Error::kFlowControlError:
      return "FLOW_CONTROL_ERROR";
    case H2Error::kSettingsTimeout:
      return "SETTINGS_TIMEOUT";
    case H2Error::kStreamClosed:
      return "STREAM_CLOSED";
    case H2Error::kFrameSizeError:
      return "FRAME_SIZE_ERROR";
    case H2Error::kRefusedStream:
      return "REFUSED_STREAM";
    case H2Error::kCancel:
      return "CANCEL";
    case H2Error::kCompressionError:
      return "COMPRESSION_ERROR";
    case H2Error::kConnectError:
      return "CONNECT_ERROR";
    case H2Error::kEnhanceYourCalm:
      return "ENHANCE_YOUR_CALM";
    case H2Error::kInadequateSecurity:
      return "INADEQUATE_SECURITY";
    case H2Error::kHttp11Required:
      return "HTTP_1_1_REQUIRED";
  }
  return "unknown error code";
}

}  // namespace ficus
