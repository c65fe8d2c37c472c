// The parts of MessageDiff that match the entries of lists.
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string_view>
#include <tuple>

#include <google/protobuf/descriptor.h>

#include "facade/compare/field_value.h"
#include "facade/compare/message_diff.h"
#include "facade/compare/survey.h"

namespace ficus {
namespace {

namespace pb = google::protobuf;

// Entries that are left over are paired with similar ones only while there are few: so many pairs are looked at.
constexpr std::size_t kMaxPairsLookedAt = 4096;
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

bool MessageDiff::Matching::in_order() const {
  return std::is_sorted(pairs.begin(), pairs.end(),
                        [](const auto& a, const auto& b) { return a.second < b.second; });
}

void MessageDiff::entry(const Lists& lists, int legacy_index, int fresh_index, Findings& out) {
  if (!context_.budget.spend()) return;
  cursor_.at_index(legacy_index);
  const Field* f = lists.field;
  if (f->cpp_type() == Field::CPPTYPE_MESSAGE) {
    messages(lists.legacy.GetReflection()->GetRepeatedMessage(lists.legacy, f, legacy_index),
             lists.fresh.GetReflection()->GetRepeatedMessage(lists.fresh, f, fresh_index), out);
  } else if (!scalars_equal(lists.legacy, legacy_index, lists.fresh, fresh_index, f)) {
    const bool plain = plain_here();
    report(DifferenceKind::kValue, severity_here(), plain, out, [&](RawValue& a, RawValue& b) {
      a = raw_value(lists.legacy, legacy_index, f, plain);
      b = raw_value(lists.fresh, fresh_index, f, plain);
    });
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
  if (const PathRule* rule = context_.rules.unordered(cursor_.path())) {
    unordered(lists, rule, out);
    return;
  }
  if (lists.legacy_size == lists.fresh_size) {
    Findings found = entry_by_entry(lists, Until::kEnd);
    if (found.count == 0 || lists.legacy_size < 2) {
      out.add(std::move(found), context_.limits.differences);
      return;
    }
    // The same entries in another order are one difference, not two an entry; as grave as what it stands for.
    const Matching matching = match_any_order(canonical_.entries(lists.legacy, lists.field),
                                              canonical_.entries(lists.fresh, lists.field));
    if (context_.budget.stopped() || !matching.legacy_rest.empty()) {
      out.add(std::move(found), context_.limits.differences);
      return;
    }
    for (const auto& [i, j] : matching.pairs) entry(lists, i, j, out);  // finds only what rules swallow
    report(DifferenceKind::kOrder, found.severity, true, out, [&](RawValue& a, RawValue& b) {
      std::vector<int> in_legacy, in_new(matching.pairs.size());
      for (const auto& [i, j] : matching.pairs) {
        in_legacy.push_back(i);
        in_new[static_cast<std::size_t>(j)] = i;
      }
      a = {true, "order", positions_text(in_legacy)};
      b = {true, "order", positions_text(in_new)};
    });
    return;
  }
  const std::vector<std::string> in_legacy = canonical_.entries(lists.legacy, lists.field);
  const std::vector<std::string> in_fresh = canonical_.entries(lists.fresh, lists.field);
  if (context_.budget.stopped()) return;
  Matching matching = match_in_order(in_legacy, in_fresh);
  pair_similar(lists, matching);
  matched(lists, matching, out);
}

void MessageDiff::unordered(const Lists& lists, const PathRule* rule, Findings& out) {
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
  const std::vector<std::string> in_legacy = canonical_.entries(lists.legacy, lists.field);
  const std::vector<std::string> in_fresh = canonical_.entries(lists.fresh, lists.field);
  if (context_.budget.stopped()) return;
  Matching matching = match_any_order(in_legacy, in_fresh);
  pair_similar(lists, matching);
  if (!matching.in_order()) out.swallow(rule);
  matched(lists, matching, out);
}

// Equal canonical bytes are partners: first those at one index, then in the order of the lists.
MessageDiff::Matching MessageDiff::match_any_order(const std::vector<std::string>& legacy,
                                                   const std::vector<std::string>& fresh) {
  struct Places {
    std::vector<int> legacy, fresh;
  };
  std::map<std::string_view, Places> classes;
  for (std::size_t i = 0; i < legacy.size(); ++i) classes[legacy[i]].legacy.push_back(static_cast<int>(i));
  for (std::size_t j = 0; j < fresh.size(); ++j) classes[fresh[j]].fresh.push_back(static_cast<int>(j));
  Matching matching;
  for (auto& [bytes, places] : classes) {
    std::vector<int> same, legacy_moved, fresh_moved;
    std::set_intersection(places.legacy.begin(), places.legacy.end(), places.fresh.begin(), places.fresh.end(),
                          std::back_inserter(same));
    std::set_difference(places.legacy.begin(), places.legacy.end(), same.begin(), same.end(),
                        std::back_inserter(legacy_moved));
    std::set_difference(places.fresh.begin(), places.fresh.end(), same.begin(), same.end(),
                        std::back_inserter(fresh_moved));
    for (const int i : same) matching.pairs.emplace_back(i, i);
    const std::size_t moved = std::min(legacy_moved.size(), fresh_moved.size());
    for (std::size_t k = 0; k < moved; ++k) matching.pairs.emplace_back(legacy_moved[k], fresh_moved[k]);
    const auto from = static_cast<std::ptrdiff_t>(moved);
    matching.legacy_rest.insert(matching.legacy_rest.end(), legacy_moved.begin() + from, legacy_moved.end());
    matching.fresh_rest.insert(matching.fresh_rest.end(), fresh_moved.begin() + from, fresh_moved.end());
  }
  std::sort(matching.pairs.begin(), matching.pairs.end());
  std::sort(matching.legacy_rest.begin(), matching.legacy_rest.end());
  std::sort(matching.fresh_rest.begin(), matching.fresh_rest.end());
  return matching;
}

// Common beginning, common end, and between them a longest common subsequence while that is cheap.
MessageDiff::Matching MessageDiff::match_in_order(const std::vector<std::string>& legacy,
                                                  const std::vector<std::string>& fresh) {
  Matching matching;
  const std::size_t shorter = std::min(legacy.size(), fresh.size());
  std::size_t head = 0;
  while (head < shorter && legacy[head] == fresh[head]) ++head;
  std::size_t tail = 0;
  while (tail < shorter - head && legacy[legacy.size() - 1 - tail] == fresh[fresh.size() - 1 - tail]) ++tail;
  const std::size_t rows = legacy.size() - head - tail;
  const std::size_t columns = fresh.size() - head - tail;

  for (std::size_t i = 0; i < head; ++i) matching.pairs.emplace_back(static_cast<int>(i), static_cast<int>(i));
  std::size_t i = 0, j = 0;
  if (rows * columns <= kMaxPairsLookedAt && context_.budget.spend(rows * columns)) {
    // longest[r][c]: of what is left from row r and column c on.
    std::vector<std::vector<int>> longest(rows + 1, std::vector<int>(columns + 1, 0));
    for (std::size_t r = rows; r-- > 0;) {
      for (std::size_t c = columns; c-- > 0;) {
        longest[r][c] = legacy[head + r] == fresh[head + c] ? longest[r + 1][c + 1] + 1
                                                            : std::max(longest[r + 1][c], longest[r][c + 1]);
      }
    }
    while (i < rows && j < columns) {
      const std::string& a = legacy[head + i];
      const std::string& b = fresh[head + j];
      if (a == b) {
        matching.pairs.emplace_back(static_cast<int>(head + i++), static_cast<int>(head + j++));
      } else if (longest[i + 1][j] > longest[i][j + 1] || (longest[i + 1][j] == longest[i][j + 1] && a < b)) {
        // Ties are broken by the entries themselves, so that swapping the sides swaps nothing but the sides.
        matching.legacy_rest.push_back(static_cast<int>(head + i++));
      } else {
        matching.fresh_rest.push_back(static_cast<int>(head + j++));
      }
    }
  }
  for (; i < rows; ++i) matching.legacy_rest.push_back(static_cast<int>(head + i));
  for (; j < columns; ++j) matching.fresh_rest.push_back(static_cast<int>(head + j));
  for (std::size_t k = tail; k > 0; --k) {
    matching.pairs.emplace_back(static_cast<int>(legacy.size() - k), static_cast<int>(fresh.size() - k));
  }
  return matching;
}

// Partners for what is left: entries of which at least half of the leaves are the same are one entry that changed.
// The most alike first; equally alike ones by their places, in a way that does not depend on the side.
void MessageDiff::pair_similar(const Lists& lists, Matching& matching) {
  const std::size_t looks = matching.legacy_rest.size() * matching.fresh_rest.size();
  matching.too_many_left = looks > kMaxPairsLookedAt;
  if (lists.field->cpp_type() != Field::CPPTYPE_MESSAGE || looks == 0 || matching.too_many_left) return;
  const auto surveys = [&](const Message& owner, const std::vector<int>& indices) {
    std::vector<Survey> out;
    for (const int i : indices) {
      out.push_back(
          survey_message(owner.GetReflection()->GetRepeatedMessage(owner, lists.field, i), cursor_, context_));
    }
    return out;
  };
  const std::vector<Survey> in_legacy = surveys(lists.legacy, matching.legacy_rest);
  const std::vector<Survey> in_fresh = surveys(lists.fresh, matching.fresh_rest);

  struct Candidate {
    std::size_t apart;  // leaves that one of the two has and the other has not
    int sum, distance;  // of the two indices
    std::size_t legacy, fresh;
  };
  std::vector<Candidate> candidates;
  for (std::size_t a = 0; a < in_legacy.size(); ++a) {
    for (std::size_t b = 0; b < in_fresh.size(); ++b) {
      const std::size_t more = std::max(in_legacy[a].leaves, in_fresh[b].leaves);
      if (!context_.budget.spend(more / 8 + 1)) return;
      const std::size_t common = common_leaves(in_legacy[a], in_fresh[b]);
      if (common == 0 || 2 * common < more) continue;
      const int i = matching.legacy_rest[a];
      const int j = matching.fresh_rest[b];
      candidates.push_back({in_legacy[a].leaves + in_fresh[b].leaves - 2 * common, i + j, std::abs(i - j), a, b});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& x, const Candidate& y) {
    return std::tie(x.apart, x.sum, x.distance, x.legacy) < std::tie(y.apart, y.sum, y.distance, y.legacy);
  });
  std::vector<bool> legacy_taken(in_legacy.size()), fresh_taken(in_fresh.size());
  for (const Candidate& c : candidates) {
    if (legacy_taken[c.legacy] || fresh_taken[c.fresh]) continue;
    legacy_taken[c.legacy] = fresh_taken[c.fresh] = true;
    matching.pairs.emplace_back(matching.legacy_rest[c.legacy], matching.fresh_rest[c.fresh]);
  }
  const auto drop = [](std::vector<int>& from, const std::vector<bool>& taken) {
    std::vector<int> left;
    for (std::size_t k = 0; k < from.size(); ++k) {
      if (!taken[k]) left.push_back(from[k]);
    }
    from = std::move(left);
  };
  drop(matching.legacy_rest, legacy_taken);
  drop(matching.fresh_rest, fresh_taken);
  std::sort(matching.pairs.begin(), matching.pairs.end());
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
