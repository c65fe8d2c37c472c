#include "facade/findings/finding_writer.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "facade/findings/finding_schema.h"

namespace ficus {
namespace {

constexpr std::int64_t kResolved = number_of(StoredState::kResolved), kRegressed = number_of(StoredState::kRegressed);

std::int64_t ms(FindingTime time) { return time.time_since_epoch().count(); }

class BatchWriter {
 public:
  BatchWriter(Database& database, const FindingBatch& batch, const FindingLimits& limits, FindingTime now)
      : db_(database), batch_(batch), limits_(limits), now_(now) {}

  StoreResult<CommitReport> write() {
    Transaction transaction(db_);
    for (const auto& [method, count] : batch_.comparisons) before_[method] = add_comparisons(method, count);
    for (const auto& [id, delta] : batch_.findings) finding(id, delta);
    for (const auto& [method, count] : batch_.comparisons) resolve(method, before_[method] + count);
    bound();
    if (const auto done = transaction.commit(); !done) return fail(done.error());
    return report_;
  }

 private:
  std::uint64_t comparisons_of(const MethodKey& method) {
    SqlStatement row = db_.statement("SELECT comparisons FROM traffic WHERE capability = ? AND method = ?");
    row.bind(method.first).bind(method.second);
    return row.step() ? row.unsigned_integer(0) : 0;
  }

  // Gives how many there were before.
  std::uint64_t add_comparisons(const MethodKey& method, std::uint64_t count) {
    const std::uint64_t before = comparisons_of(method);
    db_.statement(
           "INSERT INTO traffic(capability, method, comparisons, last_seen) VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE "
           "SET comparisons = comparisons + excluded.comparisons, last_seen = max(last_seen, excluded.last_seen)")
        .bind(method.first)
        .bind(method.second)
        .bind(count)
        .bind(ms(now_))
        .run();
    return before;
  }

  // Comparisons of the delta's method before this batch.
  std::uint64_t before(const FindingDelta& delta) {
    const MethodKey method{delta.signature.capability, delta.signature.method};
    const auto found = before_.find(method);
    return found != before_.end() ? found->second : comparisons_of(method);
  }

  void finding(FindingId id, const FindingDelta& delta) {
    const std::uint64_t earlier = before(delta);
    const std::uint64_t first_at = std::max<std::uint64_t>(1, delta.first_at);
    const std::uint64_t last_at = earlier + std::max(first_at, delta.last_at);
    db_.statement(
           "INSERT INTO finding(id, capability, method, path, kind, severity, first_seen, last_seen, count, "
           "before_first, at_last, state_since) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
           "first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen), "
           "count = count + excluded.count, at_last = max(at_last, excluded.at_last)")
        .bind(id.value)
        .bind(delta.signature.capability)
        .bind(delta.signature.method)
        .bind(delta.signature.path)
        .bind(static_cast<std::int64_t>(delta.signature.kind))
        .bind(static_cast<std::int64_t>(delta.signature.severity))
        .bind(ms(delta.first_seen))
        .bind(ms(delta.last_seen))
        .bind(delta.count)
        .bind(earlier + first_at - 1)
        .bind(last_at)
        .bind(ms(delta.first_seen))
        .run();
    // Back after it was thought gone: what a person said of it then no longer stands.
    db_.statement(
           "UPDATE finding SET state = ?, state_since = ?, ack_by = NULL, ack_why = NULL, ack_at = NULL, "
           "ack_until = NULL WHERE id = ? AND state = ?")
        .bind(kRegressed)
        .bind(ms(delta.first_seen))
        .bind(id.value)
        .bind(kResolved)
        .run();
    if (delta.acknowledgement) acknowledge(id, *delta.acknowledgement);
    touched(id, 0, "tenants_other", delta.tenants);
    touched(id, 1, "consumers_other", delta.consumers);
    touched(id, 2, "policies_other", delta.policies);
    examples(id, delta);
  }

  void acknowledge(FindingId id, const Acknowledgement& ack) {
    SqlStatement update =
        db_.statement("UPDATE finding SET ack_by = ?, ack_why = ?, ack_at = ?, ack_until = ? WHERE id = ?");
    update.bind(ack.by).bind(ack.why).bind(ms(ack.at));
    if (ack.until) {
      update.bind(ms(*ack.until));
    } else {
      update.bind_null();
    }
    update.bind(id.value).run();
  }

  void touched(FindingId id, std::int64_t what, const std::string& other, const TouchedDelta& delta) {
    std::uint64_t gone = delta.other;
    for (const auto& [name, touched] : delta.names) {
      db_.statement(
             "INSERT INTO touched(finding, what, name, count, last_seen) VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
             "SET count = count + excluded.count, last_seen = max(last_seen, excluded.last_seen)")
          .bind(id.value)
          .bind(what)
          .bind(touched.name)
          .bind(touched.count)
          .bind(ms(touched.last_seen))
          .run();
    }
    if (!delta.names.empty()) {
      SqlStatement extra = db_.statement(
          "SELECT name, count FROM touched WHERE finding = ? AND what = ? ORDER BY last_seen DESC, name LIMIT -1 "
          "OFFSET ?");
      extra.bind(id.value).bind(what).bind(std::uint64_t{limits_.names});
      std::vector<std::string> names;
      while (extra.step()) {
        names.push_back(extra.bytes(0));
        gone += extra.unsigned_integer(1);
      }
      for (const std::string& name : names) {
        db_.statement("DELETE FROM touched WHERE finding = ? AND what = ? AND name = ?")
            .bind(id.value)
            .bind(what)
            .bind(name)
            .run();
      }
    }
    if (gone == 0) return;
    db_.statement("UPDATE finding SET " + other + " = " + other + " + ? WHERE id = ?").bind(gone).bind(id.value).run();
  }

  void examples(FindingId id, const FindingDelta& delta) {
    for (const ExampleBytes& example : delta.examples) {
      auto [row, fresh] = traces_.try_emplace(example.get(), 0);
      if (fresh) {
        db_.statement("INSERT INTO trace(bytes) VALUES(?)").bind_blob(*example).run();
        row->second = db_.last_row();
      }
      // The trigger may have taken the trace away again with another finding's trimmed examples; then it is no example.
      db_.statement("INSERT OR IGNORE INTO example(finding, trace) SELECT ?, id FROM trace WHERE id = ?")
          .bind(id.value)
          .bind(row->second)
          .run();
    }
    if (delta.examples.empty()) return;
    // The first one stays, and the latest of the rest.
    db_.statement(
           "DELETE FROM example WHERE finding = ?1 AND trace <> (SELECT min(trace) FROM example WHERE finding = ?1) "
           "AND trace NOT IN (SELECT trace FROM example WHERE finding = ?1 ORDER BY trace DESC LIMIT ?2)")
        .bind(id.value)
        .bind(std::uint64_t{limits_.examples > 0 ? limits_.examples - 1 : 0})
        .run();
  }

  // What was missed for `resolved_after` comparisons, and for three times its mean distance: the chance to miss what
  // is as frequent as before is then e^-3, 5 %.
  void resolve(const MethodKey& method, std::uint64_t comparisons) {
    db_.statement(
           "UPDATE finding SET state = ?1, state_since = ?2 WHERE capability = ?3 AND method = ?4 AND state <> ?1 "
           "AND ?5 - at_last >= max(?6, 3 * (at_last - before_first - 1) / max(count - 1, 1))")
        .bind(kResolved)
        .bind(ms(now_))
        .bind(method.first)
        .bind(method.second)
        .bind(comparisons)
        .bind(limits_.resolved_after)
        .run();
  }

  std::uint64_t used_bytes() {
    const std::int64_t pages = db_.integer("PRAGMA page_count") - db_.integer("PRAGMA freelist_count");
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, pages * db_.integer("PRAGMA page_size")));
  }

  // The oldest resolved ones, then the oldest.
  std::uint64_t evict(std::uint64_t n) {
    db_.statement("DELETE FROM finding WHERE id IN (SELECT id FROM finding ORDER BY state <> ?, last_seen LIMIT ?)")
        .bind(kResolved)
        .bind(n)
        .run();
    return static_cast<std::uint64_t>(db_.changes());
  }

  void bound() {
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(limits_.age);
    db_.statement("DELETE FROM finding WHERE last_seen < ?").bind(ms(now_ - age)).run();
    report_.evicted_for_age = static_cast<std::uint64_t>(db_.changes());

    auto kept = static_cast<std::uint64_t>(db_.integer("SELECT count(*) FROM finding"));
    if (kept > limits_.findings) {
      report_.evicted_for_count = evict(kept - limits_.findings);
      kept -= std::min(kept, report_.evicted_for_count);
    }
    while (!db_.failed() && kept > 0 && used_bytes() > limits_.bytes) {
      const std::uint64_t gone = evict(std::max<std::uint64_t>(1, kept / 10));
      report_.evicted_for_bytes += gone;
      kept -= std::min(kept, gone);
      if (gone == 0) break;
    }
    // Methods of policies long gone; those of findings that are kept stay.
    const auto methods = static_cast<std::uint64_t>(db_.integer("SELECT count(*) FROM traffic"));
    if (methods > limits_.methods) {
      db_.statement(
             "DELETE FROM traffic WHERE (capability, method) IN (SELECT capability, method FROM traffic t WHERE NOT "
             "EXISTS (SELECT 1 FROM finding f WHERE f.capability = t.capability AND f.method = t.method) ORDER BY "
             "last_seen LIMIT ?)")
          .bind(methods - limits_.methods)
          .run();
    }
  }

  Database& db_;
  const FindingBatch& batch_;
  const FindingLimits& limits_;
  const FindingTime now_;
  std::map<MethodKey, std::uint64_t> before_;
  std::unordered_map<const std::string*, std::int64_t> traces_;
  CommitReport report_;
};

}  // namespace

StoreResult<CommitReport> write_batch(Database& database, const FindingBatch& batch, const FindingLimits& limits,
                                      FindingTime now) {
  return BatchWriter(database, batch, limits, now).write();
}

StoreResult<FindingBatch> read_as_batch(Database& db) {
  FindingBatch batch;
  const auto time = [](const SqlStatement& row, int column) {
    return FindingTime(std::chrono::milliseconds(row.integer(column)));
  };
  for (auto row = db.statement("SELECT capability, method, comparisons FROM traffic"); row.step();) {
    batch.comparisons[{row.bytes(0), row.bytes(1)}] = row.unsigned_integer(2);
  }
  for (auto row = db.statement("SELECT id, capability, method, path, kind, severity, first_seen, last_seen, count, "
                               "before_first, at_last, ack_by, ack_why, ack_at, ack_until, tenants_other, "
                               "consumers_other, policies_other FROM finding");
       row.step();) {
    FindingDelta& delta = batch.findings[{row.unsigned_integer(0)}];
    delta.signature = {row.bytes(1), row.bytes(2), row.bytes(3), static_cast<FindingKind>(row.integer(4)),
                       static_cast<FindingSeverity>(row.integer(5))};
    delta.first_seen = time(row, 6);
    delta.last_seen = time(row, 7);
    delta.count = row.unsigned_integer(8);
    delta.first_at = row.unsigned_integer(9) + 1;
    delta.last_at = row.unsigned_integer(10);
    if (!row.is_null(13)) {
      delta.acknowledgement = {row.bytes(11), row.bytes(12), std::nullopt, time(row, 13)};
      if (!row.is_null(14)) delta.acknowledgement->until = time(row, 14);
    }
    delta.tenants.other = row.unsigned_integer(15);
    delta.consumers.other = row.unsigned_integer(16);
    delta.policies.other = row.unsigned_integer(17);
    batch.sightings += delta.count;
  }
  for (auto row = db.statement("SELECT finding, what, name, count, last_seen FROM touched"); row.step();) {
    FindingDelta& delta = batch.findings[{row.unsigned_integer(0)}];
    const std::array<TouchedDelta*, 3> lists{&delta.tenants, &delta.consumers, &delta.policies};
    lists[static_cast<std::size_t>(row.integer(1)) % lists.size()]->names[row.bytes(2)] = {
        row.bytes(2), row.unsigned_integer(3), time(row, 4)};
  }
  std::map<std::int64_t, ExampleBytes> traces;
  for (auto row = db.statement("SELECT id, bytes FROM trace"); row.step();) {
    traces[row.integer(0)] = std::make_shared<const std::string>(row.bytes(1));
  }
  for (auto row = db.statement("SELECT finding, trace FROM example ORDER BY finding, trace"); row.step();) {
    if (const auto found = traces.find(row.integer(1)); found != traces.end()) {
      batch.findings[{row.unsigned_integer(0)}].examples.push_back(found->second);
    }
  }
  if (auto error = db.take_error()) return fail(*error);
  return batch;
}

}  // namespace ficus
