#include "facade/control/file_watcher.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "facade/base/check.h"
#include "facade/base/log.h"
#include "facade/control/asio.h"

namespace ficus {
namespace {

// A name that appears, goes, or is replaced redirects every path that leads through it.
constexpr std::uint32_t kNameEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
// For the directory that holds the file itself, writing counts too.
constexpr std::uint32_t kWriteEvents = IN_CLOSE_WRITE | IN_MODIFY;
constexpr int kMaxLinks = 40;  // path_resolution(7)
constexpr std::chrono::seconds kLongUnsettled{30};
constexpr int kRebuildRounds = 5;  // until the directories stood still while they were walked

struct WatchedNames {
  std::set<std::string> names;
  bool holds_file = false;  // one of the names is a file, not a step on the way to one
  bool operator==(const WatchedNames&) const = default;
};
using Directories = std::map<std::string, WatchedNames>;

std::string joined(const std::string& directory, const std::string& name) {
  return directory == "/" ? directory + name : directory + "/" + name;
}

// Every (directory, name) that the kernel looks up on the way to `file`, links included. Ends early where something is
// missing: that it appears is then seen in the last directory that is there.
void add_lookups(const std::string& file, Directories& directories) {
  std::deque<std::string> todo;
  const auto prepend = [&](std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
      const std::size_t slash = path.find('/');
      if (slash != 0 && path.substr(0, slash) != ".") parts.emplace_back(path.substr(0, slash));
      path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    todo.insert(todo.begin(), parts.begin(), parts.end());
  };
  prepend(file);
  std::string at = "/";  // never holds a link, so that ".." is its lexical parent
  int links = 0;
  while (!todo.empty()) {
    const std::string part = std::move(todo.front());
    todo.pop_front();
    if (part == "..") {
      const std::size_t slash = at.rfind('/');
      at = slash == 0 ? "/" : at.substr(0, slash);
      continue;
    }
    WatchedNames& watched = directories[at];
    watched.names.insert(part);
    const std::string path = joined(at, part);
    struct stat status {};
    const bool there = ::lstat(path.c_str(), &status) == 0;
    if (there && S_ISLNK(status.st_mode)) {
      std::array<char, PATH_MAX> target;
      const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
      if (length <= 0 || ++links > kMaxLinks) return;
      const std::string_view leads_to(target.data(), static_cast<std::size_t>(length));
      if (leads_to.front() == '/') at = "/";
      prepend(leads_to);
      continue;
    }
    if (todo.empty()) watched.holds_file = true;
    if (!there || !S_ISDIR(status.st_mode)) return;
    at = path;
  }
}

}  // namespace

struct FileWatcher::Impl : std::enable_shared_from_this<FileWatcher::Impl> {
  struct Watch {
    std::string directory;
    WatchedNames watched;
  };

  Impl(asio::io_context& io_context, FileWatcherOptions wanted, std::function<void()> call)
      : io(io_context),
        options(wanted),
        on_settled(std::move(call)),
        inotify(io_context),
        settle_timer(io_context),
        poll_timer(io_context) {}

  asio::io_context& io;
  const FileWatcherOptions options;
  std::function<void()> on_settled;
  asio::posix::stream_descriptor inotify;
  asio::steady_timer settle_timer, poll_timer;
  bool closed = false;
  bool started = false;
  bool warned = false;

  std::vector<std::string> files;
  std::vector<FileStamp> known;  // as the owner last read them
  std::vector<FileStamp> last_poll;
  std::map<int, Watch> watches;  // by inotify's watch descriptor

  bool pending = false;  // a change was seen and has not settled
  std::chrono::steady_clock::time_point pending_since{};
  bool warned_unsettled = false;    // in this wait
  std::vector<FileStamp> snapshot;  // when the stillness that we wait for began

  std::vector<FileStamp> stamps_now() const {
    std::vector<FileStamp> stamps;
    stamps.reserve(files.size());
    for (const std::string& file : files) stamps.push_back(stamp_of(file));
    return stamps;
  }

  void start() {
    if (std::exchange(started, true)) return;
    if (options.use_inotify) {
      const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
      if (fd >= 0) {
        inotify.assign(fd);
        await_events();
      } else {
        warn_degraded("inotify_init1: " + std::generic_category().message(errno));
      }
    }
    await_poll();
  }

  void warn_degraded(const std::string& why) {
    if (std::exchange(warned, true)) return;
    log_event(LogLevel::kWarn, "policy_watch_degraded",
              "some changes of the policy will only be seen by polling; raise fs.inotify.max_user_instances or "
              "max_user_watches, or send SIGHUP after a change",
              {{"why", why}, {"poll_ms", options.poll.count()}});
  }

  // Makes the watches fit the paths as they lead now. True if that added a watch: whatever happened there before it was
  // watched sent no event.
  bool rebuild() {
    if (!inotify.is_open()) return false;
    bool added = false;
    for (int round = 0; round < kRebuildRounds; ++round) {
      Directories wanted;
      for (const std::string& file : files) add_lookups(file, wanted);
      std::map<int, Watch> next;
      for (const auto& [directory, watched] : wanted) {
        const std::uint32_t events = watched.holds_file ? kNameEvents | kWriteEvents : kNameEvents;
        // IN_MASK_ADD: two paths may lead to one directory, which then has one watch for both.
        const int wd =
            ::inotify_add_watch(inotify.native_handle(), directory.c_str(), events | IN_ONLYDIR | IN_MASK_ADD);
        if (wd < 0) {
          // A directory on the way that we may search but not list cannot be watched; polling covers it.
          if (errno != ENOENT && errno != ENOTDIR)
            warn_degraded(directory + ": " + std::generic_category().message(errno));
          continue;
        }
        Watch& watch = next[wd];
        watch.directory = directory;
        watch.watched.names.insert(watched.names.begin(), watched.names.end());
        watch.watched.holds_file = watch.watched.holds_file || watched.holds_file;
        added = added || watches.count(wd) == 0;
      }
      for (const auto& [wd, watch] : watches) {
        if (next.count(wd) == 0) ::inotify_rm_watch(inotify.native_handle(), wd);
      }
      watches = std::move(next);
      Directories again;
      for (const std::string& file : files) add_lookups(file, again);
      if (again == wanted) break;
    }
    return added;
  }

  void await_events() {
    inotify.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](error_code error) {
      if (error || self->closed) return;
      self->on_events();
      self->await_events();
    });
  }

  void on_events() {
    bool redirected = false, changed = false, touched = false;
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    for (;;) {
      const ssize_t n = ::read(inotify.native_handle(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
        inotify_event event;
        std::memcpy(&event, buffer.data() + at, sizeof event);
        const char* name = event.len != 0 ? buffer.data() + at + sizeof event : "";
        at += sizeof event + event.len;
        judge(event, name, redirected, changed, touched);
      }
    }
    // What happened in a directory before we watched it is only in the stamps.
    if (redirected && rebuild() && stamps_now() != known) changed = true;
    if (changed || (touched && pending)) begin_settling();
  }

  void judge(const inotify_event& event, const char* name, bool& redirected, bool& changed, bool& touched) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      redirected = changed = true;
      return;
    }
    const auto found = watches.find(event.wd);
    if (found == watches.end()) return;  // of a watch we have given up
    if ((event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
      if ((event.mask & IN_IGNORED) != 0) watches.erase(found);
      redirected = changed = true;
      return;
    }
    const Watch& watch = found->second;
    if (watch.watched.names.count(name) == 0) return;
    if ((event.mask & IN_MODIFY) != 0) touched = true;
    if ((event.mask & (IN_CLOSE_WRITE | IN_ATTRIB)) != 0) changed = true;
    if ((event.mask & (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) redirected = changed = true;
    if ((event.mask & IN_CREATE) != 0) {
      redirected = true;
      // A new regular file is still being written: its close comes. A link, a hard link or a directory is whole at
      // once.
      struct stat status {};
      const bool being_written = ::lstat(joined(watch.directory, name).c_str(), &status) == 0 &&
                                 S_ISREG(status.st_mode) && status.st_nlink == 1;
      (being_written ? touched : changed) = true;
    }
  }

  void begin_settling() {
    if (!std::exchange(pending, true)) {
      pending_since = std::chrono::steady_clock::now();
      warned_unsettled = false;
    }
    if (std::chrono::steady_clock::now() - pending_since > kLongUnsettled && !std::exchange(warned_unsettled, true)) {
      log_event(LogLevel::kWarn, "policy_unsettled",
                "the policy or a file it names keeps changing, so it is not read; send SIGHUP to read it as it stands",
                {{"settle_ms", options.settle.count()}});
    }
    snapshot = stamps_now();
    settle_timer.expires_after(options.settle);
    settle_timer.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->closed) return;
      self->on_still();
    });
  }

  void on_still() {
    if (stamps_now() != snapshot) {
      begin_settling();
      return;
    }
    pending = false;
    on_settled();
  }

  void await_poll() {
    poll_timer.expires_after(options.poll);
    poll_timer.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->closed) return;
      self->on_poll();
      self->await_poll();
    });
  }

  // Seen twice the same before it counts: without events nobody says that a writer has closed the file.
  void on_poll() {
    rebuild();
    std::vector<FileStamp> now = stamps_now();
    if (!pending && now != known && now == last_poll) begin_settling();
    last_poll = std::move(now);
  }
};

FileWatcher::FileWatcher(asio::io_context& control, FileWatcherOptions options, std::function<void()> on_settled)
    : impl_(std::make_shared<Impl>(control, options, std::move(on_settled))) {}

FileWatcher::~FileWatcher() {
  impl_->closed = true;
  impl_->settle_timer.cancel();
  impl_->poll_timer.cancel();
  error_code ignored;
  impl_->inotify.close(ignored);
}

void FileWatcher::watch(std::vector<std::string> files, std::vector<FileStamp> stamps) {
  FICUS_CHECK(files.size() == stamps.size()) << "a stamp for each file";
  impl_->files = std::move(files);
  impl_->known = std::move(stamps);
  impl_->start();
  impl_->rebuild();
  if (impl_->stamps_now() != impl_->known) impl_->begin_settling();
}

}  // namespace ficus
