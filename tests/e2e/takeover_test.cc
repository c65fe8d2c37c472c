// Issue section 3, the end: a successor takes over without a lost call; whatever goes wrong before it serves, the
// running facade goes on as if nothing had been.
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"
#include "tests/support/takeover_peer.h"

namespace ficus::e2e {
namespace {

class TakeoverTest : public ::testing::Test {
 protected:
  FicusOptions options(std::vector<std::string> more = {}) const {
    FicusOptions result;
    result.workers = 2;
    result.drain_seconds = 30;
    result.flags = {"--takeover", path_};
    result.flags.insert(result.flags.end(), more.begin(), more.end());
    return result;
  }
  std::unique_ptr<FicusProcess> start(FicusOptions given) const {
    return start_ficus(pass_through_policy(upstream_.address()), std::move(given));
  }
  std::unique_ptr<FicusProcess> start() const { return start(options()); }
  // One that must end by itself; gives its exit code.
  int start_and_fail(FicusOptions given, std::string& log, const std::string& policy = {}) const {
    given.expect_ready = false;
    const auto ficus =
        start_ficus(policy.empty() ? pass_through_policy(upstream_.address()) : policy, std::move(given));
    const auto code = ficus->wait_exit();
    log = ficus->log();
    return code.value_or(-1);
  }
  // A call on a connection of its own.
  static bool serves(const FicusProcess& ficus) { return call(make_channel(ficus.address()), kPath, "m").status.ok(); }
  // A successor by hand that has been offered the sockets.
  TakeoverPeer offered(TakeoverPeer::Heard* offer = nullptr) const {
    TakeoverPeer peer = TakeoverPeer::to(path_);
    EXPECT_TRUE(peer.connected());
    EXPECT_TRUE(peer.say("ficus-takeover 1 hello\n"));
    TakeoverPeer::Heard heard = peer.hear();
    EXPECT_EQ(heard.head, "ficus-takeover 1 offer") << heard.body;
    if (offer != nullptr) *offer = std::move(heard);
    return peer;
  }

  TempDir dir_;
  const std::string path_ = dir_.path("takeover.sock");
  ScriptedUpstream upstream_;
};

// ---------------------------------------------------------------- it works

TEST_F(TakeoverTest, NoCallAndNoScrapeFailsWhileASuccessorTakesOver) {
  auto first = start();
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> calls{0}, errors{0}, connects{0}, scrapes{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 2; ++i) {
    load.emplace_back([&] {  // a client that keeps its channel
      // Without its retries gRPC's client fails a call that it began on a connection whose GOAWAY it has just read.
      const auto channel = make_retrying_channel(first->address());
      while (!stop) {
        const auto reply = call(channel, kPath, "m");
        ++calls;
        if (!reply.status.ok() || reply.message() != "m") {
          ++errors;
          ADD_FAILURE() << "a call on a kept channel: " << reply.status.error_message();
        }
      }
    });
  }
  load.emplace_back([&] {  // a client that connects for each call
    while (!stop) {
      const auto client = RawH2::connect(first->address());
      ++connects;
      if (client == nullptr) {
        ++errors;
        ADD_FAILURE() << "a connection was refused";
        continue;
      }
      const std::uint32_t stream = client->open(grpc_request(kPath), true);
      client->wait([stream](const RawH2::State& s) {
        const auto found = s.streams.find(stream);
        return s.closed || (found != s.streams.end() && found->second.over());
      });
      // Beyond a GOAWAY's last stream it was not taken, and may be sent again: no error, if it said so.
      const RawH2::State state = client->state();
      const auto found = state.streams.find(stream);
      const bool answered = found != state.streams.end() && found->second.ended;
      const bool not_taken = !state.goaways.empty() && state.goaways.back().last_stream < stream;
      if (!answered && !not_taken) {
        ++errors;
        ADD_FAILURE() << "a call on a new connection was lost; goaways " << state.goaways.size();
      }
    }
  });
  load.emplace_back([&] {  // an operator's scraper and a prober
    while (!stop) {
      if (http_get(first->admin(), "/metrics").status != 200 || http_get(first->admin(), "/readyz").status != 200) {
        ++errors;
        ADD_FAILURE() << "a scrape failed, or a facade was not ready";
      }
      ++scrapes;
    }
  });
  ClientCall conversation(make_channel(first->address()), kPath);
  conversation.write("before");
  EXPECT_EQ(conversation.read(), "before");
  ASSERT_TRUE(wait_until([&] { return calls > 20 && connects > 5 && scrapes > 2; }));

  const auto second = start();
  EXPECT_EQ(second->address(), first->address());
  EXPECT_EQ(second->admin(), first->admin());
  EXPECT_TRUE(first->wait_log("taken_over"));
  const std::size_t calls_then = calls, connects_then = connects;
  ASSERT_TRUE(wait_until([&] { return calls > calls_then + 20 && connects > connects_then + 5; }));
  // What was in flight goes on where it was.
  conversation.write("after");
  EXPECT_EQ(conversation.read(), "after");
  EXPECT_TRUE(first->running());
  conversation.writes_done();
  EXPECT_TRUE(conversation.finish().ok());
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_TRUE(second->wait_log("predecessor_gone"));
  stop = true;
  for (std::thread& thread : load) thread.join();
  EXPECT_EQ(errors, 0u) << "of " << calls << " calls, " << connects << " connections, " << scrapes << " scrapes";
}

TEST_F(TakeoverTest, ThreeGenerationsFollowEachOther) {
  auto running = start();
  const std::string address = running->address();
  for (int generation = 2; generation <= 4; ++generation) {
    auto next = start();
    EXPECT_EQ(next->address(), address);
    EXPECT_EQ(running->wait_exit(), 0) << "generation " << generation - 1;
    EXPECT_TRUE(serves(*next)) << "generation " << generation;
    EXPECT_TRUE(next->wait_log("predecessor_gone"));
    running = std::move(next);
  }
  EXPECT_EQ(running->terminate(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_)) << "the last one left its socket behind";
}

TEST_F(TakeoverTest, TheSocketIsOurUsersAlone) {
  const auto first = start();
  struct stat info {};
  ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto second = start();
  ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(TakeoverTest, SeveralListenersAreHandedOverTogether) {
  const auto more = options({"--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"});
  const auto first = start(more);
  TakeoverPeer::Heard offer;
  {
    const TakeoverPeer peer = offered(&offer);
    EXPECT_EQ(offer.fds.size(), 5u) << "three listeners, the admin address, the policy: " << offer.body;
  }
  ASSERT_TRUE(first->wait_log("takeover_failed"));
  std::vector<std::string> addresses;
  std::istringstream lines(offer.body);
  for (std::string kind, wanted, bound; lines >> kind >> wanted >> bound;) {
    if (kind == "listen") addresses.push_back(bound);
  }
  ASSERT_EQ(addresses.size(), 3u);
  for (const std::string& address : addresses)
    EXPECT_TRUE(call(make_channel(address), kPath, "m").status.ok()) << address;
  const auto second = start(more);
  EXPECT_EQ(first->wait_exit(), 0);
  for (const std::string& address : addresses)
    EXPECT_TRUE(call(make_channel(address), kPath, "m").status.ok()) << address;
}

TEST_F(TakeoverTest, ASuccessorMayNameTheAddressThatIsBound) {
  const auto first = start();
  FicusOptions named = options();
  named.listen = first->address();
  const auto second = start(named);
  EXPECT_EQ(second->address(), first->address());
  EXPECT_EQ(first->wait_exit(), 0);
}

TEST_F(TakeoverTest, WhatTheKernelQueuedMeanwhileIsServedByTheSuccessor) {
  auto first = start();
  TakeoverPeer::Heard offer;
  const TakeoverPeer peer = offered(&offer);
  ASSERT_GE(offer.fds.size(), 3u);
  peer.say("ficus-takeover 1 ready\n");
  ASSERT_EQ(peer.hear().head, "ficus-takeover 1 yielded");
  const Socket client = connect_loopback(first->address());
  ASSERT_TRUE(client);
  peer.say("ficus-takeover 1 serving\n");
  EXPECT_EQ(first->wait_exit(), 0);
  const Socket accepted(::accept4(offer.fds[0].fd(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted) << "the connection is gone";
  ASSERT_TRUE(send_all(accepted, "hello"));
  std::string heard(5, '\0');
  EXPECT_EQ(::recv(client.fd(), heard.data(), heard.size(), MSG_WAITALL), 5);
  EXPECT_EQ(heard, "hello");
}

TEST_F(TakeoverTest, APredecessorThatIsStoppedMeanwhileIsSucceededAllTheSame) {
  auto first = start();
  TakeoverPeer::Heard offer;
  const TakeoverPeer peer = offered(&offer);
  EXPECT_EQ(first->terminate(), 0);
  EXPECT_TRUE(connect_loopback(first->address())) << "the sockets died with the process";
  EXPECT_TRUE(peer.hear().closed);
}

// ---------------------------------------------------------------- nobody to take over from

TEST_F(TakeoverTest, WithoutAPredecessorTheStartIsAnOrdinaryOne) {
  const auto ficus = start();
  EXPECT_TRUE(serves(*ficus));
  EXPECT_EQ(ficus->log().find("taking_over"), std::string::npos);
}

TEST_F(TakeoverTest, ASocketThatAKilledFacadeLeftBehindIsReplaced) {
  {
    auto killed = start();
    killed->signal(SIGKILL);
    killed->wait_exit();
  }
  ASSERT_TRUE(std::filesystem::is_socket(path_));
  const auto ficus = start();
  EXPECT_TRUE(serves(*ficus));
  EXPECT_TRUE(TakeoverPeer::to(path_).connected());
}

TEST_F(TakeoverTest, AFileOrALinkAtThePathIsAnErrorAndIsLeftAlone) {
  dir_.write("takeover.sock", "precious");
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("is no socket"), std::string::npos) << log;
  EXPECT_EQ(read_file(path_), "precious");

  std::filesystem::remove(path_);
  dir_.write("elsewhere", "precious");
  std::filesystem::create_symlink("elsewhere", path_);
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("symbolic link"), std::string::npos) << log;
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(read_file(path_), "precious");

  std::filesystem::remove(path_);
  const Socket strangers = listen_at_path(path_, SOCK_STREAM);
  ASSERT_TRUE(strangers);
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("another program's socket"), std::string::npos) << log;
  EXPECT_TRUE(std::filesystem::is_socket(path_));
}

TEST_F(TakeoverTest, AMissingDirectoryAndATooLongPathSaySo) {
  std::string log;
  FicusOptions given = options();
  given.flags[1] = dir_.path("missing/takeover.sock");
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("make it, mode 0700"), std::string::npos) << log;
  given.flags[1] = dir_.path(std::string(120, 'x'));
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("too long"), std::string::npos) << log;
}

// ---------------------------------------------------------------- it does not come to it

TEST_F(TakeoverTest, ASuccessorThatDiesBeforeItIsReadyChangesNothing) {
  const auto first = start();
  offered().close();
  EXPECT_TRUE(first->wait_log("takeover_failed"));
  EXPECT_TRUE(serves(*first));
  EXPECT_TRUE(first->ready());
  const auto second = start();  // and the next one can
  EXPECT_EQ(first->wait_exit(), 0);
}

TEST_F(TakeoverTest, ASuccessorThatDiesBetweenReadyAndServingGivesEverythingBack) {
  const auto first = start();
  TakeoverPeer peer = offered();
  peer.say("ficus-takeover 1 ready\n");
  ASSERT_EQ(peer.hear().head, "ficus-takeover 1 yielded");
  const auto queued = RawH2::connect(first->address());  // the kernel's queue takes it
  ASSERT_NE(queued, nullptr);
  const std::uint32_t stream = queued->open(grpc_request(kPath), true);
  // It has put its own socket in the path's place, as a real one does.
  std::filesystem::remove(path_);
  Socket theirs = listen_at_path(path_, SOCK_SEQPACKET);
  ASSERT_TRUE(theirs);
  theirs.close();
  peer.close();
  EXPECT_TRUE(first->wait_log("takeover_failed"));
  EXPECT_TRUE(queued->wait_over(stream));
  EXPECT_TRUE(queued->stream(stream).ended) << "what was queued in between was lost";
  EXPECT_TRUE(first->ready());
  const auto second = start();  // the path is the first one's again
  EXPECT_EQ(first->wait_exit(), 0);
}

TEST_F(TakeoverTest, ASuccessorWhosePolicyIsRefusedEndsWithOneAndTheOldGoesOn) {
  const auto first = start();
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log, "apiVersion: ficus/v1\nname: broken\nownership_epoch: 1\n"), 1);
  EXPECT_NE(log.find("the running facade goes on"), std::string::npos) << log;
  EXPECT_TRUE(first->wait_log("its policy was refused")) << "the old one was not told why";
  EXPECT_TRUE(serves(*first));
}

TEST_F(TakeoverTest, ASuccessorThatIsNeverReadyIsGivenUpAfterTheTimeout) {
  const auto first = start(options({"--takeover-timeout", "200ms"}));
  const TakeoverPeer peer = offered();
  const auto told = peer.hear();
  EXPECT_EQ(told.head, "ficus-takeover 1 refused");
  EXPECT_NE(told.body.find("not ready within 200 ms"), std::string::npos) << told.body;
  EXPECT_TRUE(peer.hear().closed);
  EXPECT_TRUE(first->wait_log("takeover_failed"));
  EXPECT_TRUE(serves(*first));
}

TEST_F(TakeoverTest, OfTwoSuccessorsTheSecondIsRefused) {
  const auto first = start();
  const TakeoverPeer peer = offered();
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("another successor"), std::string::npos) << log;
  EXPECT_TRUE(serves(*first));
}

TEST_F(TakeoverTest, AVisitorWhoSaysNothingKeepsNobodyOut) {
  const auto first = start();
  const TakeoverPeer silent = TakeoverPeer::to(path_), rude = TakeoverPeer::to(path_);
  ASSERT_TRUE(silent.connected());
  rude.say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(rude.hear().closed);
  const auto second = start();
  EXPECT_EQ(first->wait_exit(), 0);
}

TEST_F(TakeoverTest, AnotherVersionIsRefusedInWordsByEitherSide) {
  {
    const auto first = start();
    const TakeoverPeer peer = TakeoverPeer::to(path_);
    peer.say("ficus-takeover 2 hello\nand who knows what");
    const auto told = peer.hear();
    EXPECT_EQ(told.head, "ficus-takeover 1 refused");
    EXPECT_NE(told.body.find("version 1"), std::string::npos) << told.body;
    EXPECT_NE(told.body.find("successor version 2"), std::string::npos) << told.body;
    EXPECT_TRUE(serves(*first));
  }
  const Socket door = listen_at_path(path_, SOCK_SEQPACKET);
  ASSERT_TRUE(door);
  std::thread predecessor([&] {
    const TakeoverPeer peer = accept_at_path(door);
    EXPECT_EQ(peer.hear().head, "ficus-takeover 1 hello");
    peer.say("ficus-takeover 9 offer\n");
    EXPECT_TRUE(peer.hear().closed);
  });
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  predecessor.join();
  EXPECT_NE(log.find("version 9"), std::string::npos) << log;
}

TEST_F(TakeoverTest, APredecessorThatAnswersNonsenseOrNotAtAllIsNotSucceeded) {
  const Socket door = listen_at_path(path_, SOCK_SEQPACKET);
  ASSERT_TRUE(door);
  for (const std::string& offer : {std::string("ficus-takeover 1 offer\nlisten 127.0.0.1:0 127.0.0.1:1\n"),
                                   std::string("ficus-takeover 1 offer\n"), std::string("nonsense")}) {
    std::thread predecessor([&] {
      const TakeoverPeer peer = accept_at_path(door);
      peer.hear();
      peer.say(offer);
      peer.hear();
    });
    std::string log;
    EXPECT_EQ(start_and_fail(options(), log), 2) << offer;
    predecessor.join();
    EXPECT_NE(log.find("the running facade"), std::string::npos) << log;
  }
}

TEST_F(TakeoverTest, AddressesThatDifferAreNamedAndNothingIsTakenOver) {
  const auto first = start();
  std::string log;
  FicusOptions other = options();
  other.listen = "127.0.0.2:0";
  EXPECT_EQ(start_and_fail(other, log), 2);
  EXPECT_NE(log.find("--listen 127.0.0.2:0 is no address of the running facade"), std::string::npos) << log;
  EXPECT_NE(log.find(first->address()), std::string::npos) << log;
  const auto with_more = options({"--listen", "127.0.0.1:0"});
  EXPECT_EQ(start_and_fail(with_more, log), 2);
  EXPECT_TRUE(serves(*first));

  FicusOptions second_dir = options();
  const std::string other_path = dir_.path("more.sock");
  second_dir.flags = {"--takeover", other_path, "--listen", "127.0.0.1:0"};
  const auto two_listeners = start(second_dir);
  second_dir.flags = {"--takeover", other_path};
  EXPECT_EQ(start_and_fail(second_dir, log), 2);
  EXPECT_NE(log.find("too, which the successor was not given"), std::string::npos) << log;
  EXPECT_TRUE(serves(*two_listeners));
}

TEST_F(TakeoverTest, AnotherUsersProcessGetsNothingAndIsNotTakenFrom) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be two users";
  constexpr uid_t kNobody = 65534;
  // As nobody: 0 when what happened is what should.
  const auto as_nobody = [](const auto& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(50);
      ::_exit(work());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
  {
    const auto first = start();
    EXPECT_EQ(as_nobody([&] { return TakeoverPeer::to(path_).connected() ? 1 : 0; }), 0) << "mode 0600 lets others in";
    std::filesystem::permissions(path_, std::filesystem::perms::all);  // an operator's mistake: the process still looks
    EXPECT_EQ(as_nobody([&] {
                const TakeoverPeer peer = TakeoverPeer::to(path_);
                if (!peer.connected()) return 1;
                peer.say("ficus-takeover 1 hello\n");
                const auto told = peer.hear();
                return told.head == "ficus-takeover 1 refused" && told.fds.empty() ? 0 : 2;
              }),
              0);
    EXPECT_TRUE(first->wait_log("a process of another user"));
    EXPECT_TRUE(serves(*first));
  }
  // The other way round: a stranger waits at the path for a facade that would believe it.
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(50);
    const Socket door = listen_at_path(path_, SOCK_SEQPACKET);
    if (!door) ::_exit(51);
    ::_exit(accept_at_path(door).hear().closed ? 0 : 52);
  }
  ASSERT_TRUE(wait_until([&] { return std::filesystem::is_socket(path_); }));
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("runs as another user (65534)"), std::string::npos) << log;
  int status = -1;
  ::waitpid(stranger, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "it was told something";
}

TEST_F(TakeoverTest, WhileAPredecessorDrainsNobodyElseTakesOver) {
  Gate gate;
  upstream_.set_script([&](UpstreamCall& call) {
    call.wait_for(gate);
    return grpc::Status::OK;
  });
  const auto first = start();
  ClientCall held(make_channel(first->address()), kPath);
  ASSERT_TRUE(upstream_.wait_call(0));
  const auto second = start();
  EXPECT_TRUE(first->wait_log("draining"));
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("still draining"), std::string::npos) << log;
  gate.open();
  EXPECT_TRUE(held.finish().ok());
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_TRUE(second->wait_log("predecessor_gone"));
  const auto third = start();
  EXPECT_EQ(second->wait_exit(), 0);
}

}  // namespace
}  // namespace ficus::e2e
