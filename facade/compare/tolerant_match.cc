#include "facade/compare/tolerant_match.h"

#include <algorithm>
#include <cstddef>

namespace ficus {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A value that is absent is a zero.
int compare_places(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const double x = i < a.size() ? a[i] : 0, y = i < b.size() ? b[i] : 0;
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

// As many pairs as there can be, by augmenting paths (Kuhn): who has a partner keeps one, if perhaps another.
class MostPairs {
 public:
  MostPairs(const TolerantClass& from, const AlikeTest& alike) {
    for (const auto& [i, j] : from.pairs) {
      legacy_.push_back(i);
      fresh_.push_back(j);
    }
    legacy_.insert(legacy_.end(), from.legacy.begin(), from.legacy.end());
    fresh_.insert(fresh_.end(), from.fresh.begin(), from.fresh.end());
    alike_.resize(legacy_.size());
    for (std::size_t a = 0; a < legacy_.size(); ++a) {
      for (std::size_t b = 0; b < fresh_.size(); ++b) {
        if (alike(legacy_[a], fresh_[b])) alike_[a].push_back(b);
      }
    }
    partner_.assign(fresh_.size(), kNone);
    for (std::size_t k = 0; k < from.pairs.size(); ++k) partner_[k] = k;
    for (std::size_t a = from.pairs.size(); a < legacy_.size(); ++a) {
      seen_.assign(fresh_.size(), false);
      find_partner(a);
    }
  }

  TolerantClass take() const {
    TolerantClass out;
    std::vector<bool> taken(legacy_.size());
    for (std::size_t b = 0; b < fresh_.size(); ++b) {
      if (partner_[b] == kNone) {
        out.fresh.push_back(fresh_[b]);
      } else {
        taken[partner_[b]] = true;
        out.pairs.emplace_back(legacy_[partner_[b]], fresh_[b]);
      }
    }
    for (std::size_t a = 0; a < legacy_.size(); ++a) {
      if (!taken[a]) out.legacy.push_back(legacy_[a]);
    }
    return out;
  }

 private:
  // At most as deep as there are entries of legacy, of which max_looks allows few.
  bool find_partner(std::size_t a) {
    for (const std::size_t b : alike_[a]) {
      if (seen_[b]) continue;
      seen_[b] = true;
      if (partner_[b] != kNone && !find_partner(partner_[b])) continue;
      partner_[b] = a;
      return true;
    }
    return false;
  }

  std::vector<int> legacy_, fresh_;
  std::vector<std::vector<std::size_t>> alike_;  // by legacy: indices of fresh_
  std::vector<std::size_t> partner_;             // by fresh: index of legacy_
  std::vector<bool> seen_;
};

// Both sides from the least place on: the first of each are partners, or the lesser of the two has none.
TolerantClass sweep(std::vector<int> legacy, std::vector<int> fresh, const AlikeTest& alike,
                    const PlaceOf& legacy_place, const PlaceOf& fresh_place) {
  const auto sort = [](std::vector<int>& indices, const PlaceOf& place) {
    std::sort(indices.begin(), indices.end(), [&](int a, int b) {
      const int order = compare_places(place(a), place(b));
      return order != 0 ? order < 0 : a < b;
    });
  };
  sort(legacy, legacy_place);
  sort(fresh, fresh_place);
  TolerantClass out;
  std::size_t i = 0, j = 0;
  while (i < legacy.size() && j < fresh.size()) {
    if (alike(legacy[i], fresh[j])) {
      out.pairs.emplace_back(legacy[i++], fresh[j++]);
      continue;
    }
    const int order = compare_places(legacy_place(legacy[i]), fresh_place(fresh[j]));
    if (order <= 0) out.legacy.push_back(legacy[i++]);
    if (order >= 0) out.fresh.push_back(fresh[j++]);
  }
  out.legacy.insert(out.legacy.end(), legacy.begin() + static_cast<std::ptrdiff_t>(i), legacy.end());
  out.fresh.insert(out.fresh.end(), fresh.begin() + static_cast<std::ptrdiff_t>(j), fresh.end());
  return out;
}

}  // namespace

void match_tolerant(TolerantClass& among, const AlikeTest& alike, const PlaceOf& legacy_place,
                    const PlaceOf& fresh_place, std::size_t max_looks) {
  if (among.legacy.empty() || among.fresh.empty()) return;
  const std::size_t of_legacy = among.pairs.size() + among.legacy.size();
  const std::size_t of_fresh = among.pairs.size() + among.fresh.size();
  if (of_legacy <= max_looks / of_fresh) {
    among = MostPairs(among, alike).take();
    return;
  }
  TolerantClass rest = sweep(among.legacy, among.fresh, alike, legacy_place, fresh_place);
  rest.pairs.insert(rest.pairs.end(), among.pairs.begin(), among.pairs.end());
  if (!rest.legacy.empty() && !rest.fresh.empty()) {
    std::vector<int> legacy = among.legacy, fresh = among.fresh;
    for (const auto& [i, j] : among.pairs) {
      legacy.push_back(i);
      fresh.push_back(j);
    }
    TolerantClass all = sweep(std::move(legacy), std::move(fresh), alike, legacy_place, fresh_place);
    if (all.pairs.size() > rest.pairs.size()) rest = std::move(all);
  }
  among = std::move(rest);
}

}  // namespace ficus
