// Names of all kinds; numbers stand in policy_parse_values.cc.
#include <algorithm>
#include <array>

#include "routing/peer_san.h"
#include "routing/policy_parse_values.h"
#include "routing/spelling.h"
#include "routing/utf8.h"

namespace ficus::parsing {
namespace {

constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxLineBytes = 512;
constexpr std::size_t kMaxFileNameBytes = 1024;
constexpr std::size_t kMaxIdentityBytes = 256;  // POLICY 3, "Sources"
constexpr std::size_t kMaxMetadataNameBytes = 128;
constexpr std::size_t kMaxMetadataValueBytes = 4096;
constexpr std::size_t kMaxHostBytes = 253;    // RFC 1035 2.3.4, without the root's dot
constexpr std::size_t kMaxSanBytes = 2048;    // as long as a SPIFFE ID may be (SPIFFE-ID 2.3)
constexpr std::size_t kMaxSymbolBytes = 512;  // service, method and field paths

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_symbol(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

bool has_space_at_an_end(std::string_view text) { return !text.empty() && (text.front() == ' ' || text.back() == ' '); }

bool is_dotted_identifier(std::string_view text) {
  if (text.size() > kMaxSymbolBytes) return false;
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    std::size_t digits = 0;
    unsigned value = 0;
    while (digits < text.size() && digits < 3 && is_digit(text[digits])) {
      value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
    }
    // A leading zero is octal to some resolvers.
    if (digits == 0 || value > 255 || (digits > 1 && text[0] == '0')) return false;
    text.remove_prefix(digits);
    if (part == 3) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
  return false;
}

// RFC 4291 2.2, without zones: they name an interface of one machine.
bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool gap = false;
  if (text.substr(0, 2) == "::") {
    gap = true;
    text.remove_prefix(2);
    if (text.empty()) return true;
  }
  for (;;) {
    if (text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
      if (!is_ipv4(text)) return false;
      groups += 2;
      break;
    }
    const std::size_t digits =
        static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_hex) - text.begin());
    if (digits == 0 || digits > 4) return false;
    ++groups;
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text[0] != ':') return false;
    text.remove_prefix(1);
    if (!text.empty() && text[0] == ':') {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
      if (text.empty()) break;
    }
  }
  return gap ? groups < 8 : groups == 8;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxHostBytes) return false;
  std::size_t label = 0;
  bool numeric = true;  // of the last label
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (label == 0 || text[i - 1] == '-') return false;
      label = 0;
      numeric = true;
      continue;
    }
    if (!is_symbol(c) && c != '-') return false;
    if (label == 0 && c == '-') return false;
    numeric = numeric && is_digit(c);
    if (++label > 63) return false;
  }
  // "10.0.0.256" and "127.1" are no names: resolvers disagree on what they are.
  const bool ends_well = text.back() != '-' && text.back() != '.';
  return ends_well && !numeric;
}

constexpr std::array<std::string_view, 9> kConnectionFields = {"connection", "content-length",    "content-type",
                                                               "host",       "keep-alive",        "te",
                                                               "trailer",    "transfer-encoding", "upgrade"};

}  // namespace

Parsed<std::string> parse_name(std::string_view text) {
  const auto allowed = [](char c) { return is_symbol(c) || c == '-' || c == '.'; };
  const bool good = !text.empty() && text.size() <= kMaxNameBytes && (is_letter(text[0]) || is_digit(text[0])) &&
                    std::all_of(text.begin(), text.end(), allowed);
  if (good) return std::string(text);
  return problem(codes::kBadName, in_quotes(text) + " is not a name",
                 "a letter or digit, then letters, digits, '-', '_' or '.', at most " + std::to_string(kMaxNameBytes));
}

Parsed<std::string> parse_line(std::string_view text) {
  if (text.size() > kMaxLineBytes) {
    return problem(codes::kBadText, "this text has " + std::to_string(text.size()) + " bytes",
                   "at most " + std::to_string(kMaxLineBytes));
  }
  if (!is_plain_text(text)) {
    return problem(codes::kBadText, in_quotes(text) + " holds a line break or a control character",
                   "write one plain line");
  }
  return std::string(text);
}

Parsed<std::string> parse_file_name(std::string_view text) {
  const auto bad = [&](std::string why) {
    return problem(codes::kBadFileName, in_quotes(text) + " " + std::move(why),
                   "name a file beside the policy or below it, like certs/new.key");
  };
  if (text.empty() || text.size() > kMaxFileNameBytes || !is_plain_text(text)) return bad("is not a file name");
  if (text.front() == '/') return bad("is absolute");
  for (std::string_view rest = text;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part == "..") return bad("leads out of the policy's directory");
    if (part.empty() || part == ".") return bad("is not the plain name of a file");
    if (slash == std::string_view::npos) return std::string(text);
    rest.remove_prefix(slash + 1);
  }
}

Parsed<std::string> parse_file_reference(std::string_view text) {
  constexpr std::string_view kScheme = "file:";
  // What stands here instead may be the secret itself: it is not repeated.
  if (text.substr(0, kScheme.size()) != kScheme) {
    return problem(codes::kBadFileName, "a secret stands in a file of its own", "write file:NAME");
  }
  return parse_file_name(text.substr(kScheme.size()));
}

Parsed<EndpointSpec> parse_endpoint(std::string_view text) {
  const auto bad = [&](std::string hint) {
    return problem(codes::kBadEndpoint, in_quotes(text) + " is not an endpoint", std::move(hint));
  };
  if (text.find("//") != std::string_view::npos) return bad("host:port without a scheme, like policy.internal:443");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("add the port: host:port");
  std::string_view host = text.substr(0, colon);
  const Parsed<std::uint64_t> port = parse_count(text.substr(colon + 1), 1, 65535);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!is_ipv6(host)) return bad("between the brackets stands an IPv6 address, without a zone");
  } else if (host.find(':') != std::string_view::npos) {
    return bad("write an IPv6 address in brackets: [::1]:50051");
  } else if (!is_host_name(host) && !is_ipv4(host)) {
    return bad("host:port, where host is a name or an address");
  }
  if (!port) return bad("the port is a number from 1 to 65535");
  EndpointSpec endpoint;
  endpoint.host = host;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

Parsed<std::string> parse_server_name(std::string_view text) {
  if (is_host_name(text) || is_ipv4(text) || is_ipv6(text)) return std::string(text);
  return problem(codes::kBadHostName, in_quotes(text) + " is neither a host name nor an address",
                 "write the name alone, without scheme, port and '*': policy.internal");
}

Parsed<std::string> parse_authority(std::string_view text) {
  const auto bad = [&](std::string hint) {
    return problem(codes::kBadHostName, in_quotes(text) + " is no authority", std::move(hint));
  };
  std::string_view host = text, port;
  if (text.substr(0, 1) == "[") {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) {
      return bad("between the brackets stands an IPv6 address, without a zone");
    }
    host = {};
    port = text.substr(end + 1);
  } else {
    host = text.substr(0, text.find(':'));
    port = text.substr(host.size());
    if (!is_host_name(host) && !is_ipv4(host)) return bad("host or host:port, like policy.internal");
  }
  if (!port.empty() && (port[0] != ':' || !parse_count(port.substr(1), 1, 65535))) {
    return bad("the port is a number from 1 to 65535");
  }
  return std::string(text);
}

Parsed<std::string> parse_peer_san(std::string_view text) {
  if (text.size() <= kMaxSanBytes && SanPattern::parse(text)) return std::string(text);
  return problem(codes::kBadPeerSan, in_quotes(text) + " is not a pattern of a SAN",
                 "one '*' where the value stands: \"spiffe://corp/tenant/*\", \"*.tenants.corp\" or \"*@corp.example\"");
}

Parsed<std::string> parse_identity_value(std::string_view text) {
  const auto bad = [&](std::string why) {
    return problem(codes::kBadNamePattern, in_quotes(text) + " can be nobody's name: " + std::move(why),
                   "names are 1 to 256 bytes without commas and control characters");
  };
  if (text.empty()) return bad("it is empty");
  if (text.size() > kMaxIdentityBytes) return bad("it is too long");
  if (text.find(',') != std::string_view::npos) return bad("it holds a comma");
  if (!is_plain_text(text)) return bad("it holds a control character");
  if (has_space_at_an_end(text)) return bad("it begins or ends with a space");
  return std::string(text);
}

Parsed<NamePattern> parse_name_pattern(std::string_view text, PatternForms forms) {
  const auto bad = [&](std::string why, std::string hint) {
    return problem(codes::kBadNamePattern, in_quotes(text) + " " + std::move(why), std::move(hint));
  };
  constexpr std::string_view kGroup = "group:";
  NamePattern pattern;
  if (text == "*") {
    if (forms == PatternForms::kNames) return bad("may not stand here", "write names and prefixes only");
    pattern.kind = NamePattern::Kind::kAny;
    return pattern;
  }
  if (forms != PatternForms::kValues) {
    if (text == "none") {
      if (forms == PatternForms::kNames) return bad("may not stand here", "write names and prefixes only");
      pattern.kind = NamePattern::Kind::kNone;
      return pattern;
    }
    if (text.substr(0, kGroup.size()) == kGroup) {
      if (forms != PatternForms::kTenants) {
        return bad("names a group, which may not stand here", "groups are of tenants and stand in a rule's `tenants`");
      }
      Parsed<std::string> name = parse_name(text.substr(kGroup.size()));
      if (!name) return fail(std::move(name).error());
      pattern.kind = NamePattern::Kind::kGroup;
      pattern.text = *std::move(name);
      return pattern;
    }
  }
  const std::size_t star = text.find('*');
  if (star != std::string_view::npos) {
    if (star + 1 != text.size()) return bad("has a '*' before its end", "'*' stands only at the end: eu-*");
    text.remove_suffix(1);
    pattern.kind = NamePattern::Kind::kPrefix;
    // A prefix may end with a space, a name may not.
    if (!text.empty() && text.back() == ' ') {
      Parsed<std::string> prefix = parse_identity_value(std::string(text) + 'x');
      if (!prefix) return fail(std::move(prefix).error());
      pattern.text = text;
      return pattern;
    }
  }
  Parsed<std::string> name = parse_identity_value(text);
  if (!name) return fail(std::move(name).error());
  pattern.text = *std::move(name);
  return pattern;
}

Parsed<std::string> parse_metadata_name(std::string_view text, MetadataUse use) {
  const auto bad = [&](std::string why, std::string hint) {
    return problem(codes::kBadMetadataName, in_quotes(text) + " " + std::move(why), std::move(hint));
  };
  const auto begins = [&](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; };
  const auto ends = [&](std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
  };
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  // gRPC PROTOCOL-HTTP2.md, Requests, "Header-Name".
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-' || c == '.'; };
  if (begins(":")) return bad("is a pseudo-header of HTTP/2, not metadata", "name a metadata key");
  if (std::any_of(text.begin(), text.end(), upper)) return bad("holds capitals", "metadata names are lower case");
  if (text.empty() || text.size() > kMaxMetadataNameBytes || !std::all_of(text.begin(), text.end(), allowed)) {
    return bad("is not a metadata name",
               "a to z, 0 to 9, '-', '_' and '.', at most " + std::to_string(kMaxMetadataNameBytes));
  }
  const bool details = use == MetadataUse::kCompare && text == "grpc-status-details-bin";
  if (begins("grpc-") && !details) return bad("is reserved by gRPC", "choose another name");
  const bool connection =
      std::find(kConnectionFields.begin(), kConnectionFields.end(), text) != kConnectionFields.end() ||
      begins("proxy-");
  if (connection) return bad("belongs to the connection or the protocol", "choose another name");
  if (begins("x-ficus-") && !(use == MetadataUse::kTest && text == "x-ficus-shadow")) {
    return bad("is reserved by Ficus", "choose another name");
  }
  if (ends("-bin") && (use == MetadataUse::kRead || use == MetadataUse::kSet)) {
    return bad("is binary metadata", "use a name that does not end with -bin");
  }
  return std::string(text);
}

Parsed<std::string> parse_metadata_value(std::string_view text) {
  const auto allowed = [](char c) { return c >= 0x20 && c <= 0x7e; };
  const bool good = !text.empty() && text.size() <= kMaxMetadataValueBytes && !has_space_at_an_end(text) &&
                    std::all_of(text.begin(), text.end(), allowed);
  if (good) return std::string(text);
  return problem(
      codes::kBadMetadataValue, "this is not a metadata value",
      "printable ASCII without space at either end, at most " + std::to_string(kMaxMetadataValueBytes) + " bytes");
}

Parsed<std::string> parse_service(std::string_view text) {
  if (is_dotted_identifier(text)) return std::string(text);
  return problem(codes::kBadMethod, in_quotes(text) + " is not a service name",
                 "the full name, like insurance.policy.v1.PolicyService");
}

Parsed<std::string> parse_short_method(std::string_view text) {
  if (is_identifier(text) && text.size() <= kMaxSymbolBytes) return std::string(text);
  return problem(codes::kBadMethod, in_quotes(text) + " is not a method name", "the short name, like GetPolicy");
}

Parsed<MethodRef> parse_method(std::string_view text, std::string_view service) {
  const auto bad = [&](std::string hint) {
    return problem(codes::kBadMethod, in_quotes(text) + " is not a method", std::move(hint));
  };
  MethodRef ref;
  const std::size_t slash = text.find('/');
  if (slash == 0) return bad("write it without the first '/': pkg.Service/Method");
  std::string_view method = text;
  if (slash != std::string_view::npos) {
    service = text.substr(0, slash);
    method = text.substr(slash + 1);
    if (!is_dotted_identifier(service)) return bad("like insurance.policy.v1.PolicyService/GetPolicy");
  }
  if (method != "*" && (!is_identifier(method) || method.size() > kMaxSymbolBytes)) {
    return bad("like insurance.policy.v1.PolicyService/GetPolicy");
  }
  if (service.empty()) return bad("write the service too: pkg.Service/" + std::string(method.substr(0, kMaxNameBytes)));
  ref.service = service;
  ref.method = method;
  return ref;
}

Parsed<std::string> parse_request_field(std::string_view text) {
  if (is_dotted_identifier(text)) return std::string(text);
  return problem(codes::kBadFieldPath, in_quotes(text) + " is not a field of a request",
                 "field names with dots between, like policy.number");
}

Parsed<std::string> parse_field_name(std::string_view text) {
  if (is_identifier(text) && text.size() <= kMaxSymbolBytes) return std::string(text);
  return problem(codes::kBadFieldPath, in_quotes(text) + " is not a field's name",
                 "the name of one field of the entries, like id");
}

Parsed<PathPattern> parse_path_pattern(std::string_view text) {
  if (text.size() > kMaxSymbolBytes)
    return problem(codes::kBadFieldPath, in_quotes(text) + " is too long a path",
                   "at most " + std::to_string(kMaxSymbolBytes) + " bytes");
  Result<PathPattern, std::string> pattern = PathPattern::parse(text);
  if (pattern) return *std::move(pattern);
  return problem(codes::kBadFieldPath, in_quotes(text) + " is not a path of fields: " + pattern.error(),
                 "field names with dots between; '*' is one step, '**' any number, field[key] a map's entry");
}

}  // namespace ficus::parsing
