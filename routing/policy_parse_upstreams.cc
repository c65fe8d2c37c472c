// Who is called: upstreams, and how.
#include "routing/policy_parse_sections.h"
#include "routing/route_table.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::uint64_t kMostConcurrentRequests = 1'000'000;
constexpr std::uint64_t kMostPending = 1'000'000;
constexpr std::uint64_t kMostConnections = 10'000;
constexpr std::uint64_t kMostChecksInARow = 100;
constexpr std::uint64_t kMostFailuresInARow = 1000;

auto duration_of(milliseconds min, milliseconds max) {
  return [min, max](std::string_view text) { return parse_duration(text, min, max); };
}
auto count_of(std::uint64_t min, std::uint64_t max) {
  return [min, max](std::string_view text) { return parse_count(text, min, max); };
}

void read_metadata_changes(const Value& value, UpstreamSpec& upstream) {
  Fields fields(value, "metadata: {set: {x-api-key: \"file:new.key\"}, remove: [cookie]}");
  if (const auto set = fields.get("set")) {
    set->each_entry("set: {x-api-key: \"file:new.key\"}", [&](const Text& key, const Value& entry) {
      const Parsed<std::string> name = parse_metadata_name(key.value, MetadataUse::kSet);
      if (!name) return entry.complain_at(key.mark, name.error());
      const std::optional<std::string_view> text = entry.text();
      if (!text) return;
      MetadataSet change;
      change.mark = entry.mark();
      change.name = *name;
      change.from_file = text->substr(0, 5) == "file:";
      const Parsed<std::string> read = change.from_file ? parse_file_reference(*text) : parse_metadata_value(*text);
      if (!read) return entry.complain(read.error());
      change.value = *read;
      upstream.metadata_set.push_back(std::move(change));
    });
  }
  if (const auto remove = fields.get("remove")) {
    RepeatWarning repeats;
    remove->each_item("remove: [cookie]", [&](const Value& item) {
      const auto name =
          item.read([](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRemove); });
      if (!name) return;
      repeats.judge(item);
      for (const MetadataSet& set : upstream.metadata_set) {
        if (set.name == *name) {
          item.complain(codes::kExactlyOne, in_quotes(*name) + " is both set and removed",
                        "setting it replaces what the client sent: take it out of `remove`");
        }
      }
      upstream.metadata_remove.push_back({*name, item.mark()});
    });
  }
}

// `true` stands for a mapping that leaves everything at its default: an empty mapping is an error, as everywhere.
// Whether there is a mapping to read.
bool says_more_than_true(const Value& value, std::string_view like) {
  if (!value.is_text()) return true;
  const std::optional<std::string_view> text = value.text();
  if (text && *text != "true") {
    value.complain(
        codes::kWrongKind, in_quotes(*text) + " may not stand here",
        (*text == "false" ? "leave the key out; or write true, or " : "write true, or ") + std::string(like));
  }
  return false;
}

void read_tls(const Value& value, UpstreamTlsSpec& tls) {
  constexpr std::string_view kLike = "tls: {ca_file: ca.pem, server_name: policy.internal}";
  tls.mark = value.mark();
  if (!says_more_than_true(value, kLike)) return;
  Fields fields(value, kLike);
  fields.get("ca_file", tls.ca_file, parse_file_name);
  fields.get("cert_file", tls.cert_file, parse_file_name);
  fields.get("key_file", tls.key_file, parse_file_name);
  fields.get("server_name", tls.server_name, parse_server_name);
  if (!fields.is_mapping() || fields.has("cert_file") == fields.has("key_file")) return;
  const std::string given = fields.has("cert_file") ? "cert_file" : "key_file";
  const std::string missing = fields.has("cert_file") ? "key_file" : "cert_file";
  value.complain(codes::kMissingKey, given + " is given without " + missing, "add it: " + missing + ": NAME");
}

void read_health_check(const Value& value, HealthCheckSpec& check) {
  constexpr std::string_view kLike = "health_check: {interval: 5s, timeout: 1s}";
  check.mark = value.mark();
  if (!says_more_than_true(value, kLike)) return;
  Fields fields(value, kLike);
  if (const auto service = fields.get("service")) {
    if (service->is_empty_text()) {
      check.service = Text{"", service->mark()};  // the whole server, by the protocol's own word for it
    } else if (auto name = service->read(parse_line)) {
      check.service = Text{*std::move(name), service->mark()};
    }
  }
  fields.get("interval", check.interval, duration_of(milliseconds(100), minutes(10)));
  fields.get("timeout", check.timeout, duration_of(milliseconds(1), minutes(10)));
  const milliseconds interval = check.interval ? check.interval->value : HealthCheckSettings().interval;
  if (check.timeout && check.timeout->value > interval) {
    fields.complain_at_key(codes::kOutOfRange, "timeout", "the timeout of a check is longer than the interval",
                           "at most " + print_duration(interval));
  }
  fields.get("healthy", check.healthy, count_of(1, kMostChecksInARow));
  fields.get("unhealthy", check.unhealthy, count_of(1, kMostChecksInARow));
}

void read_outlier(const Value& value, OutlierSpec& outlier) {
  constexpr std::string_view kLike = "outlier: {consecutive: 5, eject: 30s}";
  outlier.mark = value.mark();
  if (!says_more_than_true(value, kLike)) return;
  Fields fields(value, kLike);
  fields.get("consecutive", outlier.consecutive, count_of(1, kMostFailuresInARow));
  // What tells of the endpoint, and not of the request or of the caller.
  if (const auto on = fields.get("on")) {
    read_codes(*on,
               {GrpcCode::kUnknown, GrpcCode::kDeadlineExceeded, GrpcCode::kResourceExhausted, GrpcCode::kInternal,
                GrpcCode::kUnavailable, GrpcCode::kDataLoss},
               outlier.on);
  }
  fields.get("eject", outlier.eject, duration_of(milliseconds(100), hours(1)));
  fields.get("max_percent", outlier.max_percent, count_of(1, 100));
}

Parsed<milliseconds> parse_keepalive_interval(std::string_view text) {
  Parsed<milliseconds> interval = parse_duration(text, kLeastKeepalive, hours(1));
  if (!interval && interval.error().code->code == codes::kOutOfRange.code) {
    interval.error().hint += "; servers answer more pings with GOAWAY ENHANCE_YOUR_CALM";
  }
  return interval;
}

void read_keepalive(const Value& value, KeepaliveSpec& keepalive) {
  constexpr std::string_view kLike = "keepalive: {interval: 30s, timeout: 20s}";
  keepalive.mark = value.mark();
  if (!says_more_than_true(value, kLike)) return;
  Fields fields(value, kLike);
  fields.get("interval", keepalive.interval, parse_keepalive_interval);
  fields.get("timeout", keepalive.timeout, duration_of(milliseconds(100), minutes(10)));
  fields.get("idle", keepalive.idle, parse_bool);
}

void read_upstream(const Value& value, UpstreamSpec& upstream) {
  upstream.mark = value.mark();
  Fields fields(value, "{endpoints: [\"127.0.0.1:50051\"]}");
  if (const auto endpoints = fields.need("endpoints")) {
    RepeatWarning repeats;
    endpoints->each_item("endpoints: [\"127.0.0.1:50051\"]", [&](const Value& item) {
      auto endpoint = item.read(parse_endpoint);
      if (!endpoint) return;
      repeats.judge(item);
      endpoint->mark = item.mark();
      upstream.endpoints.push_back(*std::move(endpoint));
    });
  }
  if (const auto tls = fields.get(fields::kTls)) read_tls(*tls, upstream.tls.emplace());
  fields.get("connect_timeout", upstream.connect_timeout, duration_of(milliseconds(1), minutes(10)));
  fields.get("max_concurrent_requests", upstream.max_concurrent_requests, count_of(1, kMostConcurrentRequests));
  fields.get(fields::kMaxPending, upstream.max_pending, count_of(1, kMostPending));
  fields.get(fields::kMaxConnections, upstream.max_connections, count_of(1, kMostConnections));
  fields.get(fields::kBalance, upstream.balance, word_of<Balance>(parse_balance, {"least_request", "round_robin"}));
  if (const auto check = fields.get(fields::kHealthCheck)) read_health_check(*check, upstream.health_check.emplace());
  if (const auto outlier = fields.get(fields::kOutlier)) read_outlier(*outlier, upstream.outlier.emplace());
  fields.get(fields::kSlowStart, upstream.slow_start, duration_of(milliseconds(1), hours(1)));
  fields.get(fields::kIdleTimeout, upstream.idle_timeout, duration_of(milliseconds(100), hours(24)));
  if (const auto keepalive = fields.get(fields::kKeepalive)) read_keepalive(*keepalive, upstream.keepalive.emplace());
  fields.get(fields::kAuthority, upstream.authority, parse_authority);
  fields.get(fields::kForwardPeer, upstream.forward_peer, parse_bool);
  if (const auto metadata = fields.get("metadata")) read_metadata_changes(*metadata, upstream);
}

}  // namespace

void read_upstreams(const Value& value, std::vector<UpstreamSpec>& upstreams) {
  value.each_entry("upstreams: {policy-legacy: {endpoints: [\"127.0.0.1:50051\"]}}",
                   [&](const Text& key, const Value& entry) {
                     UpstreamSpec upstream;
                     read_given_name(key, entry, upstream.name);
                     read_upstream(entry, upstream);
                     upstreams.push_back(std::move(upstream));
                   });
}

}  // namespace ficus::parsing
