// Mismatch traces in a file: one JSON object a line, rotated by size. A full disk costs traces, never calls.
// Any thread; a mutex is held for the length of one write(2).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "facade/metrics/metrics.h"
#include "facade/trace/mismatch_sink.h"
#include "routing/result.h"

namespace ficus {

struct JsonlSinkOptions {
  std::string path;
  std::uint64_t max_bytes = 64ull << 20;  // of one file; limit "mismatch_log_bytes". A longer line has one of its own
  unsigned keep = 4;                      // rotated files path.1 (newest) .. path.4; limit "mismatch_log_files"
  std::chrono::steady_clock::duration complain_every = std::chrono::minutes(1);
};

// The file is made with mode 0600, and brought back to it when opened. Lines are whole: what a failed write left behind
// is taken back, or fenced off by a newline. If the file is renamed or removed under us (logrotate), the next trace
// goes to a new file of the name. Rotating: path -> path.1 -> path.2 ...; if it fails, the file grows on. What cannot
// be written is counted in ficus_traces_total{outcome="dropped"} by reason (disk_full, io_error, open_failed,
// unprintable) and logged at most once every `complain_every`; each trace tries anew, so writing goes on by itself once
// there is space. Two processes may write one file (a facade and its successor): they rotate and mend one at a time, by a
// lock on the file (flock). A process limit on file sizes counts as a full disk where SIGXFSZ is ignored.
class JsonlSink : public MismatchSink {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // Error: a sentence: the file cannot be opened. `metrics` outlives the sink.
  static Result<std::unique_ptr<JsonlSink>, std::string> open(JsonlSinkOptions options, Metrics& metrics,
                                                              Clock now = std::chrono::steady_clock::now);
  ~JsonlSink() override;

  void write(const ficus::trace::v1::MismatchTrace& trace) override;
  // write() keeps nothing back; this waits for a write under way.
  void flush() override;

 private:
  struct Impl;
  explicit JsonlSink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
