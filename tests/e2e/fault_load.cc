// The client of fault_test.py: gRPC calls at fixed rates, in lanes, whatever becomes of the calls, until SIGTERM. It
// does what every gRPC client does and no more: it moves to a new connection on GOAWAY, and sends a call again that the
// peer says it never took (REFUSED_STREAM, or beyond GOAWAY's last stream). Everything else that is not an answer with
// grpc-status 0 and a message is written down, with when and what was said. Prints one JSON object; its times are
// CLOCK_MONOTONIC's seconds, as the driver's are. Thread: one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/bench/sockets.h"

namespace ficus::e2e {
namespace {

constexpr unsigned kMostAttempts = 5;   // of one call, all of them refused: the next refusal is its answer
constexpr double kUnansweredAfter = 3;  // seconds past a call's deadline: the facade should have ended it long before
constexpr std::size_t kMessageBytes = 100;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return out + '"';
}

const std::string& request() {
  static const std::string bytes =
      std::string("\0\0\0\0", 4) + static_cast<char>(kMessageBytes) + std::string(kMessageBytes, 'q');
  return bytes;
}

struct Call {
  double began = 0;
  unsigned attempts = 0;
  std::size_t sent = 0;  // of request(), in this attempt
  std::string status, message;
  std::size_t answer_bytes = 0;
};

struct Error {
  std::string code, message;
  double began, ended;
};

// One method, at one rate, over connections of its own: as an application of its own has them.
struct Lane {
  std::string name, path, timeout;
  double rate = 0, timeout_seconds = 0;
  std::size_t begun = 0, ok = 0, resent = 0, open = 0, most_open = 0, connects = 0;
  std::vector<Error> errors;
  std::vector<std::unique_ptr<Call>> again;  // to be sent once more

  void fail(const Call& call, std::string code, std::string message) {
    --open;
    errors.push_back({std::move(code), std::move(message), call.began, now()});
  }
  void send_again(std::unique_ptr<Call> call) {
    if (call->attempts >= kMostAttempts) return fail(*call, "REFUSED", "refused each time");
    ++resent;
    again.push_back(std::move(call));
  }
};

class Connection {
 public:
  Connection(int fd, Lane& lane, const std::string& authority) : fd_(fd), lane_(lane), authority_(authority) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { nghttp2_session_del(session_); }

  int fd() const { return fd_.get(); }
  bool going_away() const { return going_away_; }
  bool idle() const { return calls_.empty(); }

  void start(std::unique_ptr<Call> call) {
    call->sent = call->answer_bytes = 0;
    call->status.clear();
    call->message.clear();
    ++call->attempts;
    const auto field = [](std::string_view name, std::string_view value) {
      return nghttp2_nv{reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NONE};
    };
    const nghttp2_nv head[] = {field(":method", "POST"),
                               field(":scheme", "http"),
                               field(":path", lane_.path),
                               field(":authority", authority_),
                               field("te", "trailers"),
                               field("content-type", "application/grpc"),
                               field("grpc-timeout", lane_.timeout)};
    nghttp2_data_provider body{};
    body.source.ptr = call.get();
    body.read_callback = read_request;
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, head, std::size(head), &body, nullptr);
    if (id < 0) return lane_.send_again(std::move(call));
    calls_.emplace(id, std::move(call));
  }

  // False: the connection is over.
  bool receive() {
    char buffer[64 << 10];
    for (;;) {
      const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      if (nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(buffer),
                                   static_cast<std::size_t>(n)) < 0)
        return false;
    }
  }

  bool flush() {
    for (;;) {
      const std::uint8_t* bytes = nullptr;
      ssize_t n = 0;
      while (output_.size() < (64 << 10) && (n = nghttp2_session_mem_send(session_, &bytes)) > 0)
        output_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
      if (n < 0) return false;
      if (output_.empty()) return true;
      const ssize_t sent = ::send(fd_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;  // the next tick tries again
      output_.erase(0, static_cast<std::size_t>(sent));
    }
  }

  void give_up_unanswered(double at) {
    for (auto it = calls_.begin(); it != calls_.end();) {
      const Call& call = *it->second;
      if (at < call.began + lane_.timeout_seconds + kUnansweredAfter) {
        ++it;
        continue;
      }
      lane_.fail(call, "UNANSWERED", "no end although the deadline is long over");
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, it->first, NGHTTP2_CANCEL);
      it = calls_.erase(it);
    }
  }

  // The peer closed: what it was never sent is sent elsewhere, the rest is lost.
  void lose() {
    for (auto& [id, call] : calls_) {
      if (nghttp2_session_find_stream(session_, id) == nullptr) {
        lane_.send_again(std::move(call));
      } else {
        lane_.fail(*call, "CONNECTION_LOST",
                   going_away_ ? "closed after GOAWAY, below its last stream" : "closed without GOAWAY");
      }
    }
    calls_.clear();
  }

 private:
  std::unique_ptr<Call> take(std::int32_t id) {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return nullptr;
    auto call = std::move(found->second);
    calls_.erase(found);
    return call;
  }

  void end(std::unique_ptr<Call> call, std::uint32_t error) {
    if (error == NGHTTP2_REFUSED_STREAM) return lane_.send_again(std::move(call));
    if (call->status == "0" && call->answer_bytes >= 5) {
      ++lane_.ok;
      --lane_.open;
    } else if (call->status == "0") {
      lane_.fail(*call, "MALFORMED", "grpc-status 0 without a message");
    } else if (!call->status.empty()) {
      lane_.fail(*call, call->status, call->message);
    } else {
      lane_.fail(*call, "RESET", nghttp2_http2_strerror(error));
    }
  }

  static Connection& self(void* user) { return *static_cast<Connection*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    const auto found = self(user).calls_.find(frame->hd.stream_id);
    if (found == self(user).calls_.end()) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), value_size);
    if (key == "grpc-status") found->second->status = text;
    if (key == "grpc-message") found->second->message = text;
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t*, std::size_t size,
                     void* user) {
    if (const auto found = self(user).calls_.find(id); found != self(user).calls_.end())
      found->second->answer_bytes += size;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).going_away_ = true;
    return 0;
  }
  static int on_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (auto call = self(user).take(frame->hd.stream_id)) self(user).lane_.send_again(std::move(call));
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
    if (auto call = self(user).take(id)) self(user).end(std::move(call), error);
    return 0;
  }
  static ssize_t read_request(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room, std::uint32_t* flags,
                              nghttp2_data_source* source, void*) {
    Call& call = *static_cast<Call*>(source->ptr);
    const std::size_t n = std::min(room, request().size() - call.sent);
    std::memcpy(to, request().data() + call.sent, n);
    call.sent += n;
    if (call.sent == request().size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  bench::Fd fd_;
  Lane& lane_;
  const std::string& authority_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<std::int32_t, std::unique_ptr<Call>> calls_;
  std::string output_;
  bool going_away_ = false;
};

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) bench::die("socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
    ::close(fd);
    return -1;
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

class Load {
 public:
  Load(std::uint16_t port, std::vector<Lane>& lanes, std::size_t connections)
      : port_(port), authority_("127.0.0.1:" + std::to_string(port)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_.get() < 0) bench::die("epoll_create1");
    for (Lane& lane : lanes) slots_.push_back({lane, std::vector<Connection*>(connections), 0});
  }

  // The longest time that this program did not come to its loop: of the machine's doing, not the facade's.
  double longest_pause() const { return longest_pause_; }

  void run(int signals) {
    watch(signals);
    const double begin = now();
    double swept = begin, last = begin;
    bool stopping = false;
    while (!stopping || open_calls() != 0) {
      epoll_event events[64];
      const int n = ::epoll_wait(epoll_.get(), events, 64, 1);
      if (n < 0 && errno != EINTR) bench::die("epoll_wait");
      for (int i = 0; i < n; ++i) {
        if (events[i].data.fd == signals) {
          stopping = true;
          signalfd_siginfo taken{};
          if (::read(signals, &taken, sizeof taken) < 0) bench::die("signalfd");
        } else if (const auto found = all_.find(events[i].data.fd); found != all_.end()) {
          if (!found->second->receive()) lose(found->first);
        }
      }
      const double at = now();
      longest_pause_ = std::max(longest_pause_, at - std::exchange(last, at));
      for (Slots& slots : slots_) {
        connect(slots);
        // A call sent again goes first, and also after SIGTERM: it was begun.
        for (auto& call : std::exchange(slots.lane.again, {})) send(slots, std::move(call));
        if (stopping) continue;
        while (static_cast<double>(slots.lane.begun) < (at - begin) * slots.lane.rate) {
          ++slots.lane.begun;
          slots.lane.most_open = std::max(slots.lane.most_open, ++slots.lane.open);
          auto call = std::make_unique<Call>();
          call->began = at;
          send(slots, std::move(call));
        }
      }
      flush_all();
      if (at - swept >= 0.1) {
        for (auto& [fd, connection] : all_) connection->give_up_unanswered(at);
        swept = at;
      }
    }
  }

 private:
  struct Slots {
    Lane& lane;
    std::vector<Connection*> connections;
    std::size_t turn;
  };

  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) bench::die("epoll_ctl");
  }

  // A lane's at a time, so that the facade's workers, which take connections in turn, get like shares of it.
  void connect(Slots& slots) {
    for (Connection*& connection : slots.connections) {
      if (connection != nullptr && !connection->going_away()) continue;
      connection = nullptr;
      const int fd = connect_to(port_);
      if (fd < 0) continue;
      ++slots.lane.connects;
      connection = all_.emplace(fd, std::make_unique<Connection>(fd, slots.lane, authority_)).first->second.get();
      watch(fd);
    }
  }

  void send(Slots& slots, std::unique_ptr<Call> call) {
    Connection* const connection = slots.connections[slots.turn++ % slots.connections.size()];
    if (connection == nullptr) return slots.lane.fail(*call, "NOT_CONNECTED", "the facade takes no connection");
    connection->start(std::move(call));
  }

  void lose(int fd) {
    const auto found = all_.find(fd);
    Connection* const gone = found->second.get();
    gone->lose();
    for (Slots& slots : slots_)
      std::replace(slots.connections.begin(), slots.connections.end(), gone, static_cast<Connection*>(nullptr));
    all_.erase(found);
  }

  void flush_all() {
    std::vector<int> over;
    for (auto& [fd, connection] : all_) {
      if (!connection->flush() || (connection->going_away() && connection->idle())) over.push_back(fd);
    }
    for (const int fd : over) lose(fd);
  }

  std::size_t open_calls() const {
    std::size_t open = 0;
    for (const Slots& slots : slots_) open += slots.lane.open;
    return open;
  }

  const std::uint16_t port_;
  const std::string authority_;
  bench::Fd epoll_;
  std::vector<Slots> slots_;
  std::unordered_map<int, std::unique_ptr<Connection>> all_;
  double longest_pause_ = 0;
};

void print(const std::vector<Lane>& lanes, double longest_pause) {
  std::printf("{\"longest_pause\":%.6f,\"lanes\":", longest_pause);
  const char* between = "{";
  for (const Lane& lane : lanes) {
    std::printf(
        "%s%s:{\"begun\":%zu,\"ok\":%zu,\"resent\":%zu,\"most_open\":%zu,\"connects\":%zu,"
        "\"errors\":[",
        between, json_text(lane.name).c_str(), lane.begun, lane.ok, lane.resent, lane.most_open, lane.connects);
    between = ",\n";
    const char* comma = "";
    for (const Error& error : lane.errors) {
      std::printf("%s\n{\"code\":%s,\"message\":%s,\"began\":%.6f,\"ended\":%.6f}", comma,
                  json_text(error.code).c_str(), json_text(error.message).c_str(), error.began, error.ended);
      comma = ",";
    }
    std::printf("]}");
  }
  std::printf("}}\n");
}

}  // namespace
}  // namespace ficus::e2e

int main(int argc, char** argv) {
  using namespace ficus::e2e;
  CLI::App app{"Makes gRPC calls at fixed rates on 127.0.0.1 until SIGTERM, and prints what became of them."};
  std::uint16_t port = 0;
  std::size_t connections = 8;
  std::vector<std::string> specs;
  app.add_option("--port", port)->required();
  app.add_option("--connections", connections, "of each lane")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--lane", specs, "NAME PATH CALLS_PER_SECOND TIMEOUT_MS, in one argument; may be repeated")
      ->required();
  CLI11_PARSE(app, argc, argv);
  std::vector<Lane> lanes;
  for (const std::string& spec : specs) {
    Lane lane;
    unsigned timeout_ms = 0;
    if (!(std::istringstream(spec) >> lane.name >> lane.path >> lane.rate >> timeout_ms)) {
      std::fprintf(stderr, "fault_load: --lane '%s': not NAME PATH CALLS_PER_SECOND TIMEOUT_MS\n", spec.c_str());
      return 2;
    }
    lane.timeout = std::to_string(timeout_ms) + "m";
    lane.timeout_seconds = timeout_ms / 1000.0;
    lanes.push_back(std::move(lane));
  }
  const ficus::bench::Fd signals(ficus::bench::signal_descriptor());
  Load load(port, lanes, connections);
  load.run(signals.get());
  print(lanes, load.longest_pause());
  return 0;
}
