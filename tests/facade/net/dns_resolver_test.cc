// Names to addresses against a DNS server that answers as the test says. The test's thread runs the loop.
#include "facade/net/dns_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "facade/metrics/families.h"
#include "tests/support/stub_dns.h"

namespace ficus {
namespace {

using e2e::DnsReply;
using ::testing::ElementsAre;
using State = DnsAnswer::State;

class DnsResolverTest : public ::testing::Test {
 protected:
  DnsResolverTest() : resolver_(std::make_unique<DnsResolver>(io_, shard_, once_, DnsOptions{dns_.address()})) {}

  std::unique_ptr<DnsWatch> watch(const std::string& host) {
    return resolver_->watch(host, [this] { ++changes_; });
  }
  // Runs the loop until the condition holds.
  bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + e2e::kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  bool known(const DnsWatch& watch) {
    return run_until([&] { return watch.answer().state != State::kAsking; });
  }
  static std::vector<std::string> texts(const DnsWatch& watch) {
    std::vector<std::string> texts;
    for (const auto& address : watch.answer().addresses) texts.push_back(address.to_string());
    return texts;
  }
  std::uint64_t lookups(std::string_view outcome) { return shard_.counter(families::kDnsLookups, {outcome}).value(); }

  e2e::StubDns dns_;
  MetricsShard shard_;
  OnceGate once_;
  asio::io_context io_{1};
  std::unique_ptr<DnsResolver> resolver_;
  int changes_ = 0;
};

TEST_F(DnsResolverTest, BothFamiliesAreFoundSortedAndOnce) {
  dns_.set("svc.test", {"127.0.0.3", "127.0.0.1", "127.0.0.3", "::1"});
  const auto name = watch("svc.test");
  EXPECT_EQ(name->answer().state, State::kAsking);
  EXPECT_EQ(changes_, 0) << "told from inside watch()";
  ASSERT_TRUE(known(*name));
  EXPECT_EQ(name->answer().state, State::kKnown);
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.1", "127.0.0.3", "::1"));
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(lookups("ok"), 1u);
}

TEST_F(DnsResolverTest, WatchersOfOneNameShareItsLookUps) {
  dns_.set("svc.test", {"127.0.0.1"});
  const auto one = watch("svc.test"), two = watch("svc.test");
  ASSERT_TRUE(run_until([&] { return changes_ == 2; }));
  EXPECT_EQ(dns_.asked("svc.test"), 1u);
  const auto late = watch("svc.test");
  EXPECT_THAT(texts(*late), ElementsAre("127.0.0.1")) << "known already";
  EXPECT_EQ(dns_.asked("svc.test"), 1u);
}

TEST_F(DnsResolverTest, AnAnswerThatRunsOutIsAskedForAgainAndOnlyAChangeIsTold) {
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  const auto name = watch("svc.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("svc.test") >= 2 && lookups("ok") >= 2; }));
  EXPECT_EQ(changes_, 1);
  dns_.set("svc.test", {"127.0.0.2"}, 300);
  ASSERT_TRUE(run_until([&] { return changes_ == 2; }));
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.2"));
}

TEST_F(DnsResolverTest, ATimeToLiveOfZeroCountsAsOneSecond) {
  dns_.set("svc.test", {"127.0.0.1"}, 0);
  const auto begin = std::chrono::steady_clock::now();
  const auto name = watch("svc.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("svc.test") >= 3; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2 * DnsResolver::kMinTtl);
}

TEST_F(DnsResolverTest, ALongTimeToLiveIsNotAskedAgainSoon) {
  dns_.set("long.test", {"127.0.0.1"}, 4'000'000);
  dns_.set("short.test", {"127.0.0.1"}, 1);
  const auto quiet = watch("long.test"), busy = watch("short.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("short.test") >= 3; }));
  EXPECT_EQ(dns_.asked("long.test"), 1u);
}

TEST_F(DnsResolverTest, ANameThatNobodyWatchesIsAskedNoMore) {
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  dns_.set("other.test", {"127.0.0.1"}, 1);
  auto name = watch("svc.test");
  const auto other = watch("other.test");
  ASSERT_TRUE(known(*name));
  name.reset();
  const std::size_t before = dns_.asked("svc.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("other.test") >= 3; }));
  EXPECT_EQ(dns_.asked("svc.test"), before);
}

TEST_F(DnsResolverTest, AWatchMayEndWhileItsLookUpIsUnderWay) {
  dns_.set("svc.test", {DnsReply::How::kSilence, {}, 0});
  auto name = watch("svc.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("svc.test") == 1; }));
  name.reset();
  dns_.set("other.test", {"127.0.0.1"});
  const auto other = watch("other.test");
  ASSERT_TRUE(known(*other));
  EXPECT_EQ(changes_, 1);
}

TEST_F(DnsResolverTest, EachWayToFailIsCountedAndLeavesANewNameWithoutAddresses) {
  const struct {
    DnsReply::How how;
    const char* outcome;
  } table[] = {{DnsReply::How::kNotFound, "not_found"},
               {DnsReply::How::kServerFails, "server_failure"},
               {DnsReply::How::kAnswer, "no_addresses"},
               {DnsReply::How::kSilence, "timeout"}};
  for (const auto& [how, outcome] : table) {
    const std::string host = std::string(outcome) + ".test";
    dns_.set(host, {how, {}, 300});
    const auto name = watch(host);
    ASSERT_TRUE(known(*name)) << outcome;
    EXPECT_EQ(name->answer().state, State::kNotFound) << outcome;
    EXPECT_GE(lookups(outcome), 1u) << outcome;
  }
}

TEST_F(DnsResolverTest, GarbageIsAFailureAndNoAnswer) {
  dns_.set("svc.test", {DnsReply::How::kGarbage, {"127.0.0.1"}, 300});
  const auto name = watch("svc.test");
  ASSERT_TRUE(known(*name));
  EXPECT_EQ(name->answer().state, State::kNotFound);
  EXPECT_EQ(lookups("ok"), 0u);
}

TEST_F(DnsResolverTest, AnAnswerUnderAnotherIdIsNotBelieved) {
  dns_.set("svc.test", {DnsReply::How::kForged, {"127.0.0.1"}, 300});
  const auto name = watch("svc.test");
  ASSERT_TRUE(known(*name));
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.1"));
}

TEST_F(DnsResolverTest, ATruncatedAnswerIsAskedForByTcp) {
  std::vector<std::string> many;
  for (int i = 1; i <= 200; ++i) many.push_back("127.0.1." + std::to_string(i));
  dns_.set("svc.test", {DnsReply::How::kTruncated, many, 300});
  const auto name = watch("svc.test");
  ASSERT_TRUE(known(*name));
  EXPECT_EQ(name->answer().addresses.size(), 200u);
  EXPECT_GE(dns_.by_tcp(), 1u);
}

TEST_F(DnsResolverTest, AFailedLookUpKeepsTheLastAddressesAndIsRepeated) {
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  const auto name = watch("svc.test");
  ASSERT_TRUE(known(*name));
  dns_.set("svc.test", {DnsReply::How::kServerFails, {}, 0});
  ASSERT_TRUE(run_until([&] { return lookups("server_failure") >= 2; }));
  EXPECT_EQ(name->answer().state, State::kKnown);
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.1"));
  EXPECT_EQ(changes_, 1);
  dns_.set("svc.test", {"127.0.0.2"});
  ASSERT_TRUE(run_until([&] { return changes_ == 2; }));
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.2"));
}

TEST_F(DnsResolverTest, ANameThatComesToExistIsFound) {
  const auto name = watch("late.test");
  ASSERT_TRUE(known(*name));
  ASSERT_EQ(name->answer().state, State::kNotFound);
  dns_.set("late.test", {"127.0.0.1"});
  ASSERT_TRUE(run_until([&] { return name->answer().state == State::kKnown; }));
  EXPECT_EQ(changes_, 2);
}

TEST_F(DnsResolverTest, LookUpsBeyondTheLimitWaitTheirTurnAndAllAreDone) {
  std::vector<std::unique_ptr<DnsWatch>> names;
  for (std::size_t i = 0; i < 3 * DnsResolver::kMaxLookups; ++i) {
    const std::string host = "n" + std::to_string(i) + ".test";
    dns_.set(host, {"127.0.0.1"});
    names.push_back(watch(host));
  }
  ASSERT_TRUE(run_until([&] { return changes_ == static_cast<int>(names.size()); }));
  EXPECT_GT(shard_.counter(families::kLimits, {"dns_lookups"}).value(), 0u);
  for (const auto& name : names) EXPECT_THAT(texts(*name), ElementsAre("127.0.0.1")) << name->host();
}

TEST_F(DnsResolverTest, LocalhostIsLoopbackWithoutAskingAnybody) {
  const auto name = watch("localhost");
  ASSERT_TRUE(known(*name));
  EXPECT_THAT(texts(*name), ::testing::Contains("127.0.0.1"));
  EXPECT_EQ(dns_.asked("localhost"), 0u);
}

TEST_F(DnsResolverTest, TheHostsFileComesBeforeTheServer) {
  const auto path = std::filesystem::temp_directory_path() / ("ficus-hosts-" + std::to_string(::getpid()));
  std::ofstream(path) << "127.0.0.9 inhosts.test\n::1 inhosts.test\n";
  ASSERT_EQ(::setenv("CARES_HOSTS", path.c_str(), 1), 0);
  dns_.set("inhosts.test", {"127.0.0.1"});
  const auto name = watch("inhosts.test");
  const bool found = known(*name);
  ::unsetenv("CARES_HOSTS");
  std::filesystem::remove(path);
  ASSERT_TRUE(found);
  EXPECT_THAT(texts(*name), ElementsAre("127.0.0.9", "::1"));
  EXPECT_EQ(dns_.asked("inhosts.test"), 0u);
}

TEST_F(DnsResolverTest, AWatcherMayDropItselfAndTheOthersWhenTold) {
  dns_.set("svc.test", {"127.0.0.1"});
  std::unique_ptr<DnsWatch> one, two;
  int told = 0;
  one = resolver_->watch("svc.test", [&] { ++told, one.reset(), two.reset(); });
  two = resolver_->watch("svc.test", [&] { ++told, one.reset(), two.reset(); });
  ASSERT_TRUE(run_until([&] { return told != 0; }));
  EXPECT_EQ(told, 1) << "a watch that had ended was told";
}

TEST_F(DnsResolverTest, TheResolverMayEndWithLookUpsUnderWay) {
  dns_.set("svc.test", {DnsReply::How::kSilence, {}, 0});
  auto name = watch("svc.test");
  ASSERT_TRUE(run_until([&] { return dns_.asked("svc.test") == 1; }));
  name.reset();
  resolver_.reset();
  io_.restart();
  io_.poll();  // what was on its way finds nobody
}

TEST(DnsServerOptionTest, OnlyAnAddressWithAPortIsTaken) {
  EXPECT_TRUE(DnsResolver::check({""}));
  EXPECT_TRUE(DnsResolver::check({"127.0.0.1:53"}));
  EXPECT_TRUE(DnsResolver::check({"[::1]:5353"}));
  for (const char* text : {"dns.test:53", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", ":53"}) {
    EXPECT_FALSE(DnsResolver::check({text})) << text;
  }
}

}  // namespace
}  // namespace ficus
