// The parts of MessageDiff that compare lists.
#include <algorithm>

#include <google/protobuf/descriptor.h>

#include "facade/compare/field_value.h"
#include "facade/compare/message_diff.h"
#include "facade/compare/tolerance.h"

namespace ficus {
namespace {

// An `order` difference shows the positions of at most so many entries.
constexpr std::size_t kMaxPositionsShown = 32;

std::string positions_text(const std::vector<int>& positions) {
  std::string text;
  for (std::size_t i = 0; i < positions.size() && i < kMaxPositionsShown; ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(positions[i]);
  }
  if (positions.size() > kMaxPositionsShown) text += " ...";
  return text;
}

}  // namespace

void MessageDiff::entry(const Lists& lists, int legacy_index, int fresh_index, Findings& out) {
  if (!context_.budget.spend()) return;
  cursor_.at_index(legacy_index);
  const Field* f = lists.field;
  if (f->cpp_type() == Field::CPPTYPE_MESSAGE) {
    messages(lists.legacy.GetReflection()->GetRepeatedMessage(lists.legacy, f, legacy_index),
             lists.fresh.GetReflection()->GetRepeatedMessage(lists.fresh, f, fresh_index), out);
  } else if (!scalars_equal(lists.legacy, legacy_index, lists.fresh, fresh_index, f)) {
    const PathRule* rule =
        tolerated_numbers(lists.legacy, legacy_index, lists.fresh, fresh_index, f, cursor_, context_.rules);
    const bool plain = plain_here();
    if (rule != nullptr) {
      out.swallow(rule);
    } else {
      report(DifferenceKind::kValue, severity_here(), plain, out, [&](RawValue& a, RawValue& b) {
        a = raw_value(lists.legacy, legacy_index, f, plain);
        b = raw_value(lists.fresh, fresh_index, f, plain);
      });
    }
  }
  cursor_.at_whole();
}

// Precondition: of equal length.
Findings MessageDiff::entry_by_entry(const Lists& lists, Until until) {
  Findings found;
  for (int i = 0; i < lists.legacy_size && !context_.budget.stopped(); ++i) {
    if (until == Until::kFirstDifference && found.count > 0) break;
    entry(lists, i, i, found);
  }
  return found;
}

void MessageDiff::list(const Lists& lists, Findings& out) {
  if (const KeyedList keyed = keyed_list(lists.field, cursor_, context_); keyed.rule != nullptr) {
    return any_order(lists, keyed.rule, keyed.by, out);
  }
  if (const PathRule* rule = context_.rules.unordered(cursor_.path())) return any_order(lists, rule, nullptr, out);
  if (lists.legacy_size == lists.fresh_size) {
    Findings found = entry_by_entry(lists, Until::kEnd);
    if (found.count == 0 || lists.legacy_size < 2) {
      out.add(std::move(found), context_.limits.differences);
      return;
    }
    // The same entries in another order are one difference, not two an entry; as grave as what it stands for.
    const Entries in_legacy = entries_of(lists.legacy, lists.field);
    const Entries in_fresh = entries_of(lists.fresh, lists.field);
    if (context_.budget.stopped()) return;
    const Matching matching = match_any_order(lists, in_legacy, in_fresh);
    if (context_.budget.stopped() || !matching.legacy_rest.empty()) {
      out.add(std::move(found), context_.limits.differences);
      return;
    }
    for (const auto& [i, j] : matching.pairs) entry(lists, i, j, out);  // finds only what rules swallow
    report(DifferenceKind::kOrder, found.severity, true, out, [&](RawValue& a, RawValue& b) {
      std::vector<int> before, after(matching.pairs.size());
      for (const auto& [i, j] : matching.pairs) {
        before.push_back(i);
        after[static_cast<std::size_t>(j)] = i;
      }
      a = {true, "order", positions_text(before)};
      b = {true, "order", positions_text(after)};
    });
    return;
  }
  const Entries in_legacy = entries_of(lists.legacy, lists.field);
  const Entries in_fresh = entries_of(lists.fresh, lists.field);
  if (context_.budget.stopped()) return;
  Matching matching = match_in_order(lists, in_legacy, in_fresh);
  pair_similar(lists, matching);
  matched(lists, matching, out);
}

// `by` null: entries belong together by all that they hold.
void MessageDiff::any_order(const Lists& lists, const PathRule* rule, const Field* by, Findings& out) {
  if (lists.legacy_size == lists.fresh_size) {
    Findings found = entry_by_entry(lists, Until::kFirstDifference);
    if (found.count == 0) {  // the same order already: the rule swallows nothing
      out.add(std::move(found), context_.limits.differences);
      return;
    }
  }
  if (static_cast<std::size_t>(std::max(lists.legacy_size, lists.fresh_size)) > context_.limits.unordered_elements) {
    context_.budget.stop("too_large");
    return;
  }
  const Entries in_legacy = entries_of(lists.legacy, lists.field);
  const Entries in_fresh = entries_of(lists.fresh, lists.field);
  if (context_.budget.stopped()) return;
  Matching matching = match_any_order(lists, in_legacy, in_fresh);
  if (matching.legacy_rest.empty() && matching.fresh_rest.empty()) {
    // The same entries: their keys need not be asked, and might be ignored.
  } else if (by != nullptr) {
    matching = match_by_key(lists, by, in_legacy, in_fresh);
  } else {
    pair_similar(lists, matching);
  }
  if (context_.budget.stopped()) return;
  if (!matching.in_order()) out.swallow(rule);
  matched(lists, matching, out);
}

void MessageDiff::matched(const Lists& lists, const Matching& matching, Findings& out) {
  for (const auto& [i, j] : matching.pairs) entry(lists, i, j, out);
  Findings alone;
  for (const int i : matching.legacy_rest) {
    if (!context_.budget.spend()) return;
    cursor_.at_index(i);
    one_sided(Side::kLegacy, lists.legacy, i, lists.field, alone);
  }
  for (const int j : matching.fresh_rest) {
    if (!context_.budget.spend()) return;
    cursor_.at_index(j);
    one_sided(Side::kNew, lists.fresh, j, lists.field, alone);
  }
  cursor_.at_whole();
  if (!matching.too_many_left || lists.legacy_size == lists.fresh_size) {
    out.add(std::move(alone), context_.limits.differences);
    return;
  }
  // Nothing is gained by hundreds of missing and extra entries: one difference, as grave as the gravest of them.
  report(DifferenceKind::kSize, alone.severity, true, out, [&](RawValue& a, RawValue& b) {
    a = {true, "size", std::to_string(lists.legacy_size)};
    b = {true, "size", std::to_string(lists.fresh_size)};
  });
}

}  // namespace ficus
