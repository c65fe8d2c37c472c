#include "facade/net/file_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace ficus {
namespace {

// Puts the limits back as they were.
class FileLimitTest : public testing::Test {
 protected:
  FileLimitTest() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~FileLimitTest() override { ::setrlimit(RLIMIT_NOFILE, &before_); }
  rlimit before_{};
};

TEST_F(FileLimitTest, TheSoftLimitIsRaisedToTheHardOne) {
  rlimit low = before_;
  low.rlim_cur = 128;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const FileLimit limit = raise_file_limit();
  EXPECT_EQ(limit.before, 128u);
  EXPECT_EQ(limit.now, before_.rlim_max);
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, before_.rlim_max);
}

TEST_F(FileLimitTest, ALimitThatIsTheHardOneAlreadyStays) {
  raise_file_limit();
  const FileLimit again = raise_file_limit();
  EXPECT_EQ(again.before, again.now);
}

TEST_F(FileLimitTest, TooLowALimitIsSaidWithWhatIsNeeded) {
  testing::internal::CaptureStderr();
  raise_file_limit_and_log(std::uint64_t{1} << 40);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("file_limit_low"), std::string::npos) << log;
  EXPECT_NE(log.find("needed=" + std::to_string((std::uint64_t{1} << 40) + kReservedFiles)), std::string::npos) << log;
  testing::internal::CaptureStderr();
  raise_file_limit_and_log(1);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("file_limit_low"), std::string::npos);
}

}  // namespace
}  // namespace ficus
