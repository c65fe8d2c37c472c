#include "facade/rpc/forward_head.h"

#include <algorithm>

#include "facade/wire/grpc_timeout.h"

namespace ficus {
namespace {

// RFC 9113 8.2.2: fields that speak of one connection. nghttp2 refuses them on arrival; this holds should it not.
bool connection_level(std::string_view name) {
  return name == "connection" || name == "keep-alive" || name == "proxy-connection" || name == "transfer-encoding" ||
         name == "upgrade";
}

}  // namespace

void prepare_forward_head(HeaderBlock& head, const ForwardHead& how) {
  for (HeaderBlock::Field& field : head.fields()) {
    if (field.hidden || field.name.empty() || field.name[0] == ':') continue;
    switch (field.name[0]) {
      case 'x':
        if (field.name.starts_with(kOwnPrefix) && !(how.marked && field.name == kShadowMarker)) field.hidden = true;
        break;
      case 't':
        // A tracestate belongs to the traceparent it came with (Trace Context 3.3): none was valid, so it goes.
        if (field.name == "tracestate" && !how.trace->continued) field.hidden = true;
        if (connection_level(field.name)) field.hidden = true;
        break;
      case 'c':
      case 'k':
      case 'p':
      case 'u':
        if (connection_level(field.name)) field.hidden = true;
        break;
      default:
        break;
    }
    if (!how.override_metadata.empty() && field.name == how.override_metadata) field.hidden = true;
  }
  for (const std::string& name : how.upstream->metadata_remove) head.remove(name);
  if (how.timeout) head.set("grpc-timeout", format_grpc_timeout(*how.timeout));
  head.set("traceparent", how.traceparent);
  if (how.mark) {
    head.remove(kShadowMarker);
    head.add_static(kShadowMarker, "1");
  }
  for (const auto& [name, value] : how.upstream->metadata_set) {
    head.remove(name);
    // A secret must not enter a compression table that other calls' metadata share (RFC 7541 7.1.3).
    head.add_copy(name, value, true);
    head.fields().back().never_index = true;
  }
}

}  // namespace ficus
