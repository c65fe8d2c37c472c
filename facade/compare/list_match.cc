// The parts of MessageDiff that say which entries of two lists belong together.
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
#include "facade/compare/tolerant_match.h"

namespace ficus {
namespace {

// Entries that are left over are paired with similar ones only while there are few: so many pairs are looked at.
constexpr std::size_t kMaxPairsLookedAt = 4096;

}  // namespace

bool MessageDiff::Matching::in_order() const {
  return std::is_sorted(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
}

void MessageDiff::Matching::sort() {
  std::sort(pairs.begin(), pairs.end());
  std::sort(legacy_rest.begin(), legacy_rest.end());
  std::sort(fresh_rest.begin(), fresh_rest.end());
}

MessageDiff::Entries MessageDiff::entries_of(const Message& owner, const Field* field) {
  Entries entries;
  entries.canonical = canonical_.entries(owner, field);
  if (!context_.rules.tolerates()) return entries;
  entries.loose = loose_.entries(owner, field, &entries.places);
  return entries;
}

// Whether nothing differs between two entries, tolerances heeded.
bool MessageDiff::alike(const Lists& lists, const Entries& legacy, const Entries& fresh, int i, int j) {
  const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
  if (legacy.canonical[a] == fresh.canonical[b]) return true;
  if (legacy.loose.empty() || legacy.loose[a] != fresh.loose[b]) return false;
  Findings found;
  entry(lists, i, j, found);
  return found.count == 0;
}

// Equal canonical bytes are partners: first those at one index, then in the order of the lists. Then those that a
// tolerance makes alike.
MessageDiff::Matching MessageDiff::match_any_order(const Lists& lists, const Entries& legacy, const Entries& fresh) {
  struct Places {
    std::vector<int> legacy, fresh;
  };
  std::map<std::string_view, Places> classes;
  for (std::size_t i = 0; i < legacy.canonical.size(); ++i) {
    classes[legacy.canonical[i]].legacy.push_back(static_cast<int>(i));
  }
  for (std::size_t j = 0; j < fresh.canonical.size(); ++j) {
    classes[fresh.canonical[j]].fresh.push_back(static_cast<int>(j));
  }
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
  match_tolerant_classes(lists, legacy, fresh, matching);
  matching.sort();
  return matching;
}

void MessageDiff::match_tolerant_classes(const Lists& lists, const Entries& legacy, const Entries& fresh,
                                         Matching& matching) {
  if (legacy.loose.empty() || matching.legacy_rest.empty() || matching.fresh_rest.empty()) return;
  std::map<std::string_view, TolerantClass> classes;
  const auto of_legacy = [&](int i) -> TolerantClass& { return classes[legacy.loose[static_cast<std::size_t>(i)]]; };
  const auto of_fresh = [&](int j) -> TolerantClass& { return classes[fresh.loose[static_cast<std::size_t>(j)]]; };
  for (const auto& pair : matching.pairs) of_legacy(pair.first).pairs.push_back(pair);
  for (const int i : matching.legacy_rest) of_legacy(i).legacy.push_back(i);
  for (const int j : matching.fresh_rest) of_fresh(j).fresh.push_back(j);
  const AlikeTest test = [&](int i, int j) { return alike(lists, legacy, fresh, i, j); };
  const auto places = [](const Entries& entries) {
    return [&entries](int i) -> const std::vector<double>& { return entries.places[static_cast<std::size_t>(i)]; };
  };
  matching = {};
  for (auto& [bytes, members] : classes) {
    match_tolerant(members, test, places(legacy), places(fresh), kMaxPairsLookedAt);
    matching.pairs.insert(matching.pairs.end(), members.pairs.begin(), members.pairs.end());
    matching.legacy_rest.insert(matching.legacy_rest.end(), members.legacy.begin(), members.legacy.end());
    matching.fresh_rest.insert(matching.fresh_rest.end(), members.fresh.begin(), members.fresh.end());
  }
}

// Entries of one key are partners: those that hold the same first, the others in the order of the lists.
MessageDiff::Matching MessageDiff::match_by_key(const Lists& lists, const Field* by, const Entries& legacy,
                                                const Entries& fresh) {
  struct Group {
    std::vector<int> legacy, fresh;
  };
  std::map<std::string, Group> groups;
  const auto key_of = [&](const Message& owner, int i) {
    return canonical_scalar(owner.GetReflection()->GetRepeatedMessage(owner, lists.field, i), kSingular, by);
  };
  for (int i = 0; i < lists.legacy_size; ++i) groups[key_of(lists.legacy, i)].legacy.push_back(i);
  for (int j = 0; j < lists.fresh_size; ++j) groups[key_of(lists.fresh, j)].fresh.push_back(j);
  Matching matching;
  for (auto& [key, group] : groups) {
    if (!context_.budget.spend()) return matching;
    if (group.legacy.size() > 1 || group.fresh.size() > 1) {
      // A key that should be one of a kind and is not.
      std::map<std::string_view, std::vector<int>> left;  // of new, by what they hold; the first last
      for (auto j = group.fresh.rbegin(); j != group.fresh.rend(); ++j) {
        left[fresh.canonical[static_cast<std::size_t>(*j)]].push_back(*j);
      }
      std::vector<int> unlike;
      for (const int i : group.legacy) {
        const auto same = left.find(legacy.canonical[static_cast<std::size_t>(i)]);
        if (same == left.end() || same->second.empty()) {
          unlike.push_back(i);
        } else {
          matching.pairs.emplace_back(i, same->second.back());
          same->second.pop_back();
        }
      }
      group.legacy = std::move(unlike);
      group.fresh.clear();
      for (const auto& [bytes, indices] : left) {
        group.fresh.insert(group.fresh.end(), indices.begin(), indices.end());
      }
      std::sort(group.fresh.begin(), group.fresh.end());
    }
    const std::size_t both = std::min(group.legacy.size(), group.fresh.size());
    for (std::size_t k = 0; k < both; ++k) matching.pairs.emplace_back(group.legacy[k], group.fresh[k]);
    const auto from = static_cast<std::ptrdiff_t>(both);
    matching.legacy_rest.insert(matching.legacy_rest.end(), group.legacy.begin() + from, group.legacy.end());
    matching.fresh_rest.insert(matching.fresh_rest.end(), group.fresh.begin() + from, group.fresh.end());
  }
  matching.sort();
  return matching;
}

// Common beginning, common end, and between them a longest common subsequence while that is cheap.
MessageDiff::Matching MessageDiff::match_in_order(const Lists& lists, const Entries& in_legacy,
                                                  const Entries& in_fresh) {
  const std::vector<std::string>& legacy = in_legacy.canonical;
  const std::vector<std::string>& fresh = in_fresh.canonical;
  const auto alike = [&](std::size_t a, std::size_t b) {
    return this->alike(lists, in_legacy, in_fresh, static_cast<int>(a), static_cast<int>(b));
  };
  Matching matching;
  const std::size_t shorter = std::min(legacy.size(), fresh.size());
  std::size_t head = 0;
  while (head < shorter && alike(head, head)) ++head;
  std::size_t tail = 0;
  while (tail < shorter - head && alike(legacy.size() - 1 - tail, fresh.size() - 1 - tail)) ++tail;
  const std::size_t rows = legacy.size() - head - tail;
  const std::size_t columns = fresh.size() - head - tail;

  for (std::size_t i = 0; i < head; ++i) matching.pairs.emplace_back(static_cast<int>(i), static_cast<int>(i));
  std::size_t i = 0, j = 0;
  if (rows * columns <= kMaxPairsLookedAt && context_.budget.spend(rows * columns)) {
    // longest[r][c]: of what is left from row r and column c on.
    std::vector<std::vector<int>> longest(rows + 1, std::vector<int>(columns + 1, 0));
    for (std::size_t r = rows; r-- > 0;) {
      for (std::size_t c = columns; c-- > 0;) {
        longest[r][c] =
            alike(head + r, head + c) ? longest[r + 1][c + 1] + 1 : std::max(longest[r + 1][c], longest[r][c + 1]);
      }
    }
    while (i < rows && j < columns) {
      const std::string& a = legacy[head + i];
      const std::string& b = fresh[head + j];
      if (alike(head + i, head + j)) {
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

}  // namespace ficus
