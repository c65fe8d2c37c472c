#include "facade/findings/finding_store.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <pthread.h>
#include <sys/stat.h>

#include "facade/base/log.h"
#include "facade/findings/finding_schema.h"
#include "facade/findings/finding_writer.h"
#include "facade/metrics/families.h"

namespace ficus {
namespace {

// Whether the database can still be read and may be written soon: then what is pending waits for it.
bool may_pass(StoreFault fault) {
  return fault == StoreFault::kFull || fault == StoreFault::kBusy || fault == StoreFault::kReadOnly;
}

FindingLimits in_memory(FindingLimits limits) {
  limits.bytes /= 4;
  return limits;
}

}  // namespace

struct FindingStore::Impl {
  Impl(FindingStoreOptions o, Metrics& metrics, Clock clock)
      : options(std::move(o)),
        shard(metrics.add_shard()),
        written(shard.counter(families::kFindings, {"written", ""})),
        now(std::move(clock)),
        pending(options.limits) {
    // There as zero before the first event, or rate() misses just that one.
    for (const char* reason : {"pending", "internal", "stopped"}) {
      shard.counter(families::kFindings, {"dropped", reason});
    }
    for (const StoreFault fault :
         {StoreFault::kFull, StoreFault::kCorrupt, StoreFault::kBusy, StoreFault::kReadOnly, StoreFault::kCannotOpen,
          StoreFault::kIo, StoreFault::kNewer, StoreFault::kForeign, StoreFault::kOther}) {
      shard.counter(families::kFindingStoreErrors, {word_of(fault)});
    }
  }

  std::string file() const { return findings_file(options.directory); }

  void drop(const char* reason, std::uint64_t n) {
    if (n == 0) return;
    shard.counter(families::kFindings, {"dropped", reason}).add(n);
    const std::lock_guard lock(health_mutex);
    health.dropped += n;
  }

  void count(const BatchHits& hits) {
    drop("pending", hits.pending);
    if (hits.pending > 0) shard.counter(families::kLimits, {"findings_pending"}).add(hits.pending);
    if (hits.pending_bytes > 0) shard.counter(families::kLimits, {"findings_pending_bytes"}).add(hits.pending_bytes);
    if (hits.example_bytes > 0) shard.counter(families::kLimits, {"finding_example_bytes"}).add(hits.example_bytes);
  }

  void count(const CommitReport& report) {
    if (report.evicted_for_count > 0) shard.counter(families::kLimits, {"findings_kept"}).add(report.evicted_for_count);
    if (report.evicted_for_bytes > 0)
      shard.counter(families::kLimits, {"findings_bytes"}).add(report.evicted_for_bytes);
  }

  // ---- the database; under `mutex` ----

  bool moved_away() const {
    struct stat info {};
    return ::stat(file().c_str(), &info) != 0 || info.st_dev != device || info.st_ino != inode;
  }

  void failed(const StoreError& error) {
    shard.counter(families::kFindingStoreErrors, {word_of(error.fault)}).add();
    trouble = error;
    const FindingTime time = now();
    if (complained && complained->first == error.fault && time - complained->second < options.complain_every) return;
    complained = {error.fault, time};
    log_event(
        LogLevel::kError, "findings_not_written",
        on_file ? "findings cannot be written and wait; calls go on" : "findings are kept in memory only; calls go on",
        {{"file", file()}, {"error", error.text}, {"class", word_of(error.fault)}});
  }

  void recovered() {
    if (trouble) log_event(LogLevel::kInfo, "findings_written", "findings are written again", {{"file", file()}});
    trouble.reset();
    complained.reset();
  }

  // Opens the file if it is time to, and takes what is in memory there.
  void try_file() {
    const FindingTime time = now();
    if (options.directory.empty() || on_file || (next_try && time < *next_try)) return;
    next_try = time + options.retry_every;
    auto opened = open_findings(options.directory, options.limits);
    if (!opened) return failed(opened.error());
    if (database != nullptr) {
      const auto kept = read_as_batch(*database);
      if (!kept) return failed(kept.error());
      const auto moved = write_batch(**opened, *kept, options.limits, time);
      if (!moved) return failed(moved.error());
      count(*moved);
    }
    struct stat info {};
    if (::stat(file().c_str(), &info) != 0)
      return failed({StoreFault::kCannotOpen, "it went away while it was opened"});
    device = info.st_dev;
    inode = info.st_ino;
    database = std::move(*opened);
    on_file = true;
    next_try.reset();
    recovered();
  }

  void ensure_database() {
    if (on_file && moved_away()) {
      // SQLite closes a file that was moved without putting its log into it.
      database->run("PRAGMA wal_checkpoint(TRUNCATE)");
      database.reset();
      on_file = false;
      next_try.reset();
      log_event(LogLevel::kWarn, "findings_moved", "the findings' database was moved or removed; a new one is made",
                {{"file", file()}});
    }
    if (!stopped) try_file();
    if (database != nullptr) return;
    auto memory = findings_in_memory(in_memory(options.limits));
    if (memory) {
      database = std::move(*memory);
    } else {
      failed(memory.error());
    }
  }

  // Error: nothing of `unwritten` was written.
  StoreResult<void> write_unwritten() {
    const auto report = write_batch(*database, unwritten, on_file ? options.limits : in_memory(options.limits), now());
    if (!report) return fail(report.error());
    count(*report);
    written.add(unwritten.sightings);
    const std::lock_guard lock(health_mutex);
    ++health.commits;
    health.written += unwritten.sightings;
    unwritten = {};
    return {};
  }

  void commit() {
    ensure_database();
    BatchHits hits;
    append_batch(unwritten, pending.take(), options.limits, hits);
    count(hits);
    if (!unwritten.empty() && database != nullptr) {
      if (const auto done = write_unwritten(); done) {
        if (on_file) recovered();
      } else {
        const StoreError error = done.error();
        if (on_file && !may_pass(error.fault)) {
          // Not to be trusted with more; it stays as it is, for whoever looks into it.
          database.reset();
          on_file = false;
          next_try = now() + options.retry_every;
          ensure_database();
          if (database != nullptr) (void)write_unwritten();
        }
        failed(error);
      }
    }
    update_health();
  }

  void update_health() {
    const std::lock_guard lock(health_mutex);
    health.in_memory = !on_file;
    health.waiting = unwritten.sightings;
    health.ok = !trouble;
    if (options.directory.empty()) {
      health.text = "findings are kept in memory: no state directory was given";
    } else if (!trouble) {
      health.text = "findings are kept in " + file();
    } else if (on_file) {
      health.text = "findings cannot be written to " + file() + " and wait: " + trouble->text;
    } else {
      health.text = "findings are kept in memory only, " + file() + " cannot be used: " + trouble->text;
    }
  }

  // A commit that throws (out of memory) costs what it held, and no more.
  void commit_or_count() {
    try {
      commit();
    } catch (const std::exception& e) {
      drop("internal", unwritten.sightings);
      unwritten = {};
      log_event(LogLevel::kError, "findings_not_written", e.what());
    }
  }

  template <class Ask>
  auto ask(Ask query) -> decltype(query(std::declval<Database&>())) {
    const std::lock_guard lock(mutex);
    commit_or_count();
    if (database == nullptr) return fail(trouble.value_or(StoreError{StoreFault::kOther, "there is no database"}));
    return query(*database);
  }

  void write_until_stopped() {
    ::pthread_setname_np(::pthread_self(), "ficus-findings");
    std::unique_lock lock(mutex);
    if (database == nullptr) commit_or_count();  // nobody was quicker to ask: opens it, and health() is true soon
    while (!stopping) {
      wake.wait_for(lock, options.commit_every, [this] { return stopping; });
      if (!stopping) commit_or_count();  // stop() does the last one
    }
  }

  const FindingStoreOptions options;
  MetricsShard& shard;
  Counter& written;
  const Clock now;
  PendingFindings pending;

  mutable std::mutex health_mutex;  // taken within `mutex`, never around it
  FindingHealth health;

  std::mutex mutex;  // guards what follows
  std::condition_variable wake;
  bool stopping = false, stopped = false;
  std::unique_ptr<Database> database;  // the file, or memory; null: neither
  bool on_file = false;
  dev_t device{};  // of the open file
  ino_t inode{};
  FindingBatch unwritten;               // what a commit could not write
  std::optional<StoreError> trouble;    // why it is not as asked for
  std::optional<FindingTime> next_try;  // to open the file; none: at once
  std::optional<std::pair<StoreFault, FindingTime>> complained;
  std::thread writer;
};

FindingTime FindingStore::system_time() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

FindingStore::FindingStore(FindingStoreOptions options, Metrics& metrics, Clock now)
    : impl_(std::make_unique<Impl>(std::move(options), metrics, std::move(now))) {
  impl_->update_health();
  impl_->writer = std::thread([this] { impl_->write_until_stopped(); });
}

FindingStore::~FindingStore() { stop(); }

PendingFindings::Comparisons& FindingStore::comparisons(std::string_view capability, std::string_view method) {
  const PendingFindings::Counted counted = impl_->pending.comparisons(capability, method);
  if (!counted.told_apart) impl_->shard.counter(families::kLimits, {"finding_methods"}).add();
  return counted.comparisons;
}

void FindingStore::add(const ficus::trace::v1::MismatchTrace& trace) noexcept {
  try {
    BatchHits hits;
    impl_->pending.add(trace, impl_->now(), hits);
    impl_->count(hits);
  } catch (const std::exception&) {  // out of memory
    impl_->drop("internal", 1);
  }
}

void FindingStore::flush() {
  const std::lock_guard lock(impl_->mutex);
  impl_->commit_or_count();
}

void FindingStore::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->writer.joinable()) impl_->writer.join();
  const std::lock_guard lock(impl_->mutex);
  impl_->commit_or_count();
  impl_->stopped = true;
  if (impl_->unwritten.sightings == 0) return;
  log_event(LogLevel::kError, "findings_lost", "findings could not be written before the end",
            {{"file", impl_->file()}, {"sightings", impl_->unwritten.sightings}});
  impl_->drop("stopped", impl_->unwritten.sightings);
  impl_->unwritten = {};
}

FindingHealth FindingStore::health() const {
  const std::lock_guard lock(impl_->health_mutex);
  return impl_->health;
}

StoreResult<FindingPage> FindingStore::list(const FindingFilter& filter) {
  return impl_->ask([&](Database& db) { return list_findings(db, filter, impl_->now()); });
}

StoreResult<FindingDetail> FindingStore::show(std::string_view id) {
  return impl_->ask([&](Database& db) { return show_finding(db, id, impl_->now()); });
}

StoreResult<void> FindingStore::export_all(const FindingFilter& filter,
                                           const std::function<void(const FindingDetail&)>& take) {
  return impl_->ask([&](Database& db) { return export_findings(db, filter, impl_->now(), take); });
}

StoreResult<Finding> FindingStore::acknowledge(std::string_view id, Acknowledgement ack) {
  return impl_->ask([&](Database& db) { return acknowledge_finding(db, id, std::move(ack), impl_->now()); });
}

StoreResult<Finding> FindingStore::withdraw(std::string_view id) {
  return impl_->ask([&](Database& db) { return withdraw_acknowledgement(db, id, impl_->now()); });
}

}  // namespace ficus
