#include "facade/control/file_watcher.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>

#include "tests/facade/control/control_test_support.h"

namespace ficus {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr auto kSettle = 20ms;
constexpr auto kNeverPoll = 1h;

// Watches some files and counts what settled; like PolicyStore, it looks at the stamps whenever it is told.
struct Watched {
  explicit Watched(std::vector<std::string> paths, FileWatcherOptions options = {kSettle, kNeverPoll, true})
      : files(std::move(paths)), watcher(io, options, [this] {
          ++settled;
          seen = stamps();
          watcher.watch(files, seen);
        }) {
    seen = stamps();
    watcher.watch(files, seen);
  }
  std::vector<FileStamp> stamps() const {
    std::vector<FileStamp> now;
    for (const std::string& file : files) now.push_back(stamp_of(file));
    return now;
  }
  // Until what was seen last is what is there.
  bool up_to_date() {
    return run_until(io, [this] { return settled > 0 && seen == stamps(); });
  }
  // Until a change made now is seen.
  bool sees(const std::function<void()>& change) {
    const int before = settled;
    change();
    return run_until(io, [&] { return settled > before && seen == stamps(); });
  }

  asio::io_context io;
  std::vector<std::string> files;
  std::vector<FileStamp> seen;
  int settled = 0;
  FileWatcher watcher;
};

// The ways in which editors, config management and Kubernetes save a file.
TEST(FileWatcherTest, SeesEveryWayOfSaving) {
  struct {
    const char* name;
    std::function<void(const TempDir&)> change;
  } const cases[] = {
      {"write in place", [](const TempDir& d) { write_file(d / "policy", "new"); }},
      {"the same bytes again", [](const TempDir& d) { write_file(d / "policy", "old"); }},
      {"rename over (vim with backupcopy=no, sed -i, Ansible)",
       [](const TempDir& d) { replace_file(d / "policy", "new"); }},
      {"backup, write, remove the backup (Emacs)",
       [](const TempDir& d) {
         std::rename((d / "policy").c_str(), (d / "policy~").c_str());
         write_file(d / "policy", "new");
         ::unlink((d / "policy~").c_str());
       }},
      {"delete and create",
       [](const TempDir& d) {
         ::unlink((d / "policy").c_str());
         write_file(d / "policy", "new");
       }},
      {"hard link over",
       [](const TempDir& d) {
         write_file(d / "other", "new");
         ::unlink((d / "policy").c_str());
         ASSERT_EQ(::link((d / "other").c_str(), (d / "policy").c_str()), 0);
       }},
      {"symbolic link over",
       [](const TempDir& d) {
         write_file(d / "other", "new");
         replace_link("other", d / "policy");
       }},
      {"append", [](const TempDir& d) { std::ofstream(d / "policy", std::ios::app) << "more"; }},
      {"chmod", [](const TempDir& d) { ::chmod((d / "policy").c_str(), 0600); }},
      {"delete", [](const TempDir& d) { ::unlink((d / "policy").c_str()); }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    TempDir dir;
    write_file(dir / "policy", "old");
    Watched watched({dir / "policy"});
    EXPECT_TRUE(watched.sees([&] { c.change(dir); }));
    // And again: the watches follow to the file that took its place.
    EXPECT_TRUE(watched.sees([&] { write_file(dir / "policy", "in place, afterwards"); }));
    EXPECT_TRUE(watched.sees([&] { replace_file(dir / "policy", "renamed, afterwards"); }));
  }
}

// As the kubelet lays out a ConfigMap: policy -> ..data/policy, ..data -> ..2024_1; an update is one rename of ..data.
TEST(FileWatcherTest, SeesKubernetesSwapItsDataLink) {
  TempDir dir;
  make_directory(dir / "..2024_1");
  write_file(dir / "..2024_1/policy", "1");
  write_file(dir / "..2024_1/schema", "1");
  make_link("..2024_1", dir / "..data");
  make_link("..data/policy", dir / "policy");
  make_link("..data/schema", dir / "schema");
  Watched watched({dir / "policy", dir / "schema"});
  for (int n = 2; n < 5; ++n) {
    SCOPED_TRACE(n);
    const std::string next = "..2024_" + std::to_string(n), last = "..2024_" + std::to_string(n - 1);
    EXPECT_TRUE(watched.sees([&] {
      make_directory(dir / next);
      write_file(dir / (next + "/policy"), std::to_string(n));
      write_file(dir / (next + "/schema"), std::to_string(n));
      replace_link(next, dir / "..data");
      ::unlink((dir / (last + "/policy")).c_str());
      ::unlink((dir / (last + "/schema")).c_str());
      ::rmdir((dir / last).c_str());
    }));
    EXPECT_EQ(read_file(dir / "policy"), std::to_string(n));
  }
  EXPECT_TRUE(watched.sees([&] { write_file(dir / "..2024_4/policy", "behind two links, in place"); }));
}

TEST(FileWatcherTest, SeesDirectoriesOnTheWayReplaced) {
  TempDir dir;
  make_directory(dir / "release-1");
  make_directory(dir / "release-1/etc");
  write_file(dir / "release-1/etc/policy", "1");
  make_directory(dir / "release-2");
  make_directory(dir / "release-2/etc");
  write_file(dir / "release-2/etc/policy", "22");
  make_link("release-1", dir / "current");
  Watched watched({dir / "current/etc/policy"});
  EXPECT_TRUE(watched.sees([&] { replace_link("release-2", dir / "current"); })) << "a link two steps above";
  EXPECT_TRUE(watched.sees([&] { write_file(dir / "release-2/etc/policy", "in the new place"); }));
  EXPECT_TRUE(watched.sees([&] {
    std::rename((dir / "release-2/etc").c_str(), (dir / "release-2/gone").c_str());
    make_directory(dir / "release-2/etc");
    write_file(dir / "release-2/etc/policy", "the directory itself");
  }));
  EXPECT_TRUE(watched.sees([&] { replace_file(dir / "release-2/etc/policy", "in that one too"); }));
}

TEST(FileWatcherTest, SeesAPathThatAppearsStepByStep) {
  TempDir dir;
  Watched watched({dir / "a/b/policy"});
  make_directory(dir / "a");
  make_directory(dir / "a/b");
  write_file(dir / "a/b/policy", "at last");
  EXPECT_TRUE(watched.up_to_date());
  EXPECT_TRUE(watched.seen[0].present);
  EXPECT_TRUE(watched.sees([&] { write_file(dir / "a/b/policy", "and goes on changing"); }));
}

TEST(FileWatcherTest, AChangeBeforeTheWatchIsNotLost) {
  TempDir dir;
  write_file(dir / "policy", "read");
  asio::io_context io;
  int settled = 0;
  FileWatcher watcher(io, {kSettle, kNeverPoll, true}, [&] { ++settled; });
  const std::vector<FileStamp> when_read = {stamp_of(dir / "policy")};
  replace_file(dir / "policy", "changed meanwhile");
  watcher.watch({dir / "policy"}, when_read);
  EXPECT_TRUE(run_until(io, [&] { return settled == 1; }));
}

TEST(FileWatcherTest, OneSettlingForManyQuickChanges) {
  TempDir dir;
  write_file(dir / "policy", "0");
  Watched watched({dir / "policy"}, {200ms, kNeverPoll, true});
  for (int i = 1; i <= 50; ++i) replace_file(dir / "policy", std::to_string(i));
  EXPECT_TRUE(watched.up_to_date());
  EXPECT_EQ(watched.settled, 1);
}

// A writer that keeps the file open is waited for, however long it pauses.
TEST(FileWatcherTest, AFileBeingWrittenIsNotReadBeforeItIsClosed) {
  TempDir dir;
  write_file(dir / "policy", "old");
  Watched watched({dir / "policy", dir / "other"});
  std::ofstream writer(dir / "policy", std::ios::trunc);
  writer << "half of it" << std::flush;
  watched.io.run_for(kSettle * 5);
  EXPECT_EQ(watched.settled, 0);
  writer << "the other half" << std::flush;
  watched.io.restart();
  watched.io.run_for(kSettle * 5);
  EXPECT_EQ(watched.settled, 0);
  writer.close();
  EXPECT_TRUE(watched.up_to_date());
  EXPECT_EQ(watched.settled, 1);

  std::ofstream creator(dir / "other");  // the same for a file that is new
  creator << "half" << std::flush;
  watched.io.restart();
  watched.io.run_for(kSettle * 5);
  EXPECT_EQ(watched.settled, 1);
  creator.close();
  EXPECT_TRUE(run_until(watched.io, [&] { return watched.settled == 2; }));
}

TEST(FileWatcherTest, OtherFilesOfTheDirectoryAreNobodysBusiness) {
  TempDir dir;
  write_file(dir / "policy", "x");
  Watched watched({dir / "policy"});
  for (int i = 0; i < 20; ++i) {
    write_file(dir / "other", "x");
    replace_file(dir / "another", "x");
  }
  watched.io.run_for(kSettle * 5);
  EXPECT_EQ(watched.settled, 0);
}

TEST(FileWatcherTest, WithoutEventsAPollSeesTheChange) {
  TempDir dir;
  write_file(dir / "policy", "old");
  Watched watched({dir / "policy"}, {5ms, 10ms, false});
  EXPECT_TRUE(watched.sees([&] { replace_file(dir / "policy", "new"); }));
  EXPECT_TRUE(watched.sees([&] { ::unlink((dir / "policy").c_str()); }));
  EXPECT_TRUE(watched.sees([&] { write_file(dir / "policy", "back"); }));
  const int settled = watched.settled;
  watched.io.restart();
  watched.io.run_for(100ms);
  EXPECT_EQ(watched.settled, settled) << "a poll that sees nothing new says nothing";
}

TEST(FileWatcherTest, MayBeDestroyedWithAChangePending) {
  TempDir dir;
  write_file(dir / "policy", "old");
  asio::io_context io;
  int settled = 0;
  {
    FileWatcher watcher(io, {kSettle, 1ms, true}, [&] { ++settled; });
    watcher.watch({dir / "policy"}, {stamp_of(dir / "policy")});
    write_file(dir / "policy", "new");
    io.run_one_for(1s);
  }
  io.restart();
  io.run_for(kSettle * 3);
  EXPECT_EQ(settled, 0);
}

}  // namespace
}  // namespace ficus
