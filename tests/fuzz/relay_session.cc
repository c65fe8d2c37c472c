#include "tests/fuzz/relay_session.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <sstream>
#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/rpc/rpc_server.h"
#include "tests/fuzz/far_end.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/fuzz/relay_policies.h"
#include "tests/fuzz/script_reader.h"

namespace ficus::fuzz {
namespace {

// Beyond, an input costs more than it finds.
constexpr std::size_t kMaxRecords = 100;
constexpr std::size_t kEndsAPeer = 4;

class NoSink : public MismatchSink {
 public:
  void write(const ficus::trace::v1::MismatchTrace&) override {}
  void flush() override {}
};

struct Verdicts {
  std::uint64_t match = 0, mismatch = 0, other = 0;
};

}  // namespace

// What lasts from session to session: nothing that a session could see.
struct RelaySessions::Impl {
  Impl() { set_log_level(LogLevel::kError); }

  // Counted on the compare threads since the last time, exactly.
  Verdicts new_verdicts() {
    while (compare.backlog() != 0) ::sched_yield();
    Verdicts sum;
    std::istringstream lines(comparing.expose());
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(families::kVerdicts.name)) continue;
      const auto n = static_cast<std::uint64_t>(std::stod(line.substr(line.rfind(' '))));
      const bool match = line.find("verdict=\"match\"") != std::string::npos;
      const bool mismatch = line.find("verdict=\"mismatch\"") != std::string::npos;
      (match ? sum.match : mismatch ? sum.mismatch : sum.other) += n;
    }
    const Verdicts before = std::exchange(known, sum);
    return {sum.match - before.match, sum.mismatch - before.mismatch, sum.other - before.other};
  }

  Door legacy, fresh;
  std::array<RelayPolicy, 4> policies = relay_policies(legacy.address(), fresh.address());
  Metrics metrics, comparing;  // apart, so that reading the few verdicts is quick
  MetricsShard& shard = metrics.add_shard();
  Redactor redactor = Redactor::ephemeral();
  NoSink sink;
  CompareQueue compare{{}, comparing, redactor, &sink};
  Verdicts known;
};

namespace {

class Session {
 public:
  Session(RelaySessions::Impl& all, std::uint8_t options, std::uint64_t tag)
      : all_(all),
        options_(options),
        tag_("s" + std::to_string(tag) + "-"),
        worker_(0, all.shard, policy().limits, manners_, once_),
        rpc_(worker_, all.compare, server_options(), 1) {
    worker_.set_stream_maker([this](H2Stream& stream) { return rpc_.new_call(stream); });
    begun_before_ = begun();
    at_sight_before_ = at_sight();
    fallbacks_before_ = fallbacks();
    held_bytes_before_ = held_bytes();
    use(policy());
    settle();
  }
  ~Session() {
    worker_.stop_loop();
    legacy_.clear();
    fresh_.clear();
    // Connections that came to nothing are not the next session's.
    while (all_.legacy.next() || all_.fresh.next()) {
    }
  }

  void run(ScriptReader script);
  SessionOutcome end();

 private:
  using Ends = std::vector<std::unique_ptr<FarEnd>>;
  enum SideBit : unsigned { kLegacySide = 1, kNewSide = 2 };

  RpcServerOptions server_options() const {
    RpcServerOptions options;
    options.shadow_bytes = policy().shadow_bytes;
    options.shadow_max_lag = std::chrono::milliseconds(0);  // the machine's speed decides nothing here
    return options;
  }
  const RelayPolicy& policy() const { return all_.policies[options_ & 3]; }
  bool polite() const { return (options_ & kOptionSilent) == 0; }
  bool pass_through() const { return (options_ & 3) == kPassThrough; }
  void use(const RelayPolicy& policy) { rpc_.use(policy.table, policy.descriptors); }

  void settle();
  bool take();
  void admit(const Door& door, Ends& ends, bool& cut_next);
  void judge_request(const FarEnd::Stream& request, unsigned side);
  void judge_answers(FarEnd& client);

  FarEnd* find(std::uint8_t who);
  FarEnd& client(std::size_t index);
  void open_call(FarEnd& client, std::uint8_t flags, std::string_view message);
  void answer(FarEnd& upstream, std::uint8_t flags, std::string_view message);
  void obey(std::uint8_t record, ScriptReader& script);
  template <class F>
  void must(F holds);

  std::uint64_t count(const Family& family, LabelValues labels) { return all_.shard.counter(family, labels).value(); }
  double level(const Family& family, LabelValues labels) { return all_.shard.gauge(family, labels).value(); }
  std::uint64_t begun() { return count(families::kShadowBegun, {"inquiry"}); }
  std::uint64_t at_sight() { return count(families::kVerdicts, {"inquiry", "match", ""}); }
  std::uint64_t held_bytes() { return count(families::kLimits, {"held_bytes"}); }
  std::uint64_t fallbacks() { return count(families::kFallbacks, {"inquiry", "ok"}); }

  RelaySessions::Impl& all_;
  const std::uint8_t options_;
  const std::string tag_;  // no other bytes of the script hold it, but by chance
  const ClientManners manners_;
  OnceGate once_;
  Worker worker_;
  RpcServer rpc_;
  std::array<std::unique_ptr<FarEnd>, kEndsAPeer> clients_;
  Ends legacy_, fresh_;
  std::vector<pollfd> polled_;
  bool cut_legacy_ = false, cut_fresh_ = false;
  bool together_ = false, hurry_ = false;
  unsigned calls_ = 0;
  std::map<std::string, unsigned> one_side_;  // calls that only one side may ever see: the sides that saw them
  SessionOutcome outcome_;
  std::uint64_t begun_before_ = 0, at_sight_before_ = 0, fallbacks_before_ = 0, held_bytes_before_ = 0;
};

// ---------------------------------------------------------------- the loop

void Session::settle() {
  // Twice: a timer that is due now is seen a few microseconds later.
  for (int idle = 0; idle < 2;) {
    bool something = worker_.io().poll() != 0;
    something |= take();
    idle = something ? 0 : idle + 1;
  }
}

// What must come to hold, as soon as the kernel has carried everything over.
template <class F>
void Session::must(F holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  settle();
  while (!holds() && std::chrono::steady_clock::now() < end) {
    ::sched_yield();
    settle();
  }
}

// What came at the far ends. Whether anything did.
bool Session::take() {
  polled_.clear();
  const auto watch = [this](int descriptor) { polled_.push_back({descriptor, POLLIN, 0}); };
  watch(all_.legacy.readable_from());
  watch(all_.fresh.readable_from());
  for (const auto& end : clients_) watch(end == nullptr ? -1 : end->readable_from());
  for (const auto& end : legacy_) watch(end->readable_from());
  for (const auto& end : fresh_) watch(end->readable_from());
  if (::poll(polled_.data(), polled_.size(), 0) <= 0) return false;
  std::size_t next = 2;
  const auto came = [&] { return polled_[next++].revents != 0; };
  for (const auto& end : clients_) {
    if (came()) end->take();
  }
  for (auto [ends, side] : {std::pair(&legacy_, kLegacySide), std::pair(&fresh_, kNewSide)}) {
    for (const auto& end : *ends) {
      if (!came()) continue;
      const std::size_t known = end->order().size();
      end->take();
      for (std::size_t i = known; i < end->order().size(); ++i) judge_request(end->stream(end->order()[i]), side);
    }
  }
  if (polled_[0].revents != 0) admit(all_.legacy, legacy_, cut_legacy_);
  if (polled_[1].revents != 0) admit(all_.fresh, fresh_, cut_fresh_);
  return true;
}

void Session::admit(const Door& door, Ends& ends, bool& cut_next) {
  UniqueFd socket = door.next();
  if (!socket) return;
  const bool cut = std::exchange(cut_next, false);
  ends.push_back(std::make_unique<FarEnd>(std::move(socket), FarEnd::Is::kUpstream, polite() && !cut));
  if (cut) ends.back()->abort();
}

// ---------------------------------------------------------------- what must hold of requests

void Session::judge_request(const FarEnd::Stream& request, unsigned side) {
  const Fields& head = request.blocks.front();
  const bool marked = !find_field(head, "x-ficus-shadow").empty();
  const bool write = find_field(head, ":path") == kWrite;
  if (!pass_through() && write) {
    FUZZ_CHECK(!marked);
    FUZZ_CHECK(side == (find_field(head, "x-tenant-id") == kOwnedByNew ? kNewSide : kLegacySide));
  }
  const auto call = one_side_.find(std::string(find_field(head, "x-call")));
  if (call != one_side_.end()) {
    call->second |= side;
    FUZZ_CHECK(call->second == side);
  }
  if (find_field(head, ":path") == "/grpc.health.v1.Health/Check") {
    ++outcome_.health_checks;
  } else if (marked) {
    ++(side == kNewSide ? outcome_.new_shadows : outcome_.legacy_shadows);
  } else {
    ++(side == kNewSide ? outcome_.new_calls : outcome_.legacy_calls);
    if (write) ++outcome_.writes;
  }
}

void Session::judge_answers(FarEnd& client) {
  for (const std::uint32_t id : client.order()) {
    const FarEnd::Stream& answer = client.stream(id);
    if (answer.ended) outcome_.statuses.emplace_back(find_field(answer.blocks.back(), "grpc-status"));
  }
}

// ---------------------------------------------------------------- the script

FarEnd& Session::client(std::size_t index) {
  auto& end = clients_[index];
  if (end == nullptr) {
    std::array<int, 2> pair;
    FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) == 0);
    // As little as the kernel lets one have, so that a client that does not read is soon felt.
    const int least = 1;
    ::setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    end = std::make_unique<FarEnd>(UniqueFd(pair[0]), FarEnd::Is::kClient, polite());
    worker_.adopt_client({pair[1], false, nullptr});
    settle();  // so that greetings do not come between a script's bytes
  }
  return *end;
}

FarEnd* Session::find(std::uint8_t who) {
  const std::size_t index = who % kEndsAPeer;
  if (who / kEndsAPeer == 0 || who / kEndsAPeer == 3) return &client(index);
  Ends& ends = who / kEndsAPeer == 1 ? legacy_ : fresh_;
  return index < ends.size() ? ends[index].get() : nullptr;
}

void Session::open_call(FarEnd& client, std::uint8_t flags, std::string_view message) {
  static constexpr std::array<const char*, 4> kMethods = {"/fuzz.v1.Policies/Get", "/fuzz.v1.Policies/Endorse",
                                                          "/fuzz.v1.Policies/List", "/fuzz.v1.Other/Get"};
  static constexpr std::array<const char*, 8> kTenants = {"",       "acme",   "shady", "pilot",
                                                          "moving", "nobody", "acme",  "a,b"};
  const unsigned tenant = flags >> 2 & 7;
  const std::string token = tag_ + std::to_string(++calls_);
  Fields head = {{":method", "POST"},    {":scheme", "http"}, {":path", kMethods[flags & 3]},
                 {":authority", "fuzz"}, {"te", "trailers"},  {"content-type", "application/grpc"},
                 {"x-call", token}};
  if (tenant != 0) head.emplace_back("x-tenant-id", kTenants[tenant]);
  if (tenant == 6) head.emplace_back("x-tenant-id", "shady");
  if (std::exchange(hurry_, false)) head.emplace_back("grpc-timeout", "1n");
  if ((flags & kCallMarked) != 0) head.emplace_back("x-ficus-shadow", "1");
  if ((flags & kCallForced) != 0) head.emplace_back("x-side", "new;secret");
  if ((flags & kCallMarked) != 0 || kMethods[flags & 3] == kWrite) one_side_[token] = 0;
  client.last_opened += client.last_opened == 0 ? 1 : 2;
  const std::uint8_t end = (flags & kCallOpen) != 0 ? 0 : frame_flag::kEndStream;
  client.send(h2_frame(FrameType::kHeaders, frame_flag::kEndHeaders, client.last_opened, literals(head)) +
              h2_frame(FrameType::kData, end, client.last_opened, grpc_message(message, false)));
}

void Session::answer(FarEnd& upstream, std::uint8_t flags, std::string_view message) {
  if (upstream.next == upstream.order().size()) return;
  const std::uint32_t id = upstream.order()[upstream.next++];
  Fields head = {{":status", "200"}, {"content-type", "application/grpc"}};
  Fields trailers = {{"grpc-status", std::to_string(flags & 31)}};
  if ((flags & 31) != 0) trailers.emplace_back("grpc-message", message);
  constexpr std::uint8_t kLast = frame_flag::kEndHeaders | frame_flag::kEndStream;
  if ((flags & kAnswerTrailersOnly) != 0) {
    head.insert(head.end(), trailers.begin(), trailers.end());
    upstream.send(h2_frame(FrameType::kHeaders, kLast, id, literals(head)));
    return;
  }
  const bool compressed = (flags & kAnswerCompressed) != 0;
  if (compressed) head.emplace_back("grpc-encoding", "gzip");
  std::string bytes = h2_frame(FrameType::kHeaders, frame_flag::kEndHeaders, id, literals(head));
  if ((flags & 31) == 0) bytes += h2_frame(FrameType::kData, 0, id, grpc_message(message, compressed));
  if ((flags & kAnswerOpen) == 0) bytes += h2_frame(FrameType::kHeaders, kLast, id, literals(trailers));
  upstream.send(bytes);
}

void Session::obey(std::uint8_t what, ScriptReader& script) {
  const auto record = static_cast<Record>(what & 15);
  const auto who = static_cast<std::uint8_t>(what >> 4);
  FarEnd* const end = find(who);
  const bool is_client = end != nullptr && (who < 4 || who >= 12);
  // The stream that a record of one stream is about; 0: none.
  const auto stream = [&]() -> std::uint32_t {
    if (is_client) return end->last_opened;
    return end->next < end->order().size() ? end->order()[end->next] : 0;
  };
  switch (record) {
    case Record::kBytes: {
      const auto bytes = script.counted();
      if (end != nullptr) end->send(bytes);
      return;
    }
    case Record::kCall:
    case Record::kAnswer: {
      const std::uint8_t flags = script.byte();
      const auto message = script.counted();
      if (record == Record::kCall && is_client) open_call(*end, flags, message);
      if (record == Record::kAnswer && end != nullptr && !is_client) answer(*end, flags, message);
      return;
    }
    case Record::kReset: {
      const std::uint8_t code = script.byte();
      if (end == nullptr || stream() == 0) return;
      end->send(h2_frame(FrameType::kRstStream, 0, stream(), u32(code)));
      if (!is_client) ++end->next;
      return;
    }
    case Record::kGoaway: {
      const std::uint8_t code = script.byte();
      if (end == nullptr) return;
      const std::uint32_t last = code < 128 && !end->order().empty() ? end->order().back() : 0;
      end->send(h2_frame(FrameType::kGoaway, 0, 0, u32(is_client ? 0 : last) + u32(code % 128)));
      return;
    }
    case Record::kFinish:
      if (end != nullptr) end->finish();
      return;
    case Record::kAbort:
      if (end != nullptr) end->abort();
      return;
    case Record::kData: {
      const std::uint8_t length = script.byte();
      const auto bytes = script.bytes(length & 127);
      if (end == nullptr || stream() == 0) return;
      end->send(h2_frame(FrameType::kData, (length & 128) != 0 ? frame_flag::kEndStream : 0, stream(), bytes));
      return;
    }
    case Record::kWindow: {
      const std::uint8_t n = script.byte();
      if (end != nullptr) end->send(h2_frame(FrameType::kSettings, 0, 0, std::string("\0\4", 2) + u32(n * 16u)));
      return;
    }
    case Record::kPause:
      if (end != nullptr) end->pause(!end->paused());
      return;
    case Record::kCutNext:
      (who % 2 == 0 ? cut_legacy_ : cut_fresh_) = true;
      return;
    case Record::kReload: {
      const std::uint8_t n = script.byte();
      if (!pass_through()) use(all_.policies[1 + n % 3u]);
      return;
    }
    case Record::kDrain:
      worker_.begin_drain();
      return;
    case Record::kTogether:
      together_ = true;
      return;
    case Record::kMoreWindow: {
      const std::uint8_t n = script.byte();
      if (end == nullptr) return;
      end->send(h2_frame(FrameType::kWindowUpdate, 0, 0, u32(n * 64u)));
      if (stream() != 0) end->send(h2_frame(FrameType::kWindowUpdate, 0, stream(), u32(n * 64u)));
      return;
    }
    case Record::kHurry:
      hurry_ = true;
      return;
  }
}

void Session::run(ScriptReader script) {
  for (std::size_t i = 0; i < kMaxRecords && !script.done(); ++i) {
    const bool together = std::exchange(together_, false);
    obey(script.byte(), script);
    if (!together && !together_) settle();
  }
  settle();
}

// ---------------------------------------------------------------- the end

SessionOutcome Session::end() {
  for (auto& client : clients_) {
    if (client != nullptr) judge_answers(*client);
  }
  if ((options_ & kOptionDrain) != 0) {
    worker_.begin_drain();
    settle();
  }
  if ((options_ & kOptionUpstreamsEnd) != 0) {
    for (auto& end : legacy_) end->abort();
    for (auto& end : fresh_) end->abort();
    settle();
  }
  if ((options_ & kOptionStop) != 0) {
    // As `ficus serve` does.
    worker_.abort_streams();
    worker_.flush_now();
    worker_.close_sessions();
  }
  for (auto& client : clients_) {
    if (client != nullptr) client->abort();
  }
  must([&] { return worker_.client_connections() == 0; });
  FUZZ_CHECK(worker_.client_connections() == 0);
  FUZZ_CHECK(worker_.open_streams() == 0);
  FUZZ_CHECK(level(families::kConnections, {"client"}) == 0);
  FUZZ_CHECK(level(families::kStreams, {"primary"}) == 0);
  for (const auto& upstream : rpc_.routes()->primary)
    FUZZ_CHECK(upstream->in_flight() == 0 && upstream->pending() == 0);

  rpc_.shutdown();
  settle();
  FUZZ_CHECK(rpc_.shadow_lane().live == 0);
  FUZZ_CHECK(rpc_.shadow_lane().budget.bytes == 0);
  for (const auto& in_flight : rpc_.routes()->rule_in_flight) FUZZ_CHECK(*in_flight == 0);
  for (const auto& upstream : rpc_.routes()->shadow) FUZZ_CHECK(upstream->in_flight() == 0 && upstream->pending() == 0);
  for (const char* name : {"legacy", "fresh"}) FUZZ_CHECK(level(families::kConnections, {name}) == 0);
  FUZZ_CHECK(worker_.chunks().taken_bytes() == 0);

  outcome_.begun = begun() - begun_before_;
  outcome_.match = at_sight() - at_sight_before_;
  if (outcome_.begun != 0) {
    const Verdicts compared = all_.new_verdicts();
    outcome_.match += compared.match;
    outcome_.mismatch = compared.mismatch;
    outcome_.other_verdicts = compared.other;
  }
  FUZZ_CHECK(outcome_.begun == outcome_.match + outcome_.mismatch + outcome_.other_verdicts);
  outcome_.fallbacks = fallbacks() - fallbacks_before_;
  outcome_.held_bytes = held_bytes() - held_bytes_before_;
  return outcome_;
}

}  // namespace

RelaySessions::RelaySessions() : impl_(std::make_unique<Impl>()) {}
RelaySessions::~RelaySessions() = default;

SessionOutcome RelaySessions::play(std::string_view script) {
  ScriptReader reader(script);
  const std::uint8_t options = reader.byte();
  Session session(*impl_, options, std::hash<std::string_view>()(script));
  session.run(reader);
  return session.end();
}

}  // namespace ficus::fuzz
