#include "facade/trace/jsonl_sink.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facade/metrics/families.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace fs = std::filesystem;

class JsonlSinkTest : public testing::Test {
 protected:
  JsonlSinkTest() {
    std::string name = testing::TempDir() + "/ficus-traces-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    options_.path = folder_ + "/mismatches.jsonl";
  }
  ~JsonlSinkTest() override { fs::remove_all(folder_); }

  std::unique_ptr<JsonlSink> open() {
    auto sink = JsonlSink::open(options_, metrics_, [this] { return now_; });
    EXPECT_TRUE(sink.has_value()) << sink.error();
    return std::move(*sink);
  }
  static MismatchTrace trace(const std::string& id) {
    MismatchTrace out;
    out.set_trace_id(id);
    return out;
  }
  std::string text(const std::string& suffix = "") const {
    std::ifstream file(options_.path + suffix);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  // The trace ids of a file's lines; "torn" for a line that is not JSON.
  std::vector<std::string> ids(const std::string& suffix = "") const {
    std::vector<std::string> out;
    std::istringstream lines(text(suffix));
    for (std::string line; std::getline(lines, line);) {
      MismatchTrace parsed;
      out.push_back(google::protobuf::util::JsonStringToMessage(line, &parsed).ok() ? parsed.trace_id() : "torn");
    }
    return out;
  }
  std::string metric(const std::string& line) {
    const std::string all = metrics_.expose();
    const std::size_t at = all.find(line);
    return at == std::string::npos ? "" : all.substr(at + line.size() + 1, all.find('\n', at) - at - line.size() - 1);
  }

  std::string folder_;
  JsonlSinkOptions options_;
  Metrics metrics_;
  std::chrono::steady_clock::time_point now_{};
};

TEST_F(JsonlSinkTest, EachTraceIsOneLineInAPrivateFile) {
  const auto sink = open();
  sink->write(trace("a\nb"));
  sink->write(trace("c"));
  EXPECT_EQ(text(), "{\"traceId\":\"a\\nb\"}\n{\"traceId\":\"c\"}\n");
  struct stat info {};
  ASSERT_EQ(::stat(options_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(metric("ficus_traces_total{outcome=\"written\",reason=\"\"}"), "2");
}

TEST_F(JsonlSinkTest, FileThatOthersCouldReadIsMadePrivate) {
  std::ofstream(options_.path) << "{}\n";
  ::chmod(options_.path.c_str(), 0644);
  open();
  struct stat info {};
  ASSERT_EQ(::stat(options_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(JsonlSinkTest, WhatIsThereIsKept) {
  open()->write(trace("1"));
  open()->write(trace("2"));
  EXPECT_THAT(ids(), ElementsAre("1", "2"));
}

TEST_F(JsonlSinkTest, LineThatSomebodyLeftTornIsFencedOff) {
  std::ofstream(options_.path) << "{\"traceId\":\"1\"}\n{\"traceId\":\"2";
  const auto sink = open();
  sink->write(trace("3"));
  sink->write(trace("4"));
  EXPECT_THAT(ids(), ElementsAre("1", "torn", "3", "4"));
}

TEST_F(JsonlSinkTest, RotatesBySizeAndKeepsSoManyFiles) {
  options_.max_bytes = 40;  // two lines of 18 bytes
  options_.keep = 2;
  const auto sink = open();
  for (int i = 10; i < 19; ++i) sink->write(trace(std::to_string(i)));
  EXPECT_THAT(ids(), ElementsAre("18"));
  EXPECT_THAT(ids(".1"), ElementsAre("16", "17"));
  EXPECT_THAT(ids(".2"), ElementsAre("14", "15"));
  EXPECT_FALSE(fs::exists(options_.path + ".3"));
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"mismatch_log_bytes\"}"), "4");
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"mismatch_log_files\"}"), "2");
  for (const char* suffix : {"", ".1", ".2"}) {
    struct stat info {};
    ASSERT_EQ(::stat((options_.path + suffix).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(JsonlSinkTest, LineLongerThanAFileHasAFileOfItsOwn) {
  options_.max_bytes = 40;
  const auto sink = open();
  const std::string big(100, 'x');
  sink->write(trace("1"));
  sink->write(trace(big));
  sink->write(trace("2"));
  EXPECT_THAT(ids(".2"), ElementsAre("1"));
  EXPECT_THAT(ids(".1"), ElementsAre(big));
  EXPECT_THAT(ids(), ElementsAre("2"));
}

TEST_F(JsonlSinkTest, FileRenamedOrRemovedIsFollowedByANewOne) {
  const auto sink = open();
  sink->write(trace("1"));
  fs::rename(options_.path, options_.path + "-20261120");
  sink->write(trace("2"));
  EXPECT_THAT(ids("-20261120"), ElementsAre("1"));
  EXPECT_THAT(ids(), ElementsAre("2"));
  fs::remove(options_.path);
  sink->write(trace("3"));
  EXPECT_THAT(ids(), ElementsAre("3"));
  // logrotate's copytruncate
  fs::resize_file(options_.path, 0);
  sink->write(trace("4"));
  EXPECT_THAT(ids(), ElementsAre("4"));
}

TEST_F(JsonlSinkTest, FullDiskCostsTracesUntilThereIsSpace) {
  fs::create_symlink("/dev/full", options_.path);
  const auto sink = open();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 5; ++i) sink->write(trace("lost"));
  now_ += std::chrono::seconds(59);
  sink->write(trace("lost"));
  const std::string first_minute = testing::internal::GetCapturedStderr();
  EXPECT_THAT(first_minute, HasSubstr("mismatch_traces_dropped"));
  EXPECT_THAT(first_minute, HasSubstr("No space left on device"));
  EXPECT_EQ(first_minute.find("mismatch_traces_dropped"), first_minute.rfind("mismatch_traces_dropped"))
      << first_minute;

  testing::internal::CaptureStderr();
  now_ += std::chrono::seconds(2);
  sink->write(trace("lost"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("dropped=6"));
  EXPECT_EQ(metric("ficus_traces_total{outcome=\"dropped\",reason=\"disk_full\"}"), "7");

  fs::remove(options_.path);  // "space is back"
  testing::internal::CaptureStderr();
  sink->write(trace("kept"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("lost=7"));
  EXPECT_THAT(ids(), ElementsAre("kept"));
}

TEST_F(JsonlSinkTest, LineThatDoesNotFitIsTakenBackWhole) {
  const auto sink = open();
  sink->write(trace("1"));
  const auto size = fs::file_size(options_.path);
  // A limit on file sizes stands in for a disk that fills up in the middle of a line.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = before;
  tight.rlim_cur = size + 5;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  sink->write(trace("lost"));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(fs::file_size(options_.path), size);
  sink->write(trace("2"));
  EXPECT_THAT(ids(), ElementsAre("1", "2"));
  EXPECT_EQ(metric("ficus_traces_total{outcome=\"dropped\",reason=\"disk_full\"}"), "1");
}

TEST_F(JsonlSinkTest, FolderThatGoesAwayCostsTracesUntilItIsBack) {
  const auto sink = open();
  fs::remove_all(folder_);
  sink->write(trace("lost"));
  EXPECT_EQ(metric("ficus_traces_total{outcome=\"dropped\",reason=\"open_failed\"}"), "1");
  fs::create_directory(folder_);
  sink->write(trace("kept"));
  EXPECT_THAT(ids(), ElementsAre("kept"));
}

TEST_F(JsonlSinkTest, PathThatCannotBeOpenedIsRefusedAtStart) {
  options_.path = folder_ + "/none/mismatches.jsonl";
  const auto sink = JsonlSink::open(options_, metrics_);
  ASSERT_FALSE(sink.has_value());
  EXPECT_THAT(sink.error(), HasSubstr(options_.path));
  EXPECT_THAT(sink.error(), HasSubstr("No such file or directory"));
}

TEST_F(JsonlSinkTest, LinesOfManyThreadsStayWhole) {
  options_.max_bytes = 4000;
  options_.keep = 100;
  const auto sink = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) sink->write(trace(std::string(static_cast<std::size_t>(i % 50) + 1, 'x')));
    });
  }
  for (std::thread& thread : threads) thread.join();
  sink->flush();
  std::size_t lines = ids().size();
  EXPECT_THAT(ids(), Not(testing::Contains("torn")));
  for (int n = 1; fs::exists(options_.path + "." + std::to_string(n)); ++n) {
    const auto rotated = ids("." + std::to_string(n));
    EXPECT_THAT(rotated, Not(testing::Contains("torn")));
    lines += rotated.size();
  }
  EXPECT_EQ(lines, 800u);
}

// A collector that reads a pipe and hangs must cost traces: a write that waited would hold a compare thread, and the
// shutdown that joins it.
TEST_F(JsonlSinkTest, APipeNobodyReadsCostsTracesAndNeverWaits) {
  ASSERT_EQ(::mkfifo(options_.path.c_str(), 0600), 0);
  const auto sink = open();
  // More than a pipe holds (64 KiB by default).
  for (int i = 0; i < 3000; ++i) sink->write(trace(std::string(32, 'a')));
  EXPECT_NE(metric("ficus_traces_total{outcome=\"dropped\",reason=\"reader_stalled\"}"), "");
  EXPECT_NE(metric("ficus_traces_total{outcome=\"written\",reason=\"\"}"), "");
}

TEST_F(JsonlSinkTest, TwoWritersOfOneLogLoseAndTearNothingWhileItRotates) {
  // A facade and its successor: two sinks, as two processes have them.
  options_.max_bytes = 2000;
  options_.keep = 400;
  constexpr int kEach = 400;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 2; ++writer) {
    writers.emplace_back([this, writer] {
      const auto sink = JsonlSink::open(options_, metrics_);
      ASSERT_TRUE(sink) << sink.error();
      for (int i = 0; i < kEach; ++i) (*sink)->write(trace(std::to_string(writer) + "-" + std::to_string(i)));
    });
  }
  for (std::thread& writer : writers) writer.join();
  std::set<std::string> seen;
  std::size_t lines = 0, files = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename();
    ++files;
    for (const std::string& id : ids(name.substr(std::string("mismatches.jsonl").size()))) {
      EXPECT_NE(id, "torn") << name;
      seen.insert(id);
      ++lines;
    }
    EXPECT_LE(fs::file_size(entry.path()), options_.max_bytes) << name;
  }
  EXPECT_EQ(lines, 2u * kEach);
  EXPECT_EQ(seen.size(), 2u * kEach);
  EXPECT_GT(files, 5u) << "never rotated: this shows nothing";
}

TEST_F(JsonlSinkTest, AStrangersLockOnTheLogCostsNoTrace) {
  const auto sink = open();
  const int fd = ::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  sink->write(trace("a"));
  EXPECT_THAT(ids(), ElementsAre("a"));
  ::close(fd);
}

}  // namespace
}  // namespace ficus
