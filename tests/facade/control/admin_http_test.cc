#include "facade/control/admin_http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "facade/metrics/metrics.h"
#include "tests/facade/control/control_test_support.h"

namespace ficus {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A plain blocking socket: what any HTTP client is in the end.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  Client(Client&& that) noexcept : fd_(std::exchange(that.fd_, -1)), connected_(that.connected_) {}
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // Reads until `enough` holds, the peer closes, or patience ends.
  std::string read_until(const std::function<bool(const std::string&)>& enough) {
    std::string got;
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!enough(got) && std::chrono::steady_clock::now() < deadline) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, 100) == 0) continue;
      char buffer[65536];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      got.append(buffer, static_cast<std::size_t>(n));
    }
    return got;
  }
  std::string read_to_end() {
    return read_until([](const std::string&) { return false; });
  }
  // One whole answer with its Content-Length.
  std::string read_answer() {
    return read_until([](const std::string& got) {
      const std::size_t head = got.find("\r\n\r\n");
      if (head == std::string::npos) return false;
      const std::size_t at = got.find("Content-Length: ");
      return at < head && got.size() >= head + 4 + std::stoul(got.substr(at + 16));
    });
  }
  std::string ask(std::string_view request) { return send(request) ? read_answer() : "not sent"; }
  bool closed() const { return closed_; }

 private:
  int fd_;
  bool connected_ = false;
  bool closed_ = false;
};

class AdminHttpTest : public ::testing::Test {
 protected:
  void start(AdminHttp::Timeouts timeouts = {10s, 60s}) {
    AdminHandlers handlers;
    handlers.metrics = [this] { return metrics_text_; };
    handlers.policy_json = [] { return std::string("{\"in_force\":null}\n"); };
    handlers.ready = [this] { return ready_.load(); };
    handlers.not_ready_why = [] { return std::string("draining: 3 calls in flight"); };
    handlers.limit_hit = [this](std::string_view limit) {
      const std::lock_guard lock(mutex_);
      limits_.emplace_back(limit);
    };
    admin_ = std::make_unique<AdminHttp>(io_, std::move(handlers), timeouts);
    const auto port = admin_->listen("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error();
    port_ = *port;
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { admin_->close(); });
    thread_.join();  // ends by itself: nothing may be left waiting
  }
  std::string ask(std::string_view request) { return Client(port_).ask(request); }
  std::vector<std::string> limits() {
    const std::lock_guard lock(mutex_);
    return limits_;
  }

  asio::io_context io_{1};
  std::atomic<bool> ready_{true};
  std::string metrics_text_ = "# HELP a b\n# TYPE a counter\na 1\n";
  std::mutex mutex_;
  std::vector<std::string> limits_;
  std::unique_ptr<AdminHttp> admin_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

TEST_F(AdminHttpTest, EachPageAnswersWithItsTypeAndBody) {
  start();
  struct {
    const char* path;
    const char* status;
    const char* type;
    const char* body;
  } const cases[] = {
      {"/metrics", "HTTP/1.1 200 OK", "text/plain; version=0.0.4; charset=utf-8",
       "\r\n\r\n# HELP a b\n# TYPE a counter\na 1\n"},
      {"/policy", "HTTP/1.1 200 OK", "application/json", "\r\n\r\n{\"in_force\":null}\n"},
      {"/readyz", "HTTP/1.1 200 OK", "text/plain; charset=utf-8", "\r\n\r\nready\n"},
      {"/livez", "HTTP/1.1 200 OK", "text/plain; charset=utf-8", "\r\n\r\nalive\n"},
      {"/readyz?verbose=1", "HTTP/1.1 200 OK", "text/plain; charset=utf-8", "\r\n\r\nready\n"},
      {"http://x:1/readyz", "HTTP/1.1 200 OK", "text/plain; charset=utf-8", "\r\n\r\nready\n"},
      {"http://x:1", "HTTP/1.1 200 OK", "text/html; charset=utf-8", "</html>\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    const std::string answer = ask(get(c.path));
    EXPECT_THAT(answer, StartsWith(c.status));
    EXPECT_THAT(answer, HasSubstr(std::string("\r\nContent-Type: ") + c.type + "\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nCache-Control: no-store\r\n"));
    EXPECT_THAT(answer, EndsWith(c.body));
  }
}

TEST_F(AdminHttpTest, TheIndexListsEveryPage) {
  start();
  EXPECT_THAT(ask(get("/")),
              AllOf(HasSubstr("/metrics"), HasSubstr("/policy"), HasSubstr("/readyz"), HasSubstr("/livez")));
}

TEST_F(AdminHttpTest, NotReadyIs503WithTheReason) {
  start();
  ready_ = false;
  const std::string answer = ask(get("/readyz"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, EndsWith("draining: 3 calls in flight\n"));
  EXPECT_THAT(ask(get("/livez")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminHttpTest, WhatItDoesNotTakeIsAnsweredWithAReason) {
  start();
  struct {
    const char* name;
    std::string request;
    const char* status;
    const char* text;
  } const cases[] = {
      {"unknown page", get("/metric"), "404", "/metrics"},
      {"a page with a slash", get("/metrics/"), "404", "/metrics"},
      {"POST", "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405", "read-only"},
      {"DELETE", "DELETE /policy HTTP/1.1\r\nHost: x\r\n\r\n", "405", "read-only"},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "405", "read-only"},
      {"an unknown verb", "FROB / HTTP/1.1\r\nHost: x\r\n\r\n", "405", "read-only"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400", "Host"},
      {"garbage", "\x16\x03\x01\x02\x00\r\n\r\n", "400", "not an HTTP/1.1 request"},
      {"HTTP/2 (a gRPC client on the wrong port)", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "--listen"},
      {"an endless head", "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(40'000, 'a') + "\r\n\r\n", "431",
       "too large"},
      {"two lengths", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400",
       "not an HTTP/1.1"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string answer = ask(c.request);
    EXPECT_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + c.status + " "));
    EXPECT_THAT(answer, HasSubstr(c.text));
    if (std::string_view(c.status) == "405") {
      EXPECT_THAT(answer, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
    }
  }
  EXPECT_THAT(ask(get("/livez")), StartsWith("HTTP/1.1 200 ")) << "and goes on serving";
}

TEST_F(AdminHttpTest, HeadGivesTheLengthAndNoBody) {
  start();
  Client client(port_);
  ASSERT_TRUE(client.send("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string answer = client.read_to_end();
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nContent-Length: 6\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(AdminHttpTest, AConnectionServesManyRequests) {
  start();
  Client client(port_);
  for (int i = 0; i < 100; ++i) ASSERT_THAT(client.ask(get("/livez")), EndsWith("alive\n")) << i;
}

TEST_F(AdminHttpTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  Client client(port_);
  ASSERT_TRUE(
      client.send(get("/livez") + get("/nowhere") + "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string answers = client.read_to_end();
  const std::size_t first = answers.find("alive\n"), second = answers.find(" 404 "),
                    third = answers.find("ready\n", second);
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
}

TEST_F(AdminHttpTest, OneByteAtATimeIsARequestToo) {
  start();
  Client client(port_);
  for (const char c : get("/livez")) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  EXPECT_THAT(client.read_answer(), EndsWith("alive\n"));
}

TEST_F(AdminHttpTest, Http10ClosesUnlessItAsksToBeKept) {
  start();
  Client closing(port_);
  ASSERT_TRUE(closing.send("GET /livez HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(closing.read_to_end(), EndsWith("alive\n"));
  EXPECT_TRUE(closing.closed());
  Client kept(port_);
  EXPECT_THAT(kept.ask("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), EndsWith("alive\n"));
  EXPECT_THAT(kept.ask("GET /livez HTTP/1.0\r\n\r\n"), EndsWith("alive\n"));
}

// A body is never taken for the next request, whatever it holds.
TEST_F(AdminHttpTest, ABodyIsNotTakenForARequest) {
  start();
  Client client(port_);
  const std::string smuggled = get("/livez");
  ASSERT_TRUE(client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(smuggled.size()) +
                          "\r\n\r\n" + smuggled));
  EXPECT_THAT(client.read_to_end(), AllOf(StartsWith("HTTP/1.1 405 "), Not(HasSubstr("alive"))));
  EXPECT_TRUE(client.closed());
}

TEST_F(AdminHttpTest, AClientThatDoesNotFinishItsRequestIsDropped) {
  start({100ms, 60s});
  Client client(port_);
  ASSERT_TRUE(client.send("GET /livez HTT"));
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(client.closed());
  // Counted after the close that the client has seen.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (limits().empty() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_THAT(limits(), ::testing::ElementsAre("admin_request_time"));
}

TEST_F(AdminHttpTest, AnIdleConnectionIsDroppedLater) {
  start({10s, 100ms});
  Client client(port_);
  EXPECT_THAT(client.ask(get("/livez")), EndsWith("alive\n"));
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(client.closed());
}

// The answer is far more than the sockets' buffers hold, and the client reads nothing of it.
TEST_F(AdminHttpTest, AClientThatDoesNotReadDelaysNobodyAndIsDropped) {
  metrics_text_.assign(64u << 20, 'x');
  start({500ms, 60s});
  Client stalled(port_);
  ASSERT_TRUE(stalled.send(get("/metrics")));
  for (int i = 0; i < 20; ++i) EXPECT_THAT(ask(get("/livez")), EndsWith("alive\n"));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (limits().empty() && std::chrono::steady_clock::now() < deadline)
    EXPECT_THAT(ask(get("/livez")), EndsWith("alive\n"));
  EXPECT_THAT(limits(), ::testing::ElementsAre("admin_request_time"));
}

TEST_F(AdminHttpTest, BeyondTheConnectionLimitTheOneThatWaitedLongestGivesWay) {
  start();
  std::vector<Client> held;
  for (std::size_t i = 0; i < AdminHttp::kMaxConnections; ++i) {
    held.emplace_back(port_);
    ASSERT_THAT(held.back().ask(get("/livez")), EndsWith("alive\n")) << i;
  }
  // The first asks once more: now the second has waited longest.
  ASSERT_THAT(held.front().ask(get("/livez")), EndsWith("alive\n"));
  Client another(port_);
  EXPECT_THAT(another.ask(get("/livez")), EndsWith("alive\n"));
  EXPECT_EQ(held[1].read_to_end(), "");
  EXPECT_TRUE(held[1].closed());
  EXPECT_THAT(limits(), ::testing::ElementsAre("admin_connections"));
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}, held.size() - 1}) {
    EXPECT_THAT(held[i].ask(get("/livez")), EndsWith("alive\n")) << i;
  }
}

TEST_F(AdminHttpTest, HalfRequestsKeepNoProbeOut) {
  start();
  std::vector<Client> held;
  for (std::size_t i = 0; i < 2 * AdminHttp::kMaxConnections; ++i) {
    held.emplace_back(port_);
    ASSERT_TRUE(held.back().send("GET /metrics HTTP/1.1\r\n"));
    ASSERT_THAT(ask(get("/readyz")), EndsWith("ready\n")) << i;
  }
}

TEST_F(AdminHttpTest, APageThatCannotBeMadeIs500) {
  AdminHandlers handlers;
  handlers.metrics = []() -> std::string { throw std::runtime_error("broken"); };
  AdminHttp admin(io_, std::move(handlers));
  const auto port = admin.listen("127.0.0.1", 0);
  ASSERT_TRUE(port) << port.error();
  Client client(*port);
  ASSERT_TRUE(client.send(get("/metrics")));
  std::string answer;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    answer = client.read_answer();
    done = true;
  });
  EXPECT_TRUE(run_until(io_, [&] { return done.load(); }));
  reader.join();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
}

TEST_F(AdminHttpTest, ListensOnNamesAndOnIPv6) {
  AdminHttp by_name(io_, {});
  EXPECT_TRUE(by_name.listen("localhost", 0));
  AdminHttp bracketed(io_, {});
  const auto v6 = bracketed.listen("[::1]", 0);
  if (!v6) {
    EXPECT_THAT(v6.error(), StartsWith("[::1]:0: ")) << "a machine without IPv6 says so";
  }
}

TEST_F(AdminHttpTest, SaysWhyItCannotListen) {
  AdminHttp first(io_, {});
  const auto port = first.listen("127.0.0.1", 0);
  ASSERT_TRUE(port);
  struct {
    const char* name;
    const char* host;
    std::uint16_t port;
    std::string want;
  } const cases[] = {
      {"taken", "127.0.0.1", *port, "127.0.0.1:" + std::to_string(*port) + ": Address already in use"},
      {"not ours", "203.0.113.1", 0, "203.0.113.1:0: Cannot assign requested address"},
      {"no name", "a..b", 1, "a..b:1: "},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    AdminHttp admin(io_, {});
    const auto bound = admin.listen(c.host, c.port);
    ASSERT_FALSE(bound);
    EXPECT_THAT(bound.error(), StartsWith(c.want));
  }
}

TEST_F(AdminHttpTest, MayBeDestroyedWithConnectionsOpen) {
  asio::io_context io;
  auto admin = std::make_unique<AdminHttp>(io, AdminHandlers{});
  const auto port = admin->listen("127.0.0.1", 0);
  ASSERT_TRUE(port);
  Client idle(*port), half(*port);
  ASSERT_TRUE(half.send("GET /li"));
  io.run_for(20ms);
  admin.reset();
  io.restart();
  io.run();  // ends: nothing is left waiting
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_TRUE(idle.closed());
}

}  // namespace
}  // namespace ficus
