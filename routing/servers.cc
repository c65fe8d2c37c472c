#include "routing/servers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

namespace ficus {
namespace {

std::string in_lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// The 16-bit groups of a part without "::"; two of a dotted IPv4 address.
std::vector<std::uint32_t> groups_of(std::string_view part) {
  std::vector<std::uint32_t> groups;
  while (!part.empty()) {
    const std::size_t colon = part.find(':');
    const std::string_view group = part.substr(0, colon);
    part.remove_prefix(colon == std::string_view::npos ? part.size() : colon + 1);
    const bool dotted = group.find('.') != std::string_view::npos;
    std::uint32_t value = 0, octet = 0;
    for (const char c : group) {
      if (dotted && c == '.') {
        value = value << 8 | octet;
        octet = 0;
      } else if (dotted) {
        octet = octet * 10 + static_cast<std::uint32_t>(c - '0');
      } else {
        value = value << 4 | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
      }
    }
    if (dotted) {
      value = value << 8 | octet;
      groups.push_back(value >> 16);
      value &= 0xffff;
    }
    groups.push_back(value);
  }
  return groups;
}

// An IPv6 address (RFC 4291 2.2, as parse_endpoint() takes it) with all of its eight groups; one that stands for an
// IPv4 address (RFC 4291 2.5.5.2) as that.
std::string canonical_ipv6(std::string_view text) {
  const std::size_t gap = text.find("::");
  const std::vector<std::uint32_t> front = groups_of(text.substr(0, gap));
  const std::vector<std::uint32_t> back =
      gap == std::string_view::npos ? std::vector<std::uint32_t>{} : groups_of(text.substr(gap + 2));
  std::array<std::uint32_t, 8> groups{};
  if (front.size() + back.size() > groups.size()) return std::string(text);
  std::copy(front.begin(), front.end(), groups.begin());
  std::copy(back.begin(), back.end(), groups.end() - static_cast<std::ptrdiff_t>(back.size()));
  const auto is_zero = [](std::uint32_t group) { return group == 0; };
  const bool ipv4 = groups[5] == 0xffff && std::all_of(groups.begin(), groups.begin() + 5, is_zero);
  if (ipv4) {
    return std::to_string(groups[6] >> 8) + '.' + std::to_string(groups[6] & 0xff) + '.' +
           std::to_string(groups[7] >> 8) + '.' + std::to_string(groups[7] & 0xff);
  }
  std::string canonical;
  for (const std::uint32_t group : groups) canonical += ':' + std::to_string(group);
  return canonical;
}

Servers servers_with(const UpstreamSpec& upstream, const std::string& authority) {
  Servers servers;
  servers.reserve(upstream.endpoints.size());
  for (const EndpointSpec& endpoint : upstream.endpoints) {
    const bool ipv6 = endpoint.host.find(':') != std::string::npos;
    const std::string port = ':' + std::to_string(endpoint.port);
    const std::string host = in_lower_case(endpoint.host);
    Server server;
    server.written = (ipv6 ? '[' + endpoint.host + ']' : endpoint.host) + port;
    server.canonical = (ipv6 ? canonical_ipv6(host) : host) + port;
    if (!authority.empty()) {
      server.written += " as " + authority;
      server.canonical += ' ' + in_lower_case(authority);
    }
    servers.push_back(std::move(server));
  }
  std::sort(servers.begin(), servers.end());
  servers.erase(std::unique(servers.begin(), servers.end()), servers.end());
  return servers;
}

}  // namespace

Servers servers_of(const UpstreamSpec& upstream) { return servers_with(upstream, {}); }

Servers virtual_servers_of(const UpstreamSpec& upstream) {
  return servers_with(upstream, upstream.authority ? upstream.authority->value : std::string());
}

Servers in_both(const Servers& a, const Servers& b) {
  Servers both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

Servers without(const Servers& a, const Servers& b) {
  Servers rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
  return rest;
}

std::string describe(const Servers& servers) {
  constexpr std::size_t kNamed = 3;
  std::string text;
  for (std::size_t i = 0; i < servers.size() && i < kNamed; ++i) text += (i == 0 ? "" : ", ") + servers[i].written;
  if (servers.size() > kNamed) text += " and " + std::to_string(servers.size() - kNamed) + " more";
  return text;
}

}  // namespace ficus
