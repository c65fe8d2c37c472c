#include "facade/control/policy_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "tests/facade/control/control_test_support.h"

namespace ficus {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Kind = FileError::Kind;

constexpr std::size_t kLimit = 1000;

Result<FileContent, FileError> read_policy(const std::string& path, std::size_t limit) {
  return PolicyDirectory(directory_of(path)).read_policy(name_of(path), limit);
}

TEST(ReadPolicyTest, RefusesWhatIsNoPlainFileWithoutWaitingForIt) {
  TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (dir / "socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  make_link("loop", dir / "loop");
  make_link("nowhere", dir / "dangling");
  write_file(dir / "big", std::string(kLimit + 1, 'x'));
  write_file(dir / "plain", "x");

  struct {
    const char* name;
    std::string path;
    Kind kind;
    const char* why;
  } const cases[] = {
      {"missing", dir / "missing", Kind::kMissing, "no such file"},
      {"a file as directory", dir / "plain/x", Kind::kMissing, "not a directory"},
      {"directory", dir.path(), Kind::kUnreadable, "is a directory"},
      {"FIFO", dir / "fifo", Kind::kUnreadable, "named pipe"},
      {"socket", dir / "socket", Kind::kUnreadable, "is a socket"},
      {"device", "/dev/zero", Kind::kUnreadable, "is a device"},
      {"link to itself", dir / "loop", Kind::kUnreadable, "symbolic links"},
      {"dangling link", dir / "dangling", Kind::kMissing, "no such file"},
      {"too large", dir / "big", Kind::kTooLarge, "larger than 1000 bytes"},
      {"empty path", "", Kind::kMissing, "no such file"},
      {"a slash at the end", dir.path() + "/", Kind::kUnreadable, "is a directory"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto content = read_policy(c.path, kLimit);
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().kind, c.kind);
    EXPECT_THAT(content.error().why, HasSubstr(c.why));
  }
}

TEST(ReadPolicyTest, GivesEveryByteAndTheStampOfWhatWasRead) {
  TempDir dir;
  const std::string bytes = std::string("a\0b\n\xff", 5) + std::string(900, 'z');
  write_file(dir / "file", bytes);
  make_link("file", dir / "link");
  make_link(dir / "file", dir / "absolute");
  make_directory(dir / "below");
  make_link("../file", dir / "below/link");
  for (const char* name : {"file", "link", "absolute", "below/link"}) {
    const auto content = read_policy(dir / name, kLimit);
    ASSERT_TRUE(content) << content.error().why;
    EXPECT_EQ(content->bytes, bytes);
    EXPECT_EQ(content->stamp, stamp_of(dir / name));
  }
  write_file(dir / "exact", std::string(kLimit, 'x'));
  EXPECT_TRUE(read_policy(dir / "exact", kLimit));
  write_file(dir / "empty", "");
  EXPECT_EQ(read_policy(dir / "empty", kLimit)->bytes, "");
}

TEST(ReadPolicyTest, SaysWhetherOthersMayReadIt) {
  TempDir dir;
  write_file(dir / "secret", "x");
  ::chmod((dir / "secret").c_str(), 0640);
  EXPECT_FALSE(read_policy(dir / "secret", kLimit)->readable_by_others);
  ::chmod((dir / "secret").c_str(), 0644);
  EXPECT_TRUE(read_policy(dir / "secret", kLimit)->readable_by_others);
}

TEST(StampTest, DiffersAfterEveryKindOfChange) {
  TempDir dir;
  struct {
    const char* name;
    std::function<void(const std::string&)> change;
  } const cases[] = {
      {"longer", [](const std::string& p) { write_file(p, "longer"); }},
      {"replaced by an equal file", [](const std::string& p) { replace_file(p, "x"); }},
      {"removed", [](const std::string& p) { ::unlink(p.c_str()); }},
      {"back-dated",
       [](const std::string& p) {
         const timespec times[2] = {{1, 0}, {1, 0}};
         ::utimensat(AT_FDCWD, p.c_str(), times, 0);
       }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    write_file(dir / "file", "x");
    const FileStamp before = stamp_of(dir / "file");
    EXPECT_EQ(before, stamp_of(dir / "file"));
    c.change(dir / "file");
    EXPECT_NE(before, stamp_of(dir / "file"));
  }
}

class ReadBeneathTest : public ::testing::Test {
 protected:
  // outside/secret, and policy/ with plain files and every kind of link.
  void SetUp() override {
    make_directory(dir_ / "outside");
    write_file(dir_ / "outside/secret", "outside");
    make_directory(policy_);
    make_directory(policy_ + "/certs");
    write_file(policy_ + "/plain", "plain");
    write_file(policy_ + "/certs/ca.pem", "ca");
    make_directory(policy_ + "/..2024_x");
    write_file(policy_ + "/..2024_x/mounted", "mounted");
    make_link("..2024_x", policy_ + "/..data");
    make_link("..data/mounted", policy_ + "/mounted");
    make_link("certs/../plain", policy_ + "/around");
    make_link("../plain", policy_ + "/certs/up");
    make_link("../outside/secret", policy_ + "/escape");
    make_link("../../outside/secret", policy_ + "/certs/escape");
    make_link("../outside", policy_ + "/escape-directory");
    make_link(policy_ + "/plain", policy_ + "/absolute");
    make_link("/etc/passwd", policy_ + "/passwd");
    make_link("loop", policy_ + "/loop");
    make_link("certs", policy_ + "/to-directory");
    make_link("..", policy_ + "/parent");
  }

  TempDir dir_;
  std::string policy_ = dir_ / "policy";
};

TEST_F(ReadBeneathTest, FollowsLinksThatStayInside) {
  struct {
    const char* name;
    const char* want;
  } const cases[] = {
      {"plain", "plain"},     {"certs/ca.pem", "ca"},        {"./certs//ca.pem", "ca"},
      {"mounted", "mounted"}, {"..data/mounted", "mounted"}, {"around", "plain"},
      {"certs/up", "plain"},  {"to-directory/ca.pem", "ca"}, {"to-directory/up", "plain"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto content = PolicyDirectory(policy_).read_beneath(c.name, kLimit);
    ASSERT_TRUE(content) << content.error().why;
    EXPECT_EQ(content->bytes, c.want);
    EXPECT_EQ(content->stamp, stamp_of(policy_ + "/" + c.name));
  }
}

TEST_F(ReadBeneathTest, NeverLeadsOutside) {
  struct {
    std::string name;
    Kind kind;
    const char* why;
  } const cases[] = {
      {"escape", Kind::kOutside, "leads above"},
      {"certs/escape", Kind::kOutside, "leads above"},
      {"escape-directory/secret", Kind::kOutside, "leads above"},
      {"parent/outside/secret", Kind::kOutside, "leads above"},
      {"../outside/secret", Kind::kOutside, "leads above"},
      {"certs/../plain", Kind::kOutside, "leads above"},
      {"/etc/passwd", Kind::kOutside, "absolute path"},
      {policy_ + "/plain", Kind::kOutside, "absolute path"},
      {"passwd", Kind::kOutside, "absolute path"},
      {"absolute", Kind::kOutside, "absolute path"},
      {"", Kind::kOutside, "not a file name"},
      {".", Kind::kOutside, "not a file name"},
      {std::string("plain\0/x", 8), Kind::kOutside, "not a file name"},
      {"loop", Kind::kUnreadable, "too many symbolic links"},
      {"certs", Kind::kUnreadable, "is a directory"},
      {"to-directory", Kind::kUnreadable, "is a directory"},
      {"plain/x", Kind::kMissing, "not a directory"},
      {"missing", Kind::kMissing, "no such file"},
      {"certs/missing", Kind::kMissing, "no such file"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto content = PolicyDirectory(policy_).read_beneath(c.name, kLimit);
    ASSERT_FALSE(content) << content->bytes;
    EXPECT_EQ(content.error().kind, c.kind) << content.error().why;
    EXPECT_THAT(content.error().why, HasSubstr(c.why));
  }
}

TEST_F(ReadBeneathTest, TheDirectoryItselfMayBeReachedThroughLinks) {
  make_link("policy", dir_ / "current");
  EXPECT_EQ(PolicyDirectory(dir_ / "current").read_beneath("mounted", kLimit)->bytes, "mounted");
  EXPECT_EQ(PolicyDirectory(dir_ / "nowhere").read_beneath("plain", kLimit).error().kind, Kind::kMissing);
}

// A directory swapped for a link while it is walked: what is read is what stands inside, or nothing.
TEST_F(ReadBeneathTest, ASwapWhileItIsReadNeverLeadsOutside) {
  write_file(dir_ / "outside/ca.pem", "outside");
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    const std::string certs = policy_ + "/certs", aside = policy_ + "/aside", link = policy_ + "/link";
    make_link("../outside", link);
    while (!stop) {
      std::rename(certs.c_str(), aside.c_str());
      std::rename(link.c_str(), certs.c_str());
      std::rename(certs.c_str(), link.c_str());
      std::rename(aside.c_str(), certs.c_str());
    }
  });
  std::size_t read = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (int i = 0; i < 5000 || (read == 0 && std::chrono::steady_clock::now() < deadline); ++i) {
    const auto content = PolicyDirectory(policy_).read_beneath("certs/ca.pem", kLimit);
    if (!content) continue;
    ++read;
    ASSERT_EQ(content->bytes, "ca");
  }
  stop = true;
  attacker.join();
  EXPECT_GT(read, 0u);
}

TEST(PolicyDirectoryTest, ALinkLeadsOneReadingWhereItLedFirst) {
  TempDir dir;
  for (const char* release : {"one", "two"}) {
    make_directory(dir / release);
    for (const char* file : {"a", "b"}) write_file(dir / (std::string(release) + "/" + file), release);
  }
  make_link("one", dir / "..data");
  for (const char* file : {"a", "b"}) make_link(std::string("..data/") + file, dir / file);
  PolicyDirectory reading(dir.path());
  EXPECT_EQ(reading.read_policy("a", kLimit)->bytes, "one");
  replace_link("two", dir / "..data");
  EXPECT_EQ(reading.read_beneath("b", kLimit)->bytes, "one") << "of another release than what was read before";
  EXPECT_EQ(PolicyDirectory(dir.path()).read_beneath("b", kLimit)->bytes, "two") << "a new reading sees old links";
}

TEST(PathTest, TheDirectoryIsThatOfTheNameAsGiven) {
  EXPECT_EQ(directory_of("policy.yaml"), ".");
  EXPECT_EQ(directory_of("/policy.yaml"), "/");
  EXPECT_EQ(directory_of("a/b/../policy.yaml"), "a/b/..");
  EXPECT_EQ(name_of("policy.yaml"), "policy.yaml");
  EXPECT_EQ(name_of("a/b/../policy.yaml"), "policy.yaml");
  EXPECT_EQ(name_of("a/"), ".");
  EXPECT_EQ(absolute_path("/a"), "/a");
  EXPECT_THAT(absolute_path("a/b"), ::testing::EndsWith("/a/b"));
}

}  // namespace
}  // namespace ficus
