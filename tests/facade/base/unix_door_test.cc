#include "facade/base/unix_door.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace ficus {
namespace {

class UnixDoorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "ficus-door-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    dir_ = path;
    path_ = path + "/door.sock";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  static mode_t mode_of(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(dir_), std::filesystem::directory_iterator()));
  }
  std::string dir_, path_;
};

TEST_F(UnixDoorTest, ItsModeIs0600WhateverTheUmaskIs) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{0277}, mode_t{0777}}) {
    const mode_t before = ::umask(mask);
    const auto door = put_door(path_, SOCK_STREAM);
    ::umask(before);
    ASSERT_TRUE(door) << door.error();
    EXPECT_EQ(mode_of(path_), mode_t{0600}) << "umask " << std::oct << mask;
    EXPECT_EQ(entries(), 1u) << "something is left beside it";
  }
}

TEST_F(UnixDoorTest, NobodyAndTheDeadAreNobodyAndTheLivingIsSomebody) {
  ASSERT_TRUE(look_at_door(path_, SOCK_STREAM));
  EXPECT_FALSE(*look_at_door(path_, SOCK_STREAM)) << "nothing is there";
  {
    const auto door = put_door(path_, SOCK_STREAM);
    ASSERT_TRUE(door);
    const auto seen = look_at_door(path_, SOCK_STREAM);
    ASSERT_TRUE(seen) << seen.error();
    ASSERT_TRUE(*seen) << "it listens and was taken for dead";
    const PeerProcess peer = peer_process(seen->get());
    EXPECT_EQ(peer.pid, ::getpid());
    EXPECT_TRUE(peer.trusted());
    std::filesystem::rename(path_, path_ + ".kept");
  }
  std::filesystem::rename(path_ + ".kept", path_);  // as a killed process leaves it
  const auto dead = look_at_door(path_, SOCK_STREAM);
  ASSERT_TRUE(dead) << dead.error();
  EXPECT_FALSE(*dead);
  EXPECT_TRUE(put_door(path_, SOCK_STREAM)) << "a dead one's name is not replaced";
}

TEST_F(UnixDoorTest, WhatMayNotBeReplacedIsAnErrorAndIsLeftAlone) {
  std::ofstream(path_) << "precious";
  auto seen = look_at_door(path_, SOCK_STREAM);
  ASSERT_FALSE(seen);
  EXPECT_NE(seen.error().find("no socket"), std::string::npos) << seen.error();
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("elsewhere", path_);
  seen = look_at_door(path_, SOCK_STREAM);
  ASSERT_FALSE(seen);
  EXPECT_NE(seen.error().find("symbolic link"), std::string::npos) << seen.error();
  std::filesystem::remove(path_);
  const auto other_kind = put_door(path_, SOCK_SEQPACKET);
  ASSERT_TRUE(other_kind);
  seen = look_at_door(path_, SOCK_STREAM);
  ASSERT_FALSE(seen);
  EXPECT_NE(seen.error().find("another program's"), std::string::npos) << seen.error();
  EXPECT_TRUE(other_kind->named());
}

TEST_F(UnixDoorTest, APathThatIsTooLongSaysHowLongItMayBe) {
  const std::string longest = dir_ + "/" + std::string(longest_door_path() - dir_.size() - 1, 'x');
  EXPECT_TRUE(put_door(longest, SOCK_STREAM)) << "the longest that is allowed does not fit";
  const auto refused = put_door(longest + "x", SOCK_STREAM);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("too long"), std::string::npos) << refused.error();
  EXPECT_NE(refused.error().find("at most " + std::to_string(longest_door_path())), std::string::npos)
      << refused.error();
  EXPECT_FALSE(look_at_door(std::string(200, 'x'), SOCK_STREAM));
}

TEST_F(UnixDoorTest, AMissingDirectoryIsNamed) {
  const std::string path = dir_ + "/missing/door.sock";
  const auto lock = lock_door_directory(path);
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().find(dir_ + "/missing"), std::string::npos) << lock.error();
  EXPECT_FALSE(put_door(path, SOCK_STREAM));
}

TEST_F(UnixDoorTest, ClosingRemovesItsOwnNameAndNobodyElses) {
  auto first = put_door(path_, SOCK_STREAM);
  ASSERT_TRUE(first);
  auto second = put_door(path_, SOCK_STREAM);  // a successor
  ASSERT_TRUE(second);
  EXPECT_FALSE(first->named());
  first->close();
  EXPECT_TRUE(second->named()) << "the successor's name is gone";
  second->close();
  EXPECT_FALSE(std::filesystem::exists(path_));
  second->close();  // once more is nothing
}

TEST(PeerProcessTest, OnlyOurOwnUserAndRootAreTrusted) {
  EXPECT_TRUE((PeerProcess{1, ::geteuid()}.trusted()));
  EXPECT_TRUE((PeerProcess{1, 0}.trusted()));
  EXPECT_FALSE((PeerProcess{1, ::geteuid() + 1}.trusted()));
  EXPECT_FALSE(peer_process(-1).trusted()) << "who cannot be asked for is nobody to trust";
}

}  // namespace
}  // namespace ficus
