// Partners among entries where being alike is no equivalence: 1.0 is near 1.1 and that near 1.2, but not the first near
// the last. Pure.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace ficus {

// Entries that differ in nothing but values that a tolerance is about.
struct TolerantClass {
  std::vector<std::pair<int, int>> pairs;  // {legacy's index, new's index}: alike already
  std::vector<int> legacy, fresh;          // without a partner
};

using AlikeTest = std::function<bool(int legacy, int fresh)>;
using PlaceOf = std::function<const std::vector<double>&(int index)>;

// Finds partners for those that have none, and other partners for those that have where that leaves fewer without.
// Never leaves more without a partner than there were. The most possible where no more than `max_looks` pairs have to
// be looked at, or where entries are near by one value only; else near to it: then entries are sorted by their places
// and each is looked at a few times.
void match_tolerant(TolerantClass& among, const AlikeTest& alike, const PlaceOf& legacy_place,
                    const PlaceOf& fresh_place, std::size_t max_looks);

}  // namespace ficus
