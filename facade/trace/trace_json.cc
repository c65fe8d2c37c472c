#include "facade/trace/trace_json.h"

#include <google/protobuf/util/json_util.h>

namespace ficus {

std::optional<std::string> trace_json(const ficus::trace::v1::MismatchTrace& trace) {
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(trace, &json).ok()) return std::nullopt;
  return json;
}

}  // namespace ficus
