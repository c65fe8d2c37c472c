// H2Session, the manners asked of clients: slow, silent, idle, old and nagging connections. See ClientManners.
#include <random>

#include "facade/net/h2_session.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kKeepalivePing = 0x66'69'63'75'73'6b'65'70;  // "ficuskep"
// After a look that came to nothing because bytes were waiting to be read.
constexpr milliseconds kLookAgain{50};
// What the calls that a connection's age ended may take to bring their answer out, before the connection is closed
// under them: a round trip or two. A client that gives no window would keep it open for ever otherwise.
constexpr milliseconds kLastWords{5000};

// A tenth more or less: connections that were opened together are not to end together.
milliseconds with_jitter(milliseconds age) {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> factor(0.9, 1.1);
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(age.count()) * factor(random)));
}

}  // namespace

void H2Session::begin_manners() {
  const milliseconds age = worker_.manners().max_connection_age;
  if (age.count() != 0) age_at_ = opened_ + with_jitter(age);
  look_after();
}

void H2Session::look_again(TimePoint at) {
  if (closed() || at == TimePoint::max()) return;
  if (!timer_.armed() || at < timer_.at()) worker_.timers().arm(timer_, at);
}

void H2Session::look_after() {
  if (closed()) return;
  const auto keep = shared_from_this();
  Agenda agenda(worker_.touch_clock());
  if (!check_slowness(agenda) || !check_alive(agenda) || !check_age(agenda)) return;
  check_idleness(agenda);
  if (drain_ == Drain::kNoticeSent && agenda.due(drain_since_ + kDrainNotice)) finish_drain();
  look_again(agenda.next());
}

bool H2Session::check_slowness(Agenda& agenda) {
  const ClientManners& manners = worker_.manners();
  if (!engine_.preface_received() || !engine_.settings_received()) {
    if (!agenda.due(opened_ + manners.preface_timeout)) return true;
    if (unread()) {
      agenda.note(agenda.now() + kLookAgain);
      return true;
    }
    break_off("preface_time", H2Error::kSettingsTimeout, "preface_time");
  } else if (engine_.inside_head()) {
    if (!agenda.due(engine_.head_since() + manners.head_timeout)) return true;
    if (unread()) {
      agenda.note(agenda.now() + kLookAgain);
      return true;
    }
    break_off("head_time", H2Error::kEnhanceYourCalm, "head_time");
  } else {
    return true;
  }
  close_politely("client too slow");
  return false;
}

bool H2Session::check_alive(Agenda& agenda) {
  const ClientManners& manners = worker_.manners();
  switch (keepalive_.look(agenda, manners.keepalive_interval, manners.keepalive_timeout, true)) {
    case Keepalive::Verdict::kFine:
      return true;
    case Keepalive::Verdict::kPing:
      engine_.send_ping(kKeepalivePing);
      return true;
    case Keepalive::Verdict::kDead:
      break;
  }
  if (unread()) {
    agenda.note(agenda.now() + kLookAgain);
    return true;
  }
  break_off("keepalive", H2Error::kNoError, "keepalive_timeout");
  close_politely("keepalive timeout");
  return false;
}

bool H2Session::check_age(Agenda& agenda) {
  if (!agenda.due(age_at_)) return true;
  const milliseconds grace = worker_.manners().max_connection_age_grace;
  switch (age_) {
    case Age::kYoung:
      age_at_ = TimePoint::max();
      if (drain_ != Drain::kNo) break;  // it goes already
      age_ = Age::kToldToGo;
      on_limit("connection_age");
      begin_drain();
      if (grace.count() != 0) age_at_ = agenda.now() + grace;
      break;
    case Age::kToldToGo:
      age_ = Age::kCut;
      age_at_ = agenda.now() + kLastWords;
      abort_streams(kConnectionAgeGrace);
      break;
    case Age::kCut:
      close("connection age");
      return false;
  }
  agenda.note(age_at_);
  return true;
}

void H2Session::check_idleness(Agenda& agenda) {
  const milliseconds limit = worker_.manners().idle_timeout;
  if (limit.count() == 0 || drain_ != Drain::kNo) return;
  const bool busy = engine_.streams() != 0 || engine_.inside_head();
  if (!agenda.due((busy ? agenda.now() : idle_since_) + limit)) return;
  on_limit("client_idle");
  begin_drain();
}

bool H2Session::unread() const {
  error_code ignored;
  return socket_.available(ignored) != 0;
}

void H2Session::break_off(std::string_view limit, H2Error error, std::string_view debug) {
  on_limit(limit);
  broken_off_ = true;
  engine_.fail(error, debug);
}

void H2Session::on_partial_head() { look_again(engine_.head_since() + worker_.manners().head_timeout); }

void H2Session::on_ping() {
  const ClientManners& manners = worker_.manners();
  if (manners.min_ping_interval.count() == 0) return;
  const TimePoint now = worker_.now();
  const std::uint32_t content = engine_.content_frames();
  const bool strike = pinged_ && content == content_at_ping_ && now - last_ping_ < manners.min_ping_interval;
  pinged_ = true;
  last_ping_ = now;
  content_at_ping_ = content;
  ping_strikes_ = strike ? ping_strikes_ + 1 : 0;
  if (ping_strikes_ > manners.max_ping_strikes) {
    break_off("ping_strikes", H2Error::kEnhanceYourCalm, "too_many_pings");
  }
}

}  // namespace ficus
