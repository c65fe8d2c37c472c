#include "facade/findings/finding_store.h"

#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "facade/findings/finding_schema.h"
#include "tests/facade/findings/finding_fixture.h"

namespace ficus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FindingStoreTest : public FindingFixture {
 protected:
  // What another process sees in the file.
  std::vector<std::string> in_file() {
    const auto reader = open_findings_to_read(options_.directory, Database::Access::kReadOnly);
    if (!reader) return {"error: " + reader.error().text};
    return paths(list_findings(**reader, {}, now_));
  }
  std::string dropped(const std::string& reason) {
    return metric("ficus_findings_total{outcome=\"dropped\",reason=\"" + reason + "\"}");
  }
  std::string written() { return metric("ficus_findings_total{outcome=\"written\",reason=\"\"}"); }
  std::string errors(const std::string& fault) {
    return metric("ficus_finding_store_errors_total{class=\"" + fault + "\"}");
  }
};

TEST_F(FindingStoreTest, KeepsFindingsOverARestart) {
  {
    const auto store = open();
    store->comparisons("inquiry", kMethod).add(10);
    store->add(trace("a"));
    store->stop();
  }
  EXPECT_THAT(in_file(), ElementsAre("a"));
  const auto store = open();
  store->comparisons("inquiry", kMethod).add(5);
  store->add(trace("a"));
  const auto detail = store->show(id_at("a"));
  ASSERT_TRUE(detail.has_value()) << detail.error().text;
  EXPECT_EQ(detail->finding.count, 2u);
  EXPECT_EQ(detail->finding.comparisons, 6u);
  EXPECT_EQ(detail->examples.size(), 2u);
  EXPECT_EQ(written(), "2");
  EXPECT_TRUE(store->health().ok);
  EXPECT_FALSE(store->health().in_memory);
  EXPECT_THAT(store->health().text, HasSubstr(file()));
}

TEST_F(FindingStoreTest, TheWriterCommitsByItself) {
  options_.commit_every = 20ms;
  const auto store = open();
  store->add(trace("a"));
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (store->health().written == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_THAT(in_file(), ElementsAre("a"));
}

TEST_F(FindingStoreTest, WithoutADirectoryItKeepsThemInMemoryAndIsContent) {
  options_.directory.clear();
  const auto store = open();
  store->add(trace("a"));
  EXPECT_THAT(paths(store->list({})), ElementsAre("a"));
  EXPECT_TRUE(store->health().ok);
  EXPECT_TRUE(store->health().in_memory);
  EXPECT_THAT(store->health().text, HasSubstr("no state directory"));
}

TEST_F(FindingStoreTest, AddsFromManyThreadsAreAllCounted) {
  const auto store = open();
  constexpr int kThreads = 4, kEach = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto& comparisons = store->comparisons("inquiry", kMethod);
      for (int i = 0; i < kEach; ++i) {
        comparisons.add();
        store->add(trace("p" + std::to_string(i % 7), "t" + std::to_string(t)));
      }
    });
  }
  for (int i = 0; i < 20; ++i) store->flush();
  for (auto& thread : threads) thread.join();
  const auto page = store->list({});
  std::uint64_t all = 0;
  for (const Finding& finding : page->findings) all += finding.count;
  EXPECT_EQ(page->findings.size(), 7u);
  EXPECT_EQ(all, static_cast<std::uint64_t>(kThreads) * kEach);
}

TEST_F(FindingStoreTest, WhatIsBeyondThePendingLimitIsDroppedAndCounted) {
  options_.limits.pending = 3;
  const auto store = open();
  store->flush();
  for (int i = 0; i < 5; ++i) store->add(trace("p" + std::to_string(i)));
  EXPECT_EQ(paths(store->list({})).size(), 3u);
  EXPECT_EQ(store->health().dropped, 2u);
  EXPECT_EQ(dropped("pending"), "2");
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"findings_pending\"}"), "2");
}

TEST_F(FindingStoreTest, MethodsBeyondTheLimitAreCountedAsSuch) {
  options_.limits.methods = 1;
  const auto store = open();
  store->comparisons("inquiry", "s/First").add();
  store->comparisons("inquiry", kMethod).add();
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"finding_methods\"}"), "1");
  store->add(trace("a"));
  EXPECT_FALSE(store->show(id_at("a"))->finding.rate.has_value()) << "a rate of what was not counted";
}

// A child commits, says so, adds without an end and is killed at whatever it does then.
TEST_F(FindingStoreTest, AKilledProcessLosesNothingThatWasCommittedAndDamagesNothing) {
  for (int round = 0; round < 3; ++round) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      options_.commit_every = 1ms;
      Metrics metrics;
      FindingStore store(options_, metrics, [this] { return now_.load(); });
      store.comparisons("inquiry", kMethod).add(1);
      store.add(trace("round" + std::to_string(round)));
      store.flush();
      if (!store.health().ok || ::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (int i = 0;; ++i) store.add(trace("p" + std::to_string(i % 900)));
    }
    ::close(ready[1]);
    char byte = 0;
    const ssize_t got = ::read(ready[0], &byte, 1);
    ::close(ready[0]);
    EXPECT_EQ(got, 1) << "the child could not commit";
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));

    const auto database = open_findings(options_.directory, options_.limits);  // looks through every page
    ASSERT_TRUE(database.has_value()) << database.error().text;
    for (int earlier = 0; earlier <= round; ++earlier) {
      const auto detail = show_finding(**database, id_at("round" + std::to_string(earlier)), now_);
      ASSERT_TRUE(detail.has_value()) << detail.error().text;
      EXPECT_EQ(detail->examples.size(), 1u);
    }
  }
}

TEST_F(FindingStoreTest, WhatAKilledProcessAddedMoreThanASecondBeforeIsThere) {
  options_.commit_every = FindingStoreOptions{}.commit_every;
  int added[2];
  ASSERT_EQ(::pipe(added), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Metrics metrics;
    FindingStore store(options_, metrics, [this] { return now_.load(); });
    store.flush();
    store.add(trace("a"));
    if (::write(added[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  ::close(added[1]);
  char byte = 0;
  EXPECT_EQ(::read(added[0], &byte, 1), 1);
  ::close(added[0]);
  const auto start = std::chrono::steady_clock::now();
  while (in_file().empty() && std::chrono::steady_clock::now() - start < 20s) std::this_thread::sleep_for(5ms);
  const auto took = std::chrono::steady_clock::now() - start;
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_THAT(in_file(), ElementsAre("a"));
  EXPECT_LT(took, 1s + 4s) << "4 s for a machine that is busy with other builds";
}

TEST_F(FindingStoreTest, ADamagedFileIsSaidLeftAloneAndFindingsGoOnInMemory) {
  std::filesystem::create_directories(options_.directory);
  const std::string damaged(20'000, '\x5a');
  write(file(), damaged);
  const auto store = open();
  store->add(trace("a"));
  EXPECT_THAT(paths(store->list({})), ElementsAre("a"));
  ASSERT_TRUE(store->acknowledge(id_at("a"), {"maria", "known", std::nullopt, {}}).has_value());
  const FindingHealth health = store->health();
  EXPECT_FALSE(health.ok);
  EXPECT_TRUE(health.in_memory);
  EXPECT_THAT(health.text, HasSubstr("in memory only"));
  EXPECT_THAT(health.text, HasSubstr("not a database"));
  EXPECT_EQ(errors("corrupt"), "1");
  EXPECT_EQ(bytes_of(file()), damaged);

  // Somebody takes it away: at the next attempt all that is in memory goes into a new one.
  std::filesystem::rename(file(), folder_ + "/damaged.db");
  store->flush();
  EXPECT_TRUE(store->health().in_memory) << "tried before its time";
  tick(options_.retry_every);
  store->add(trace("b"));
  store->flush();
  EXPECT_TRUE(store->health().ok) << store->health().text;
  EXPECT_FALSE(store->health().in_memory);
  EXPECT_THAT(in_file(), UnorderedElementsAre("a", "b"));
  const auto detail = store->show(id_at("a"));
  EXPECT_EQ(detail->finding.count, 1u);
  EXPECT_EQ(detail->finding.state, FindingState::kAcknowledged);
  EXPECT_EQ(detail->finding.acknowledgement->by, "maria");
  EXPECT_EQ(detail->tenants.names.at(0).name, "acme");
  EXPECT_EQ(detail->examples.size(), 1u);
}

// In a child, since the superuser may write everywhere.
TEST_F(FindingStoreTest, ADirectoryThatMayNotBeWrittenLeavesFindingsInMemory) {
  std::filesystem::create_directories(options_.directory);
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(options_.directory.c_str(), 0555), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
    Metrics metrics;
    FindingStore store(options_, metrics, [this] { return now_.load(); });
    store.add(trace("a"));
    const bool kept = paths(store.list({})) == std::vector<std::string>{"a"};
    const FindingHealth health = store.health();
    const bool said = !health.ok && health.in_memory && health.text.find("Permission denied") != std::string::npos;
    ::_exit(kept && said ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(FindingStoreTest, WhatWasInMemoryIsAddedToWhatTheFileHas) {
  {
    const auto store = open();
    store->comparisons("inquiry", kMethod).add(100);
    store->add(trace("a"));
  }
  std::filesystem::rename(options_.directory, folder_ + "/away");
  write(options_.directory, "in the way");
  const auto store = open();
  store->comparisons("inquiry", kMethod).add(10);
  store->add(trace("a", "globex"));
  EXPECT_EQ(store->show(id_at("a"))->finding.count, 1u);
  EXPECT_EQ(errors("open_failed"), "1");
  std::filesystem::remove(options_.directory);
  std::filesystem::rename(folder_ + "/away", options_.directory);
  tick(options_.retry_every);
  store->flush();
  const auto detail = store->show(id_at("a"));
  EXPECT_EQ(detail->finding.count, 2u);
  EXPECT_EQ(detail->finding.comparisons, 11u);
  EXPECT_EQ(detail->tenants.names.size(), 2u);
  EXPECT_EQ(written(), "2");
  EXPECT_EQ(store->health().dropped, 0u);
}

TEST_F(FindingStoreTest, DamageThatShowsWhileWritingCostsNothingThatIsPending) {
  options_.limits.pending = 5000;
  {
    const auto store = open();
    for (int i = 0; i < 2000; ++i) store->add(trace("p" + std::to_string(i)));
  }
  const auto store = open();
  store->flush();
  ASSERT_TRUE(store->health().ok) << store->health().text;
  {
    // Overwritten under it, all but the first page; what SQLite keeps of it in its cache is stale by a change of the
    // file.
    std::fstream io(file(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string rubbish(std::filesystem::file_size(file()) - 4096, '\x5a');
    io.seekp(4096);
    io << rubbish;
  }
  {
    const auto other = Database::open(file(), Database::Access::kReadWrite, 0ms);
    (*other)->run("PRAGMA user_version = 1");
  }
  for (int i = 0; i < 5; ++i) store->add(trace("new" + std::to_string(i)));
  store->flush();
  EXPECT_FALSE(store->health().ok);
  EXPECT_TRUE(store->health().in_memory) << store->health().text;
  EXPECT_EQ(paths(store->list({})).size(), 5u);
  EXPECT_EQ(store->health().dropped, 0u);
}

TEST_F(FindingStoreTest, ANewerFilesFindingsAreNotTouched) {
  { open()->flush(); }
  {
    const auto database = open_findings(options_.directory, options_.limits);
    (*database)->run("PRAGMA user_version = 9");
  }
  const auto store = open();
  store->add(trace("a"));
  EXPECT_THAT(paths(store->list({})), ElementsAre("a"));
  EXPECT_THAT(store->health().text, HasSubstr("newer ficus"));
  EXPECT_EQ(errors("newer_schema"), "1");
}

// A limit on the size of files stands for a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    old_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, old_);
  }

 private:
  rlimit before_{};
  void (*old_)(int) = nullptr;
};

TEST_F(FindingStoreTest, OnAFullDiskFindingsWaitAndAreWrittenWhenThereIsRoom) {
  options_.limits.pending = 50;
  const auto store = open();
  store->add(trace("before"));
  store->flush();
  ASSERT_TRUE(store->health().ok) << store->health().text;
  {
    const FullDisk full(std::filesystem::file_size(file() + "-wal"));
    for (int i = 0; i < 40; ++i) store->add(trace("p" + std::to_string(i)));
    store->flush();
    EXPECT_FALSE(store->health().ok);
    EXPECT_FALSE(store->health().in_memory);
    EXPECT_EQ(store->health().waiting, 40u);
    EXPECT_THAT(store->health().text, HasSubstr("wait"));
    EXPECT_EQ(errors("disk_full"), "1");
    EXPECT_THAT(paths(store->list({})), ElementsAre("before")) << "it can still be asked";
    for (int i = 40; i < 60; ++i) store->add(trace("p" + std::to_string(i)));
    store->flush();
    EXPECT_EQ(store->health().waiting, 50u);
    EXPECT_EQ(store->health().dropped, 10u) << "what waits is bounded";
    EXPECT_EQ(dropped("pending"), "10");
  }
  store->flush();
  EXPECT_TRUE(store->health().ok) << store->health().text;
  EXPECT_EQ(store->health().waiting, 0u);
  EXPECT_EQ(in_file().size(), 51u);
}

TEST_F(FindingStoreTest, WhatADiskThatStaysFullCostsIsCountedAtTheEnd) {
  const auto store = open();
  store->add(trace("before"));
  store->flush();
  const FullDisk full(std::filesystem::file_size(file() + "-wal"));
  for (int i = 0; i < 40; ++i) store->add(trace("p" + std::to_string(i)));
  store->stop();
  EXPECT_EQ(dropped("stopped"), "40");
  EXPECT_EQ(store->health().dropped, 40u);
}

TEST_F(FindingStoreTest, ADiskThatIsFullFromTheStartLeavesFindingsInMemory) {
  const FullDisk full(0);
  const auto store = open();
  store->add(trace("a"));
  EXPECT_THAT(paths(store->list({})), ElementsAre("a"));
  EXPECT_TRUE(store->health().in_memory);
  EXPECT_FALSE(store->health().ok);
}

TEST_F(FindingStoreTest, AFileThatSomebodyElseHasLockedIsWaitedForAndNotLongAtATime) {
  const auto store = open();
  store->add(trace("a"));
  store->flush();
  auto other = open_findings_to_read(options_.directory, Database::Access::kReadWrite);
  ASSERT_TRUE(other.has_value()) << other.error().text;
  (*other)->run("BEGIN IMMEDIATE");
  store->add(trace("b"));
  store->flush();
  EXPECT_EQ(store->health().waiting, 1u);
  EXPECT_EQ(errors("busy"), "1");
  (*other)->run("COMMIT");
  store->flush();
  EXPECT_THAT(in_file(), UnorderedElementsAre("a", "b"));
  EXPECT_TRUE(store->health().ok);
}

TEST_F(FindingStoreTest, TwoProcessesAddUp) {
  { open()->flush(); }
  constexpr int kEach = 200;
  std::vector<pid_t> children;
  for (int c = 0; c < 2; ++c) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Metrics metrics;
      FindingStore store(options_, metrics, [this] { return now_.load(); });
      for (int i = 0; i < kEach; ++i) {
        store.comparisons("inquiry", kMethod).add();
        store.add(trace("shared", "t" + std::to_string(c)));
        if (i % 20 == 0) store.flush();
      }
      store.stop();
      ::_exit(store.health().ok && store.health().dropped == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto detail = open()->show(id_at("shared"));
  ASSERT_TRUE(detail.has_value()) << detail.error().text;
  EXPECT_EQ(detail->finding.count, 2u * kEach);
  EXPECT_EQ(detail->finding.comparisons, 2u * kEach);
  EXPECT_EQ(detail->tenants.names.size(), 2u);
}

TEST_F(FindingStoreTest, AFileThatIsTakenAwayIsMadeAnew) {
  const auto store = open();
  store->add(trace("a"));
  store->flush();
  std::filesystem::rename(file(), folder_ + "/kept.db");
  store->add(trace("b"));
  store->flush();
  EXPECT_THAT(in_file(), ElementsAre("b"));
  std::filesystem::create_directories(folder_ + "/kept");
  std::filesystem::rename(folder_ + "/kept.db", folder_ + "/kept/findings.db");
  options_.directory = folder_ + "/kept";
  EXPECT_THAT(in_file(), ElementsAre("a")) << "what was committed before is whole in the one that was taken";
  EXPECT_TRUE(store->health().ok) << store->health().text;
}

TEST_F(FindingStoreTest, AfterTheEndNothingHarmsAndNothingIsWritten) {
  const auto store = open();
  store->stop();
  store->add(trace("late"));
  store->stop();
  EXPECT_THAT(in_file(), IsEmpty());
}

TEST_F(FindingStoreTest, ItsSeriesAreThereAsZeroFromTheStart) {
  const auto store = open();
  store->flush();
  EXPECT_EQ(written(), "0");
  for (const char* reason : {"pending", "internal", "stopped"}) EXPECT_EQ(dropped(reason), "0") << reason;
  for (const char* fault :
       {"disk_full", "corrupt", "busy", "read_only", "open_failed", "io_error", "newer_schema", "foreign", "other"}) {
    EXPECT_EQ(errors(fault), "0") << fault;
  }
}

}  // namespace
}  // namespace ficus
