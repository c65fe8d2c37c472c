#include "facade/control/control_server.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "facade/control/control_client.h"
#include "facade/metrics/families.h"
#include "tests/facade/control/policy_store_fixture.h"

namespace ficus::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.store.load_first());
    ASSERT_TRUE(server_.start());
    auto door = put_door(path_, SOCK_STREAM);
    ASSERT_TRUE(door) << door.error();
    server_.accept(*std::move(door));
    loop_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    io_.stop();
    if (loop_.joinable()) loop_.join();
    server_.stop();
  }
  UniqueFd connect_raw() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval limit{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  }
  // Whether the server speaks first (its SETTINGS), or closes.
  static bool greeted(const UniqueFd& fd) {
    char byte = 0;
    return ::recv(fd.get(), &byte, 1, 0) == 1;
  }
  std::uint64_t hits() {
    for (const SeriesValue& series : store_.metrics.read(families::kLimits)) {
      if (series.labels[0] == "control_connections") return static_cast<std::uint64_t>(series.value);
    }
    return 0;
  }

  const TempDir dir_;
  const std::string path_ = dir_ / "control.sock";
  Store store_{write_sample(dir_.path())};
  asio::io_context io_{1};
  std::atomic<int> inside_{0}, most_inside_{0};
  ControlServer server_{io_,
                        {[this] {
                           most_inside_ = std::max(most_inside_.load(), ++inside_);
                           ProcessFacts facts{"1.2.3", ::getpid(), {}, false, {}, {}};
                           --inside_;
                           return facts;
                         },
                         [this] { return store_.store.state(); }},
                        store_.metrics};
  std::thread loop_;
};

TEST_F(ControlServerTest, AnswersWhoeverIsOfItsUser) {
  const auto status = ask_status(path_, 20s);
  ASSERT_TRUE(status) << status.error().why;
  EXPECT_EQ(status->process().version(), "1.2.3");
  EXPECT_EQ(status->policy().name(), "sample");
}

TEST_F(ControlServerTest, ManyWhoAskAtOnceAreAllAnsweredOneAtATime) {
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      for (int n = 0; n < 5; ++n) answered += ask_status(path_, 20s).has_value() ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 80);
  EXPECT_EQ(most_inside_, 1);
}

TEST_F(ControlServerTest, ConnectionsAreBoundedAndAPlaceThatBecomesFreeIsGivenAgain) {
  std::vector<UniqueFd> open;
  for (std::size_t i = 0; i < ControlServer::kMaxConnections; ++i) {
    open.push_back(connect_raw());
    ASSERT_TRUE(greeted(open.back())) << i;
  }
  EXPECT_FALSE(greeted(connect_raw())) << "one more than kMaxConnections was let in";
  EXPECT_EQ(hits(), 1u);
  const auto refused = ask_status(path_, 20s);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().hint, HasSubstr("too many"));
  open.pop_back();
  // The loop sees the end of a connection a moment later.
  bool answered = false;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!answered && std::chrono::steady_clock::now() < end) {
    answered = ask_status(path_, 20s).has_value();
    std::this_thread::yield();
  }
  EXPECT_TRUE(answered) << "the place of a connection that ended is given to nobody";
}

TEST_F(ControlServerTest, AnotherUserIsTurnedAwayEvenWhereTheModeLetsItIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const pid_t child = ::fork();  // only system calls from here on
  if (child == 0) {
    if (::setuid(kNobody) != 0) ::_exit(10);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(11);
    char byte = 0;
    ::_exit(::recv(fd.get(), &byte, 1, 0) > 0 ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: let in; 10, 11: the test could not try";
  EXPECT_TRUE(ask_status(path_, 20s)) << "its own user is turned away too";
}

TEST_F(ControlServerTest, StoppingClosesWhatIsOpenAndTakesItsNameAway) {
  const UniqueFd open = connect_raw();
  ASSERT_TRUE(greeted(open));
  io_.stop();
  loop_.join();
  server_.stop();
  char rest[4096];
  ssize_t got = 0;
  do got = ::recv(open.get(), rest, sizeof rest, 0);
  while (got > 0);
  EXPECT_EQ(got, 0) << "a connection outlives the server";
  struct stat info {};
  EXPECT_NE(::lstat(path_.c_str(), &info), 0);
  const auto refused = ask_status(path_, 20s);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().why, HasSubstr("nothing listens at " + path_));
  EXPECT_THAT(refused.error().hint, HasSubstr("--control"));
}

TEST(ControlClientTest, WhoDoesNotAnswerInTimeIsGivenUp) {
  const TempDir dir;
  const std::string path = dir / "silent.sock";
  const auto door = put_door(path, SOCK_STREAM);  // accepts nobody
  ASSERT_TRUE(door);
  const auto refused = ask_status(path, 50ms);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().why, HasSubstr("no answer from " + path + " within 50 ms"));
}

TEST(ControlClientTest, PathsAreTakenWithAndWithoutTheirScheme) {
  const struct {
    const char* text;
    const char* want;  // null: refused
  } rows[] = {{"/run/ficus/control.sock", "/run/ficus/control.sock"},
              {"control.sock", "control.sock"},
              {"unix:control.sock", "control.sock"},
              {"unix:/run/c.sock", "/run/c.sock"},
              {"unix:///run/c.sock", "/run/c.sock"},
              {"unix://run/c.sock", nullptr},
              {"unix:", nullptr},
              {"", nullptr},
              {"unix-abstract:ficus", nullptr}};
  for (const auto& row : rows) {
    const auto parsed = parse_control_path(row.text);
    ASSERT_EQ(parsed.has_value(), row.want != nullptr) << row.text;
    if (row.want != nullptr) {
      EXPECT_EQ(*parsed, row.want) << row.text;
    } else {
      EXPECT_FALSE(parsed.error().empty()) << row.text;
    }
  }
  EXPECT_FALSE(parse_control_path(std::string(200, 'x')));
}

}  // namespace
}  // namespace ficus::testing
