#include "facade/net/takeover_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "facade/net/takeover_client.h"

namespace ficus {
namespace {

using What = TakeoverMessage::What;
constexpr std::chrono::milliseconds kPatience{15000};

class TakeoverChannelTest : public testing::Test {
 protected:
  TakeoverChannelTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    ours_ = UniqueFd(pair[0]);
    theirs_ = UniqueFd(pair[1]);
  }
  void say(std::string_view text) {
    ASSERT_EQ(::send(theirs_.get(), text.data(), text.size(), 0), ssize_t(text.size()));
  }
  UniqueFd ours_, theirs_;
};

TEST_F(TakeoverChannelTest, WordsArriveAsTheyWereSaid) {
  for (const TakeoverWord word : {TakeoverWord::kHello, TakeoverWord::kReady, TakeoverWord::kRefused}) {
    ASSERT_TRUE(send_takeover(theirs_.get(), word, "two\nlines"));
    const auto heard = receive_takeover(ours_.get());
    EXPECT_EQ(heard.what, What::kWord);
    EXPECT_EQ(heard.word, word);
    EXPECT_EQ(heard.body, "two\nlines");
  }
  EXPECT_EQ(receive_takeover(ours_.get()).what, What::kNotYet);
  theirs_.reset();
  EXPECT_EQ(receive_takeover(ours_.get()).what, What::kGone);
  EXPECT_FALSE(send_takeover(ours_.get(), TakeoverWord::kHello)) << "or it died of SIGPIPE";
}

TEST_F(TakeoverChannelTest, WhatIsNoMessageIsGarbageAndAnotherVersionIsKnown) {
  for (const char* text : {"x", "ficus-takeover", "ficus-takeover 1 hello", "ficus-takeover one hello\n",
                           "ficus-takeover 1\n", "ficus-takeover 1 jump\n", "ficus-takeover  1 hello\n"}) {
    say(text);
    EXPECT_EQ(receive_takeover(ours_.get()).what, What::kGarbage) << text;
  }
  say("ficus-takeover 7 dance\n");
  const auto other = receive_takeover(ours_.get());
  EXPECT_EQ(other.what, What::kOtherVersion);
  EXPECT_EQ(other.version, 7u);
  say("ficus-takeover 7 refused\nwhy");
  EXPECT_EQ(receive_takeover(ours_.get()).word, TakeoverWord::kRefused) << "a refusal is understood in any version";
}

TEST_F(TakeoverChannelTest, ARefusalIsHeardAlsoFromWhoClosedWithoutReading) {
  send_takeover(ours_.get(), TakeoverWord::kHello);
  send_takeover(theirs_.get(), TakeoverWord::kRefused, "no");
  theirs_.reset();
  const auto heard = receive_takeover(ours_.get());
  EXPECT_EQ(heard.what, What::kWord);
  EXPECT_EQ(heard.body, "no");
}

TEST_F(TakeoverChannelTest, AnOfferCarriesSocketsAndAPolicyOfAnySize) {
  auto first = open_listen_socket(ListenKind::kPlain, {"127.0.0.1", 0});
  auto second = open_listen_socket(ListenKind::kAdmin, {"::1", 0});
  ASSERT_TRUE(first && second);
  const std::string policy(5'000'000, 'p');
  ASSERT_TRUE(send_offer(theirs_.get(), {&*first, &*second}, policy));
  auto offer = read_offer(receive_takeover(ours_.get()));
  ASSERT_TRUE(offer) << offer.error();
  EXPECT_EQ(offer->policy, policy);
  ASSERT_EQ(offer->sockets.size(), 2u);
  EXPECT_EQ(offer->sockets[0].bound, first->bound);
  EXPECT_EQ(offer->sockets[0].wanted.port, 0);
  EXPECT_EQ(to_string(offer->sockets[1].bound), to_string(second->bound));
  EXPECT_NE(::fcntl(offer->sockets[0].fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(TakeoverChannelTest, AnOfferThatLiesIsRefused) {
  const auto socket = open_listen_socket(ListenKind::kPlain, {"127.0.0.1", 0});
  const UniqueFd no_socket(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd unsealed(::memfd_create("x", MFD_CLOEXEC));
  const std::string line = "listen 127.0.0.1:0 127.0.0.1:1\n";
  const std::tuple<std::string, std::vector<int>, const char*> rows[] = {
      {line, {}, "names more sockets"},
      {line, {no_socket.get()}, "is no TCP socket"},
      {line, {socket->fd.get()}, "carries no policy"},
      {"", {socket->fd.get()}, "does not name"},
      {"policy\n", {unsealed.get()}, "no sealed memory file"},
      {"shout 127.0.0.1:0 127.0.0.1:1\n", {socket->fd.get()}, "cannot be read"},
      {"listen 127.0.0.1:0\n", {socket->fd.get()}, "cannot be read"},
      {"listen 127.0.0.1:0 127.0.0.1:1", {socket->fd.get()}, "half a line"},
  };
  for (const auto& [body, fds, want] : rows) {
    ASSERT_TRUE(send_takeover(theirs_.get(), TakeoverWord::kOffer, body, fds));
    const auto offer = read_offer(receive_takeover(ours_.get()));
    ASSERT_FALSE(offer) << want;
    EXPECT_NE(offer.error().find(want), std::string::npos) << offer.error();
  }
}

TEST_F(TakeoverChannelTest, ASuccessorGivesUpOnAPredecessorThatHangs) {
  const auto client = TakeoverClient::begin(std::move(ours_), std::chrono::milliseconds(20));
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().find("does not answer; it goes on as it is"), std::string::npos) << client.error();
}

TEST_F(TakeoverChannelTest, ReadyEndsInYieldedGoneOrARefusal) {
  const auto socket = open_listen_socket(ListenKind::kPlain, {"127.0.0.1", 0});
  ASSERT_TRUE(send_offer(theirs_.get(), {&*socket}, "p"));
  auto client = TakeoverClient::begin(std::move(ours_), kPatience);
  ASSERT_TRUE(client) << client.error();
  send_takeover(theirs_.get(), TakeoverWord::kYielded);
  EXPECT_EQ(client->ready(kPatience), true);
  send_takeover(theirs_.get(), TakeoverWord::kRefused, "too late");
  const auto refused = client->ready(kPatience);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("too late"), std::string::npos);
  theirs_.reset();
  EXPECT_EQ(client->ready(kPatience), false) << "the predecessor is gone, and nobody else serves";
}

}  // namespace
}  // namespace ficus
