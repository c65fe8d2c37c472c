// Says when files changed and then stood still. inotify on every directory that a path goes through, so that writing in
// place, renaming over, delete and create, Kubernetes' `..data` link, a replaced directory and a directory that appears
// later are all seen; a slow poll besides, for file systems that send no events (NFS, some container mounts) and for
// machines out of inotify instances.
// Thread: the io_context's, which must have one. Does not read files, only their stamps.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "facade/control/policy_files.h"

namespace boost::asio {
class io_context;
}

namespace ficus {

struct FileWatcherOptions {
  std::chrono::milliseconds settle{200};  // the stamps must stay the same this long
  std::chrono::milliseconds poll{
      5000};                // how often to look without an event; a change seen so must outlast one more poll
  bool use_inotify = true;  // false: poll only
};

class FileWatcher {
 public:
  // `on_settled` runs once for each change that settled, on the io_context's thread. It may call watch().
  FileWatcher(boost::asio::io_context& control, FileWatcherOptions options, std::function<void()> on_settled);
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

  // Watches these absolute paths from now on, instead of those before. `stamps` are what the caller last saw of them: a
  // file that has changed since counts as a change, so nothing is lost between reading and watching. A path may not
  // exist yet. On the io_context's thread, or before it runs.
  void watch(std::vector<std::string> files, std::vector<FileStamp> stamps);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ficus
