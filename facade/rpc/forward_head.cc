#include "facade/rpc/forward_head.h"

#include <algorithm>
#include <string>

#include "facade/net/listen_socket.h"
#include "facade/wire/grpc_timeout.h"

namespace ficus {
namespace {

// RFC 9113 8.3.1: a `host` beside it would have to say the same.
void set_authority(HeaderBlock& head, std::string_view authority) {
  constexpr std::string_view kName = ":authority";
  head.remove("host");
  const bool there = head.find(kName).has_value();
  head.set(kName, authority);
  if (there) return;
  // Pseudo-header fields come first.
  HeaderBlock::Fields& fields = head.fields();
  std::rotate(fields.begin(), fields.end() - 1, fields.end());
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

// RFC 9113 8.2.1 calls a value with a blank at an end malformed, and a strict server closes its connection over it, with
// everybody's calls on it; gRPC's own peers send and take them. PROTOCOL-HTTP2.md allows to strip them.
void strip_blanks(HeaderBlock::Field& field) noexcept {
  std::string_view value = field.value;
  if (value.empty() || !(is_blank(value.front()) || is_blank(value.back()))) return;
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  field.value = value;
  field.replaced = true;
}

}  // namespace

void prepare_forward_head(HeaderBlock& head, const ForwardHead& how) {
  bool says_whom = false;
  for (HeaderBlock::Field& field : head.fields()) {
    if (field.hidden) continue;
    strip_blanks(field);
    switch (field.token) {
      case HeaderToken::kAuthority:
      case HeaderToken::kHost:
        if (!field.value.empty()) says_whom = true;
        break;
      case HeaderToken::kFicus:
        if (!(how.marked && field.name == kShadowMarker)) field.hidden = true;
        break;
      case HeaderToken::kForwardedClientCert:
        // What a client says of certificates is nobody's word but its own.
        field.hidden = true;
        break;
      case HeaderToken::kTracestate:
        // A tracestate belongs to the traceparent it came with (Trace Context 3.3): none was valid, so it goes.
        if (!how.trace->continued) field.hidden = true;
        break;
      case HeaderToken::kConnection:
      case HeaderToken::kKeepAlive:
      case HeaderToken::kProxyConnection:
      case HeaderToken::kTransferEncoding:
      case HeaderToken::kUpgrade:
        // RFC 9113 8.2.2: they speak of one connection. The codec refuses them on arrival; this holds should it not.
        field.hidden = true;
        break;
      default:
        break;
    }
    if (!how.override_metadata.empty() && field.name == how.override_metadata) field.hidden = true;
  }
  if (const std::string& authority = how.upstream->settings.authority; !authority.empty()) {
    set_authority(head, authority);
  } else if (!says_whom && !how.upstream->endpoints.empty()) {
    // RFC 9113 8.3.1 lets a client leave it out; a strict server closes its connection over it.
    const EndpointSpec& first = how.upstream->endpoints.front();
    set_authority(head, to_string(HostPort{first.host, first.port}));
  }
  for (const std::string& name : how.upstream->metadata_remove) head.remove(name);
  if (how.timeout) head.set("grpc-timeout", format_grpc_timeout(*how.timeout));
  head.set("traceparent", how.traceparent);
  if (!how.peer.empty()) head.add_copy("x-forwarded-client-cert", how.peer);
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

void prepare_forward_trailers(HeaderBlock& trailers, const UpstreamInfo& upstream, std::string_view override_metadata) {
  for (HeaderBlock::Field& field : trailers.fields()) {
    strip_blanks(field);
    const bool ours = field.token == HeaderToken::kFicus || field.token == HeaderToken::kForwardedClientCert ||
                      field.token == HeaderToken::kHost;
    if (ours || (!override_metadata.empty() && field.name == override_metadata)) field.hidden = true;
  }
  for (const std::string& name : upstream.metadata_remove) trailers.remove(name);
  for (const auto& [name, value] : upstream.metadata_set) trailers.remove(name);
}

}  // namespace ficus
