#include "facade/rpc/rpc_call.h"

#include <algorithm>

#include <boost/container/small_vector.hpp>

#include "facade/metrics/families.h"
#include "facade/net/recycled_handler.h"
#include "facade/rpc/forward_head.h"
#include "facade/rpc/message_key.h"
#include "facade/rpc/shadow_origin.h"
#include "facade/wire/grpc_frame.h"
#include "facade/wire/grpc_timeout.h"
#include "routing/peer_san.h"

namespace ficus {
namespace {

// PROTOCOL-HTTP2.md, Requests, "Content-Type": application/grpc, then nothing, "+proto" and the like, or parameters.
// A media type's letters have no case (RFC 9110 8.3.1).
bool is_grpc_content_type(std::string_view value) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (value.size() < kGrpc.size()) return false;
  for (std::size_t i = 0; i < kGrpc.size(); ++i) {
    const char c = value[i] >= 'A' && value[i] <= 'Z' ? static_cast<char>(value[i] - 'A' + 'a') : value[i];
    if (c != kGrpc[i]) return false;
  }
  return value.size() == kGrpc.size() || value[kGrpc.size()] == '+' || value[kGrpc.size()] == ';';
}

std::uint32_t frame_length(std::string_view frame) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(frame[i])); };
  return byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
}

}  // namespace

RpcCall::RpcCall(RpcServer& server, H2Stream& client)
    : server_(server), client_(client), routes_(server.routes()), born_(server.worker().now()) {
  server_.streams().add(1);
}

RpcCall::~RpcCall() {
  server_.streams().add(-1);
  if (upstream_ != nullptr) upstream_->abandon();
}

// ---------------------------------------------------------------- the request

void RpcCall::on_headers(HeaderBlock& block, bool end_stream) {
  head_ = std::move(block);
  request_ended_ = end_stream;
  std::string_view method, path, content_type;
  std::optional<std::string_view> timeout, traceparent;
  bool traceparent_repeated = false;
  for (const HeaderBlock::Field& field : head_.fields()) {
    switch (field.token) {
      case HeaderToken::kMethod:
        method = field.value;
        break;
      case HeaderToken::kPath:
        path = field.value;
        break;
      case HeaderToken::kContentType:
        content_type = field.value;
        break;
      case HeaderToken::kGrpcTimeout:
        if (!timeout) timeout = field.value;
        break;
      case HeaderToken::kTraceparent:
        traceparent_repeated = traceparent.has_value();
        traceparent = field.value;
        break;
      default:
        break;
    }
  }
  if (method != "POST") return refuse_http("405", "POST");
  if (!is_grpc_content_type(content_type)) return refuse_http("415", "");
  if (routes_ == nullptr) {
    return fail_call({GrpcCode::kUnavailable, ErrorOrigin::kFacade, "no_policy"},
                     "the facade has no policy in force yet");
  }

  std::optional<TraceContext> trace;
  if (traceparent && !traceparent_repeated) trace = parse_traceparent(*traceparent);
  trace_ = trace ? *trace : begin_trace(server_.random(), server_.random());
  draw_ = server_.random();

  if (timeout) {
    const auto left = parse_grpc_timeout(*timeout);
    if (!left) {
      return fail_call({GrpcCode::kInvalidArgument, ErrorOrigin::kClient, "malformed_timeout"},
                       "malformed grpc-timeout: at most eight digits and one of H M S m u n");
    }
    if (*left <= std::chrono::nanoseconds::zero()) {
      return fail_call({GrpcCode::kDeadlineExceeded, ErrorOrigin::kFacade, "deadline exceeded"},
                       "facade: deadline exceeded");
    }
    // A deadline too far to be told is none.
    if (*left < std::chrono::hours(24 * 365 * 100)) {
      deadline_ = born_ + *left;
      server_.worker().timers().arm(deadline_timer_, *deadline_);
    }
  }
  route(path, head_.fields(), end_stream);
}

void RpcCall::route(std::string_view path, const HeaderBlock::Fields& fields, bool end_stream) {
  const auto rpc_path = parse_rpc_path(path);
  if (!rpc_path) {
    return fail_call({GrpcCode::kUnimplemented, ErrorOrigin::kClient, "malformed_path"},
                     "malformed method name: the path must be exactly /service/method");
  }
  boost::container::small_vector<MetadataEntry, 24> metadata;
  RpcHead head;
  head.path = *rpc_path;
  for (const HeaderBlock::Field& field : fields) {
    if (is_pseudo(field.token)) continue;
    metadata.push_back({field.name, field.value});
    if (field.token == HeaderToken::kFicus && field.name == kShadowMarker && field.value == "1")
      head.shadow_marked = true;
  }
  head.metadata = {metadata.data(), metadata.size()};
  head.peer_sans = peer_sans();
  plan_ = routes_->table->plan(head);
  if (plan_.refusal) {
    routes_->metrics.count_refused(plan_.capability, plan_.refusal->reason);
    return fail_call({plan_.refusal->code, ErrorOrigin::kClient, std::string(plan_.refusal->reason)},
                     plan_.refusal->message);
  }
  if (!end_stream && plan_.method != kNoIndex && routes_->table->methods()[plan_.method].one_request) {
    one_request_ = in_message_ = true;
    if (plan_.needs_key) server_.key_waits().begin(request_wait_, client_.session().body_bytes());
  }
  if (plan_.override_ignored) routes_->metrics.count_override(plan_.capability, *plan_.override_ignored);
  if (!plan_.needs_key) return decide(plan_.metadata_key, plan_.no_key);
  state_ = State::kWaitingForKey;
  if (end_stream) try_key(true);
}

// Names of the client's certificate that may say who calls, judged once a connection.
PeerSans RpcCall::peer_sans() {
  H2Session& session = client_.session();
  if (!session.peer_sans_known()) {
    std::vector<std::string_view> sans;
    const auto add = [&](SanKind kind, const std::vector<std::string>& names) {
      for (const std::string& name : names) {
        if (admissible_peer_san(kind, name)) sans.push_back(name);
      }
    };
    if (const auto& peer = session.tls_peer(); peer != nullptr) {
      add(SanKind::kUri, peer->uris());
      add(SanKind::kDns, peer->dns_names());
      add(SanKind::kEmail, peer->emails());
    }
    session.set_peer_sans(std::move(sans));
  }
  return session.peer_sans();
}

std::string_view RpcCall::forwarded_peer(const UpstreamInfo& upstream) {
  if (!upstream.settings.forward_peer || !client_.open()) return {};
  const auto& peer = client_.session().tls_peer();
  return peer == nullptr ? std::string_view{} : std::string_view(peer->forwarded_client_cert());
}

void RpcCall::try_key(bool request_ended) {
  const std::size_t limit = routes_->table->capabilities()[plan_.capability].key_limit_bytes;
  NoKey why = NoKey::kMalformed;
  if (held_.size() >= kGrpcPrefixBytes) {
    const std::uint32_t length = frame_length(held_);
    if (length > limit) {
      why = NoKey::kTooLong;
    } else if (held_.size() < kGrpcPrefixBytes + length) {
      if (!request_ended) return;
    } else {
      const auto key =
          key_of_message(std::string_view(held_).substr(kGrpcPrefixBytes, length), held_[0] == 1,
                         head_.find("grpc-encoding").value_or(""), routes_->table->methods()[plan_.method], limit);
      if (key) return decide(digest_of(DigestKind::kKey, *key), std::nullopt);
      why = key.error();
    }
  } else if (!request_ended) {
    return;
  }
  decide(std::nullopt, why);
}

void RpcCall::decide(std::optional<KeyDigest> key, std::optional<NoKey> no_key) {
  const RouteDecision decision = routes_->table->decide(plan_, key, draw_);
  if (decision.refusal) {
    routes_->metrics.count_refused(plan_.capability, decision.refusal->reason);
    return fail_call({decision.refusal->code, ErrorOrigin::kClient, std::string(decision.refusal->reason)},
                     decision.refusal->message);
  }
  CallMetrics& metrics = routes_->metrics;
  if (decision.forced) metrics.count_override(plan_.capability, "honoured");
  // Forced and marked calls belong to no share.
  const bool counts = !decision.forced && !plan_.marked && plan_.kind == PlanKind::kRead;
  if (counts) metrics.count_routed(plan_, decision);
  if (plan_.kind == PlanKind::kWrite) metrics.count_routed(plan_, decision);
  if (counts && !decision.canary.percent.none()) metrics.count_share(plan_.rule, false, decision.canary.in_share);
  if (decision.unkeyed) {
    std::string_view reason = "unknown";
    if (decision.canary.by == ShareBy::kKey && no_key) reason = to_string(*no_key);
    if (decision.canary.by != ShareBy::kKey) reason = to_string(decision.canary.by);
    metrics.count_unkeyed(plan_.capability, reason);
  }
  begin_leg(decision);
}

void RpcCall::begin_leg(const RouteDecision& decision) {
  const RouteTable& table = *routes_->table;
  side_ = decision.side;
  upstream_index_ = decision.upstream;
  state_ = State::kRelaying;
  const auto span = span_id_of(server_.random());
  // The tap copies the head before the primary's leg changes it.
  if (decision.shadow_possible && (decision.shadow_needs_key || !decision.shadow.percent.none()))
    begin_tap(decision, span);

  if (plan_.kind == PlanKind::kRead && plan_.rule != kNoRule && !plan_.marked && table.rules()[plan_.rule].repeats())
    watch_read(decision);

  const char* full = nullptr;
  upstream_ = open_upstream(decision.upstream, full);
  if (upstream_ == nullptr) {
    std::string message = std::string(upstream_name()) + ": too many concurrent requests";
    if (full == kConnectionShare) message += ", of which this connection has its part";
    return fail_call({GrpcCode::kUnavailable, ErrorOrigin::kFacade, full}, message);
  }
  wait_at(decision.upstream);
  const auto traceparent = format_traceparent(trace_, span);
  if (repeat_ != nullptr) repeat_->read.traceparent = traceparent;
  // Moved, not copied: who borrowed from it (the plan) reads texts that the moved block still holds, and not later than
  // the leg lives.
  HeaderBlock forward = std::move(head_);
  edit_head(forward, decision.upstream, {traceparent.data(), traceparent.size()});
  if (tap_ != nullptr) tap_->on_primary_sent();
  upstream_->send_headers(std::move(forward), request_ended_ && held_.empty());
  if (upstream_ != nullptr && !held_.empty()) {
    if (tap_ != nullptr) tap_->on_request_data(held_);
    upstream_->send_data(held_);
    keep_nothing();
    if (request_ended_) upstream_->send_end();
  }
  if (request_ended_ && tap_ != nullptr) tap_->on_request_end();
}

UpstreamStream* RpcCall::open_upstream(std::uint16_t index, const char*& full) {
  const std::shared_ptr<Upstream>& upstream = routes_->primary[index];
  UpstreamPool& pool = server_.pool();
  ClientPlaces& places = client_.session().places();
  full = pool.limit_reached(*upstream, places);
  if (full != nullptr && !routes_->waits[index]->make_room(places.at(*upstream))) {
    pool.count_limit(*upstream, full);
    return nullptr;
  }
  return pool.open(upstream, leg_, &places);
}

void RpcCall::wait_at(std::uint16_t upstream) {
  if (request_ended_) return;
  UpstreamWaits& waits = *routes_->waits[upstream];
  request_wait_.end();
  (in_message_ ? waits.messages : waits.silences).begin(request_wait_, client_.session().body_bytes());
}

// Told as it is allocated, for a peer chooses how much of it is used.
void RpcCall::keep(std::string_view bytes) {
  const std::size_t before = held_.capacity();
  held_.append(bytes);
  if (held_.capacity() != before) client_.count_held(static_cast<std::ptrdiff_t>(held_.capacity() - before));
}

void RpcCall::keep_nothing() {
  const std::size_t before = held_.capacity();
  std::string().swap(held_);
  if (held_.capacity() != before) client_.count_held(-static_cast<std::ptrdiff_t>(before - held_.capacity()));
}

std::string_view RpcCall::override_metadata() const {
  if (plan_.capability == kNoIndex) return {};
  return routes_->table->capabilities()[plan_.capability].override_metadata;
}

void RpcCall::edit_head(HeaderBlock& head, std::uint16_t upstream, std::string_view traceparent) {
  const RouteTable& table = *routes_->table;
  ForwardHead how;
  how.upstream = &table.upstreams()[upstream];
  how.peer = forwarded_peer(*how.upstream);
  how.override_metadata = override_metadata();
  how.marked = plan_.marked;
  how.trace = &trace_;
  how.traceparent = traceparent;
  if (deadline_) how.timeout = *deadline_ - server_.worker().now();
  prepare_forward_head(head, how);
}

void RpcCall::begin_tap(const RouteDecision& decision, const std::array<char, 16>& primary_span) {
  const RouteTable& table = *routes_->table;
  CallMetrics& metrics = routes_->metrics;
  if (!decision.shadow_needs_key) {
    metrics.count_share(plan_.rule, true, decision.shadow.in_share);
    if (!decision.shadow.in_share) return;
  }
  const RuleInfo& rule = table.rules()[plan_.rule];
  ShadowSetup setup;
  setup.primary_side = *decision.side;
  setup.upstream = routes_->shadow[decision.shadow_upstream];
  setup.deadline = rule.shadow_deadline;
  setup.deadline_given = rule.shadow_deadline_given;
  setup.client_deadline = deadline_;
  setup.max_bytes = rule.shadow_max_bytes;
  setup.max_in_flight = server_.share_of(rule.shadow_max_in_flight);
  setup.in_flight = routes_->rule_in_flight[plan_.rule];
  setup.keep_answer = may_fall_back(decision) && decision.shadow_side == Side::kLegacy;
  const CapabilityInfo& capability = table.capabilities()[plan_.capability];
  setup.metadata = &capability.compared_metadata;
  setup.latency = capability.compare.latency_of(table.methods()[plan_.method].method);

  const auto span = span_id_of(server_.random());
  const auto traceparent = format_traceparent(trace_, span);
  ForwardHead how;
  how.upstream = &table.upstreams()[decision.shadow_upstream];
  how.peer = forwarded_peer(*how.upstream);
  how.override_metadata = capability.override_metadata;
  how.mark = true;
  how.trace = &trace_;
  how.traceparent = {traceparent.data(), traceparent.size()};
  setup.head = head_.clone();
  prepare_forward_head(setup.head, how);

  auto origin = std::make_unique<CallOrigin>(routes_, plan_, decision, draw_, trace_);
  origin->name_call(head_.find(":path").value_or(""), head_.find("grpc-encoding").value_or(""));
  origin->name_spans(primary_span, span);
  setup.origin = std::move(origin);
  tap_ = std::allocate_shared<ShadowTap>(RecyclingAllocator<ShadowTap>(), server_.shadow_lane(), std::move(setup));
}

void RpcCall::on_data(std::string_view bytes) {
  switch (state_) {
    case State::kHead:
    case State::kAnswered:
      client_.consume(bytes.size());  // nobody waits for it any more
      return;
    case State::kWaitingForKey:
      follow_message(bytes);
      // The window may be smaller than key_limit: what is held is given back at once, and bounded by key_limit anyway.
      keep(bytes);
      client_.consume(bytes.size());
      credited_early_ += bytes.size();
      try_key(false);
      return;
    case State::kRelaying:
      follow_message(bytes);
      if (tap_ != nullptr) tap_->on_request_data(bytes);
      if (repeat_ != nullptr) repeat_->read.keep(bytes);
      if (upstream_ != nullptr) upstream_->send_data(bytes);
      return;
  }
}

void RpcCall::follow_message(std::string_view bytes) {
  request_wait_.moved(bytes.size());
  H2Session& session = client_.session();
  session.count_body(bytes.size());
  if (one_request_) return;
  request_frames_.skip(bytes);
  const bool inside = !request_frames_.at_boundary();
  if (inside == in_message_) return;
  in_message_ = inside;
  if (state_ != State::kWaitingForKey) return wait_at(upstream_index_);
  request_wait_.end();
  if (inside) server_.key_waits().begin(request_wait_, session.body_bytes());
}

void RpcCall::on_end(HeaderBlock* trailers) {
  request_ended_ = true;
  request_wait_.end();
  if (state_ == State::kWaitingForKey) return try_key(true);
  if (state_ != State::kRelaying) return;
  if (repeat_ != nullptr) {
    repeat_->read.end_request(trailers != nullptr);
    if (upstream_ == nullptr && repeat_->timer.armed() && repeat_->read.next == RepeatVerdict::Next::kAnswer) {
      server_.worker().timers().arm(repeat_->timer, server_.worker().now());
    }
  }
  if (upstream_ == nullptr) {  // between two tries
    if (tap_ != nullptr) tap_->on_request_end();
    return;
  }
  if (trailers != nullptr) {
    prepare_forward_trailers(*trailers, routes_->table->upstreams()[upstream_index_], override_metadata());
    upstream_->send_trailers(std::move(*trailers));
  } else {
    upstream_->send_end();
  }
  if (upstream_ != nullptr) upstream_->time_next_write(server_.own_request_seconds(), server_.worker().now());
  if (tap_ != nullptr) tap_->on_request_end();
}

void RpcCall::on_request_sent(std::size_t bytes) {
  request_wait_.moved(bytes);
  const std::size_t early = std::min(bytes, credited_early_);
  credited_early_ -= early;
  client_.consume(bytes - early);
}

void RpcCall::on_headers_too_large() {
  server_.worker().metrics().counter(families::kLimits, {"header_list_bytes"}).add();
  fail_call({GrpcCode::kResourceExhausted, ErrorOrigin::kClient, "header_list_too_large"},
            "the request's metadata is larger than the facade takes");
}

}  // namespace ficus
