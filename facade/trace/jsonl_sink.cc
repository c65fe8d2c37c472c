#include "facade/trace/jsonl_sink.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/trace/trace_json.h"

namespace ficus {

struct JsonlSink::Impl {
  Impl(JsonlSinkOptions o, Metrics& metrics, Clock clock)
      : options(std::move(o)),
        shard(metrics.add_shard()),
        written(shard.counter(families::kTraces, {"written", ""})),
        now(std::move(clock)) {}
  ~Impl() { close_file(); }

  // 0, or the errno. Leaves `fd` closed on failure.
  int open_file() {
    close_file();
    // Non-blocking: a pipe whose reader stalls must cost traces, not hold a compare thread and with it the shutdown.
    fd = ::open(options.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return errno;
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
      const int error = errno;
      close_file();
      return error;
    }
    device = info.st_dev;
    inode = info.st_ino;
    torn = false;
    size = 0;
    if (!S_ISREG(info.st_mode)) return 0;  // /dev/stdout, a pipe: nothing to keep private, rotate or mend
    if ((info.st_mode & 07777) != 0600 && ::fchmod(fd, 0600) != 0) {
      log_event(LogLevel::kWarn, "mismatch_log_mode",
                "the mismatch log is not mode 0600 and cannot be made so; chmod it",
                {{"file", options.path}, {"error", std::strerror(errno)}});
    }
    size = static_cast<std::uint64_t>(info.st_size);
    char last = '\n';
    if (size > 0 && ::pread(fd, &last, 1, info.st_size - 1) == 1) torn = last != '\n';  // somebody died mid-line
    return 0;
  }

  void close_file() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }

  // Whether the name no longer leads to the file we hold. If it does, learns how long the file is now: somebody may
  // have cut it off (logrotate's copytruncate).
  bool moved_away() {
    struct stat info {};
    if (::stat(options.path.c_str(), &info) != 0 || info.st_dev != device || info.st_ino != inode) return true;
    if (S_ISREG(info.st_mode)) size = static_cast<std::uint64_t>(info.st_size);
    if (size == 0) torn = false;
    return false;
  }

  std::string rotated_name(unsigned n) const { return options.path + '.' + std::to_string(n); }

  void rotate() {
    shard.counter(families::kLimits, {"mismatch_log_bytes"}).add();
    if (options.keep == 0) {
      ::unlink(options.path.c_str());
    } else {
      if (::access(rotated_name(options.keep).c_str(), F_OK) == 0) {
        shard.counter(families::kLimits, {"mismatch_log_files"}).add();
      }
      for (unsigned n = options.keep; n > 1; --n) {
        ::rename(rotated_name(n - 1).c_str(), rotated_name(n).c_str());  // gaps are fine
      }
      if (::rename(options.path.c_str(), rotated_name(1).c_str()) != 0) {
        complain("mismatch_log_not_rotated", "the mismatch log grows beyond its size: it cannot be renamed", errno);
        return;
      }
    }
    close_file();  // opened anew by the write
  }

  // Writes one line, whole or not at all. 0, or the errno.
  int append(const std::string& line) {
    std::string_view rest = line;
    std::string fenced;
    if (torn) {
      fenced = '\n' + line;
      rest = fenced;
    }
    const std::size_t all = rest.size();
    while (!rest.empty()) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        const int error = n < 0 ? errno : EIO;
        // What got there already is half a line: take it back, or fence it off next time.
        if (rest.size() != all && ::ftruncate(fd, static_cast<off_t>(size)) != 0) {
          torn = true;
          size += all - rest.size();
        }
        return error;
      }
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    torn = false;
    size += all;
    return 0;
  }

  void drop(const char* reason, int error) {
    shard.counter(families::kTraces, {"dropped", reason}).add();
    ++dropped_since_complaint;
    ++dropped_in_a_row;
    complain("mismatch_traces_dropped", "mismatch traces are lost; calls go on. Make room, or mend the log's place",
             error);
  }

  void complain(std::string_view event, std::string_view what, int error) {
    const auto time = now();
    if (last_complaint && time - *last_complaint < options.complain_every) return;
    last_complaint = time;
    log_event(LogLevel::kError, event, what,
              {{"file", options.path},
               {"error", error == 0 ? "" : std::strerror(error)},
               {"dropped", dropped_since_complaint}});
    dropped_since_complaint = 0;
  }

  // During a takeover two processes write one log. What is more than one system call (taking back half a line,
  // rotating) is done by one at a time: whoever holds the file's lock. A stranger's lock costs patience once a line and
  // no more: then we write all the same, since O_APPEND alone keeps lines whole in all but a full disk. Closing
  // unlocks.
  void lock_file() {
    constexpr auto kPatience = std::chrono::milliseconds(50), kPause = std::chrono::milliseconds(1);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR) &&
           std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kPause);
    }
  }
  void unlock_file() const {
    if (fd >= 0) ::flock(fd, LOCK_UN);
  }

  // Gives 0 with the file of that name open and locked, or the errno. Twice: it may be rotated while we wait.
  int open_and_lock() {
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (fd < 0) {
        if (const int error = open_file(); error != 0) return error;
      }
      lock_file();
      if (!moved_away()) return 0;
      close_file();
    }
    return open_file();
  }

  void write_line(const std::string& line) {
    const std::lock_guard lock(mutex);
    int error = open_and_lock();
    if (error == 0 && size > 0 && size + line.size() > options.max_bytes) {
      rotate();
      error = open_and_lock();
    }
    if (error != 0) {
      drop(is_full(error) ? "disk_full" : "open_failed", error);
      return;
    }
    error = append(line);
    unlock_file();
    if (error != 0) {
      drop(is_full(error) ? "disk_full" : error == EAGAIN ? "reader_stalled" : "io_error", error);
      return;
    }
    written.add();
    if (dropped_in_a_row > 0) {
      log_event(LogLevel::kInfo, "mismatch_traces_resumed", "mismatch traces are written again",
                {{"file", options.path}, {"lost", dropped_in_a_row}});
      dropped_in_a_row = 0;
      dropped_since_complaint = 0;
      last_complaint.reset();
    }
  }

  static bool is_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

  const JsonlSinkOptions options;
  MetricsShard& shard;
  Counter& written;
  const Clock now;
  std::mutex mutex;  // guards what follows
  int fd = -1;
  dev_t device{};
  ino_t inode{};
  std::uint64_t size = 0;
  bool torn = false;  // the file ends in half a line
  std::uint64_t dropped_in_a_row = 0;
  std::uint64_t dropped_since_complaint = 0;
  std::optional<std::chrono::steady_clock::time_point> last_complaint;
};

JsonlSink::JsonlSink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonlSink::~JsonlSink() = default;

Result<std::unique_ptr<JsonlSink>, std::string> JsonlSink::open(JsonlSinkOptions options, Metrics& metrics, Clock now) {
  auto impl = std::make_unique<Impl>(std::move(options), metrics, std::move(now));
  if (const int error = impl->open_file(); error != 0) {
    return fail("cannot open the mismatch log " + impl->options.path + ": " + std::strerror(error));
  }
  return std::unique_ptr<JsonlSink>(new JsonlSink(std::move(impl)));
}

void JsonlSink::write(const ficus::trace::v1::MismatchTrace& trace) {
  try {
    std::optional<std::string> line = trace_json(trace);
    if (!line) {
      const std::lock_guard lock(impl_->mutex);
      impl_->drop("unprintable", 0);
      return;
    }
    *line += '\n';
    impl_->write_line(*line);
  } catch (const std::exception& e) {  // out of memory
    impl_->shard.counter(families::kTraces, {"dropped", "io_error"}).add();
    log_event(LogLevel::kError, "mismatch_traces_dropped", e.what());
  }
}

void JsonlSink::flush() { const std::lock_guard lock(impl_->mutex); }

}  // namespace ficus
