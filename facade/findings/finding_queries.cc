#include "facade/findings/finding_queries.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "facade/findings/finding_schema.h"
#include "routing/utf8.h"

namespace ficus {
namespace {

using ficus::trace::v1::Difference;
using ficus::trace::v1::MismatchTrace;

std::int64_t ms(FindingTime time) { return time.time_since_epoch().count(); }
FindingTime time_at(const SqlStatement& row, int column) {
  return FindingTime(std::chrono::milliseconds(row.integer(column)));
}

// The columns that finding_at reads. ?1 is now.
constexpr std::string_view kColumns =
    "SELECT id, f.capability, f.method, path, kind, severity, first_seen, f.last_seen, count, "
    "CASE WHEN t.comparisons IS NULL THEN 0 ELSE max(count, t.comparisons - before_first) END, "
    "CASE WHEN state = 1 THEN 2 WHEN ack_at IS NOT NULL AND (ack_until IS NULL OR ack_until >= ?1) THEN 1 "
    "WHEN state = 2 THEN 3 ELSE 0 END AS shown, "
    "state_since, ack_by, ack_why, ack_at, ack_until, "
    "(SELECT count(*) FROM touched WHERE finding = id AND what = 0), "
    "tenants_other, consumers_other, policies_other "
    "FROM finding f LEFT JOIN traffic t ON t.capability = f.capability AND t.method = f.method ";

Finding finding_at(const SqlStatement& row) {
  Finding f;
  f.id = {row.unsigned_integer(0)};
  f.signature.capability = row.bytes(1);
  f.signature.method = row.bytes(2);
  f.signature.path = row.bytes(3);
  // A number that is none of ours (a file edited by hand) reads as unspecified.
  if (Difference::Kind_IsValid(static_cast<int>(row.integer(4))))
    f.signature.kind = static_cast<FindingKind>(row.integer(4));
  if (MismatchTrace::Severity_IsValid(static_cast<int>(row.integer(5)))) {
    f.signature.severity = static_cast<FindingSeverity>(row.integer(5));
  }
  f.first_seen = time_at(row, 6);
  f.last_seen = time_at(row, 7);
  f.count = row.unsigned_integer(8);
  f.comparisons = row.unsigned_integer(9);
  if (auto rate = rate_interval(f.count, f.comparisons)) f.rate = *rate;
  f.state = static_cast<FindingState>(row.integer(10));
  f.state_since = time_at(row, 11);
  if (!row.is_null(14)) {
    f.acknowledgement = Acknowledgement{row.bytes(12), row.bytes(13), std::nullopt, time_at(row, 14)};
    if (!row.is_null(15)) f.acknowledgement->until = time_at(row, 15);
  }
  f.tenants = row.unsigned_integer(16);
  return f;
}

// The ids that begin with these digits: one range of the unsigned numbers, and of the signed ones too, since its
// numbers have their highest bit in common.
struct IdRange {
  std::uint64_t first, last;
};
StoreResult<IdRange> range_of(std::string_view id) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  if (id.empty() || id.size() > 16 || !std::all_of(id.begin(), id.end(), is_hex)) {
    return fail(StoreError{StoreFault::kInvalid, "an id is 1 to 16 hex digits"});
  }
  std::uint64_t digits = 0;
  std::from_chars(id.data(), id.data() + id.size(), digits, 16);
  const unsigned rest = 64 - 4 * static_cast<unsigned>(id.size());
  if (rest == 0) return IdRange{digits, digits};
  return IdRange{digits << rest, digits << rest | ((std::uint64_t{1} << rest) - 1)};
}

StoreResult<FindingId> resolve_id(Database& db, std::string_view id) {
  const auto range = range_of(id);
  if (!range) return fail(range.error());
  constexpr std::size_t kShown = 5;
  std::vector<FindingId> found;
  {
    SqlStatement rows = db.statement("SELECT id FROM finding WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?");
    rows.bind(range->first).bind(range->last).bind(std::uint64_t{kShown + 1});
    while (rows.step()) found.push_back({rows.unsigned_integer(0)});
  }
  if (auto error = db.take_error()) return fail(*error);
  if (found.empty()) return fail(StoreError{StoreFault::kNotFound, "no finding begins with " + std::string(id)});
  if (found.size() == 1) return found.front();
  std::string text = "several findings begin with " + std::string(id) + ":";
  for (std::size_t i = 0; i < std::min(found.size(), kShown); ++i) text += ' ' + to_string(found[i]);
  if (found.size() > kShown) text += " ...";
  return fail(StoreError{StoreFault::kAmbiguous, text});
}

std::vector<Touched> touched(Database& db, FindingId id, std::int64_t what) {
  SqlStatement rows = db.statement(
      "SELECT name, count, last_seen FROM touched WHERE finding = ? AND what = ? ORDER BY last_seen DESC, name");
  rows.bind(id.value).bind(what);
  std::vector<Touched> out;
  while (rows.step()) out.push_back({rows.bytes(0), rows.unsigned_integer(1), time_at(rows, 2)});
  return out;
}

// Leaves a failure in the database. None: there is no such finding.
std::optional<FindingDetail> detail_of(Database& db, FindingId id, FindingTime now) {
  FindingDetail detail;
  {
    SqlStatement row = db.statement(std::string(kColumns) + "WHERE id = ?2");
    row.bind(ms(now)).bind(id.value);
    if (!row.step()) return std::nullopt;
    detail.finding = finding_at(row);
    detail.tenants.other = row.unsigned_integer(17);
    detail.consumers.other = row.unsigned_integer(18);
    detail.policies.other = row.unsigned_integer(19);
  }
  detail.tenants.names = touched(db, id, 0);
  detail.consumers.names = touched(db, id, 1);
  detail.policies.names = touched(db, id, 2);
  SqlStatement rows = db.statement(
      "SELECT bytes FROM example JOIN trace ON trace.id = example.trace WHERE finding = ? ORDER BY trace.id");
  rows.bind(id.value);
  while (rows.step()) {
    MismatchTrace trace;
    if (trace.ParseFromString(rows.bytes(0))) detail.examples.push_back(std::move(trace));
  }
  return detail;
}

StoreResult<FindingDetail> detail_or_error(Database& db, FindingId id, FindingTime now) {
  std::optional<FindingDetail> detail = detail_of(db, id, now);
  if (auto error = db.take_error()) return fail(*error);
  if (!detail) return fail(StoreError{StoreFault::kNotFound, "the finding " + to_string(id) + " is no longer kept"});
  return std::move(*detail);
}

StoreResult<void> check_text(std::string_view what, std::string_view text, std::size_t limit) {
  if (text.empty()) return fail(StoreError{StoreFault::kInvalid, std::string(what) + " is missing"});
  if (text.size() > limit) {
    return fail(
        StoreError{StoreFault::kInvalid, std::string(what) + " is longer than " + std::to_string(limit) + " bytes"});
  }
  if (!is_plain_text(text)) {
    return fail(StoreError{StoreFault::kInvalid, std::string(what) + " is not one line of plain UTF-8"});
  }
  return {};
}

}  // namespace

std::string_view to_string(FindingState state) {
  switch (state) {
    case FindingState::kOpen:
      return "open";
    case FindingState::kAcknowledged:
      return "acknowledged";
    case FindingState::kResolved:
      return "resolved";
    case FindingState::kRegressed:
      return "regressed";
  }
  return "open";
}

std::optional<FindingState> parse_finding_state(std::string_view word) {
  for (const FindingState state :
       {FindingState::kOpen, FindingState::kAcknowledged, FindingState::kResolved, FindingState::kRegressed}) {
    if (word == to_string(state)) return state;
  }
  return std::nullopt;
}

StoreResult<FindingPage> list_findings(Database& db, const FindingFilter& filter, FindingTime now) {
  FindingPage page;
  {
    SqlStatement rows = db.statement(std::string(kColumns) +
                                     "WHERE (?2 IS NULL OR f.capability = ?2) AND severity >= ?3 AND (?4 IS NULL OR "
                                     "shown = ?4) AND f.last_seen >= ?5 "
                                     "ORDER BY severity DESC, f.last_seen DESC, id LIMIT ?6");
    rows.bind(ms(now));
    filter.capability ? rows.bind(std::string_view(*filter.capability)) : rows.bind_null();
    rows.bind(static_cast<std::int64_t>(filter.at_least.value_or(MismatchTrace::SEVERITY_UNSPECIFIED)));
    filter.state ? rows.bind(static_cast<std::int64_t>(*filter.state)) : rows.bind_null();
    rows.bind(filter.since ? ms(*filter.since) : std::numeric_limits<std::int64_t>::min());
    rows.bind(std::uint64_t{std::min<std::size_t>(filter.limit, 1'000'000) + 1});
    while (rows.step()) page.findings.push_back(finding_at(rows));
  }
  if (auto error = db.take_error()) return fail(*error);
  page.more = page.findings.size() > filter.limit;
  if (page.more) page.findings.resize(filter.limit);
  return page;
}

StoreResult<FindingDetail> show_finding(Database& db, std::string_view id, FindingTime now) {
  const auto found = resolve_id(db, id);
  if (!found) return fail(found.error());
  return detail_or_error(db, *found, now);
}

StoreResult<void> export_findings(Database& db, const FindingFilter& filter, FindingTime now,
                                  const std::function<void(const FindingDetail&)>& take) {
  const auto page = list_findings(db, filter, now);
  if (!page) return fail(page.error());
  for (const Finding& finding : page->findings) {
    const std::optional<FindingDetail> detail = detail_of(db, finding.id, now);
    if (auto error = db.take_error()) return fail(*error);
    if (detail) take(*detail);  // else it went since the list was made
  }
  return {};
}

StoreResult<Finding> acknowledge_finding(Database& db, std::string_view id, Acknowledgement ack, FindingTime now) {
  if (const auto ok = check_text("who acknowledges", ack.by, 256); !ok) return fail(ok.error());
  if (const auto ok = check_text("the reason", ack.why, 1024); !ok) return fail(ok.error());
  if (ack.until && *ack.until < now) return fail(StoreError{StoreFault::kInvalid, "`until` has passed already"});
  const auto found = resolve_id(db, id);
  if (!found) return fail(found.error());
  {
    SqlStatement update =
        db.statement("UPDATE finding SET ack_by = ?, ack_why = ?, ack_at = ?, ack_until = ? WHERE id = ?");
    update.bind(std::string_view(ack.by)).bind(std::string_view(ack.why)).bind(ms(now));
    ack.until ? update.bind(ms(*ack.until)) : update.bind_null();
    update.bind(found->value).run();
  }
  auto detail = detail_or_error(db, *found, now);
  if (!detail) return fail(detail.error());
  return std::move(detail->finding);
}

StoreResult<Finding> withdraw_acknowledgement(Database& db, std::string_view id, FindingTime now) {
  const auto found = resolve_id(db, id);
  if (!found) return fail(found.error());
  db.statement("UPDATE finding SET ack_by = NULL, ack_why = NULL, ack_at = NULL, ack_until = NULL WHERE id = ?")
      .bind(found->value)
      .run();
  auto detail = detail_or_error(db, *found, now);
  if (!detail) return fail(detail.error());
  return std::move(detail->finding);
}

}  // namespace ficus
