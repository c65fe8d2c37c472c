#include "facade/metrics/metrics.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <locale>
#include <map>
#include <mutex>
#include <sstream>
#include <unordered_map>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "facade/metrics/families.h"

namespace ficus {
namespace {

constexpr std::size_t kBuckets = Histogram::kBoundsSeconds.size();

// The bounds in nanoseconds, so that observing needs no floating point.
constexpr std::array<std::int64_t, kBuckets> bounds_in_nanoseconds() {
  std::array<std::int64_t, kBuckets> bounds{};
  for (std::size_t i = 0; i < kBuckets; ++i)
    bounds[i] = static_cast<std::int64_t>(Histogram::kBoundsSeconds[i] * 1e9 + 0.5);
  return bounds;
}
constexpr std::array<std::int64_t, kBuckets> kBoundsNanoseconds = bounds_in_nanoseconds();

// metrics/ is a leaf, so it has no FICUS_CHECK.
[[noreturn]] void programmer_error(const Family& family, const char* why) {
  std::fprintf(stderr, "metric %.*s: %s\n", static_cast<int>(family.name.size()), family.name.data(), why);
  std::abort();
}

// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0 where it begins with none (RFC 3629 4).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

void append_as_utf8(std::string& out, std::string_view text) {
  const auto plain = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), plain)) {
    out.append(text);
    return;
  }
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    out.append(length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length));  // U+FFFD
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

// Label values as one key: each value and a zero byte, with zero bytes in values replaced. Sanitized before it becomes
// a key, so that two values that read alike are one series: a duplicate would make Prometheus refuse the scrape.
void append_label(std::string& key, std::string_view value) {
  const std::size_t begin = key.size();
  append_as_utf8(key, value);
  std::replace(key.begin() + static_cast<std::ptrdiff_t>(begin), key.end(), '\0', '?');
  key.push_back('\0');
}

std::vector<std::string_view> split_key(std::string_view key) {
  std::vector<std::string_view> values;
  while (!key.empty()) {
    const std::size_t end = key.find('\0');
    values.push_back(key.substr(0, end));
    key.remove_prefix(end + 1);
  }
  return values;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

// The series of one family. Nodes of the map never move, and `order` lets a scrape copy pointers instead of walking
// the map with the mutex held.
template <class T>
struct SeriesSet {
  using Node = typename TextMap<T>::value_type;
  TextMap<T> by_labels;
  std::vector<const Node*> order;
};

struct FamilySeries {
  Family family;
  SeriesSet<Counter> counters;
  SeriesSet<Gauge> gauges;
  SeriesSet<Histogram> histograms;
};

struct HistogramTotal {
  std::array<std::uint64_t, kBuckets + 1> buckets{};
  std::uint64_t sum_nanoseconds = 0;
};

// One family, added up over shards. Counters stay integers until the end, so that a sum is exact.
struct FamilyTotal {
  Family family;
  std::map<std::string, std::uint64_t, std::less<>> counters;
  std::map<std::string, double, std::less<>> gauges;
  std::map<std::string, HistogramTotal, std::less<>> histograms;
};

prometheus::ClientMetric labelled(const Family& family, std::string_view key) {
  prometheus::ClientMetric metric;
  const auto values = split_key(key);
  for (std::size_t i = 0; i < values.size(); ++i) {
    metric.label.push_back({std::string(family.labels[i]), std::string(values[i])});
  }
  return metric;
}

prometheus::MetricFamily rendered(const FamilyTotal& total) {
  prometheus::MetricFamily out;
  out.name = total.family.name;
  out.help = total.family.help;
  switch (total.family.type) {
    case Family::Type::kCounter:
      out.type = prometheus::MetricType::Counter;
      for (const auto& [key, value] : total.counters) {
        out.metric.push_back(labelled(total.family, key));
        out.metric.back().counter.value = static_cast<double>(value);
      }
      break;
    case Family::Type::kGauge:
      out.type = prometheus::MetricType::Gauge;
      for (const auto& [key, value] : total.gauges) {
        out.metric.push_back(labelled(total.family, key));
        out.metric.back().gauge.value = value;
      }
      break;
    case Family::Type::kHistogram:
      out.type = prometheus::MetricType::Histogram;
      for (const auto& [key, value] : total.histograms) {
        out.metric.push_back(labelled(total.family, key));
        auto& histogram = out.metric.back().histogram;
        std::uint64_t cumulative = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
          cumulative += value.buckets[i];
          histogram.bucket.push_back({cumulative, Histogram::kBoundsSeconds[i]});
        }
        cumulative += value.buckets[kBuckets];
        histogram.bucket.push_back({cumulative, std::numeric_limits<double>::infinity()});
        histogram.sample_count = cumulative;  // counted from the same reads, so that +Inf and _count always agree
        histogram.sample_sum = static_cast<double>(value.sum_nanoseconds) / 1e9;
      }
      break;
  }
  return out;
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds value, std::uint64_t count) noexcept {
  const std::int64_t nanoseconds = std::max<std::int64_t>(value.count(), 0);
  const auto bound = std::lower_bound(kBoundsNanoseconds.begin(), kBoundsNanoseconds.end(), nanoseconds);
  buckets_[static_cast<std::size_t>(bound - kBoundsNanoseconds.begin())].fetch_add(count, std::memory_order_relaxed);
  sum_.fetch_add(static_cast<std::uint64_t>(nanoseconds) * count, std::memory_order_relaxed);
}

struct MetricsShard::Impl {
  std::mutex mutex;
  TextMap<FamilySeries> families;

  FamilySeries& family_series(const Family& family, Family::Type type) {
    if (family.type != type) programmer_error(family, "used as another type than it is");
    const auto found = families.find(family.name);
    if (found != families.end()) return found->second;
    return families.emplace(std::string(family.name), FamilySeries{family, {}, {}, {}}).first->second;
  }

  template <class T>
  T& find_or_make(const Family& family, Family::Type type, SeriesSet<T> FamilySeries::*set, LabelValues labels) {
    if (labels.size() != family.labels.size()) programmer_error(family, "wrong number of label values");
    // A buffer a thread keeps, so that finding an existing series allocates nothing.
    thread_local std::string key;
    key.clear();
    for (const std::string_view value : labels) append_label(key, value);
    const std::lock_guard lock(mutex);
    return find_or_make_locked(family_series(family, type).*set, family, key);
  }

  template <class T>
  T& find_or_make_locked(SeriesSet<T>& series, const Family& family, std::string& key) {
    const auto found = series.by_labels.find(std::string_view(key));
    if (found != series.by_labels.end()) return found->second;
    if (series.order.size() >= kMaxSeries) {
      if (family.name != families::kLimits.name) count_overflow();
      key.clear();
      for (std::size_t i = 0; i < family.labels.size(); ++i) append_label(key, "other");
    }
    const auto [made, is_new] = series.by_labels.try_emplace(key);
    if (is_new) series.order.push_back(&*made);
    return made->second;
  }

  void count_overflow() {
    std::string key;
    append_label(key, "metric_series");
    auto& limits = family_series(families::kLimits, Family::Type::kCounter).counters;
    find_or_make_locked(limits, families::kLimits, key).add();
  }

  // Of one family, counters or gauges.
  template <class T, class Sum>
  void add_series(const Family& family, SeriesSet<T> FamilySeries::*set,
                  std::map<std::string, Sum, std::less<>>& sums) {
    std::vector<const typename SeriesSet<T>::Node*> nodes;
    {
      const std::lock_guard lock(mutex);
      const auto found = families.find(family.name);
      if (found == families.end()) return;
      nodes = (found->second.*set).order;
    }
    for (const auto* node : nodes) sums[node->first] += node->second.value();
  }

  void add_to(std::map<std::string, FamilyTotal, std::less<>>& totals) {
    struct Pointers {
      Family family;
      std::vector<const SeriesSet<Counter>::Node*> counters;
      std::vector<const SeriesSet<Gauge>::Node*> gauges;
      std::vector<const SeriesSet<Histogram>::Node*> histograms;
    };
    std::vector<Pointers> copies;
    {
      const std::lock_guard lock(mutex);
      copies.reserve(families.size());
      for (const auto& [name, series] : families) {
        copies.push_back({series.family, series.counters.order, series.gauges.order, series.histograms.order});
      }
    }
    for (const Pointers& copy : copies) {
      FamilyTotal& total = totals[std::string(copy.family.name)];
      total.family = copy.family;
      for (const auto* node : copy.counters) total.counters[node->first] += node->second.value();
      for (const auto* node : copy.gauges) total.gauges[node->first] += node->second.value();
      for (const auto* node : copy.histograms) {
        HistogramTotal& sum = total.histograms[node->first];
        for (std::size_t i = 0; i <= kBuckets; ++i) sum.buckets[i] += node->second.bucket(i);
        sum.sum_nanoseconds += node->second.sum_nanoseconds();
      }
    }
  }
};

MetricsShard::MetricsShard() : impl_(std::make_unique<Impl>()) {}
MetricsShard::~MetricsShard() = default;

Counter& MetricsShard::counter(const Family& family, LabelValues labels) {
  return impl_->find_or_make(family, Family::Type::kCounter, &FamilySeries::counters, labels);
}
Gauge& MetricsShard::gauge(const Family& family, LabelValues labels) {
  return impl_->find_or_make(family, Family::Type::kGauge, &FamilySeries::gauges, labels);
}
Histogram& MetricsShard::histogram(const Family& family, LabelValues labels) {
  return impl_->find_or_make(family, Family::Type::kHistogram, &FamilySeries::histograms, labels);
}

struct Metrics::Impl {
  mutable std::mutex shards_mutex;
  std::deque<std::unique_ptr<MetricsShard>> shards;

  std::vector<MetricsShard*> all_shards() const {
    const std::lock_guard lock(shards_mutex);
    std::vector<MetricsShard*> copy;
    for (const auto& shard : shards) copy.push_back(shard.get());
    return copy;
  }

  std::mutex expose_mutex;
  std::function<void(MetricsShard&)> collect;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

MetricsShard& Metrics::add_shard() {
  const std::lock_guard lock(impl_->shards_mutex);
  return *impl_->shards.emplace_back(std::make_unique<MetricsShard>());
}

void Metrics::set_snapshot_gauges(std::function<void(MetricsShard&)> collect) {
  const std::lock_guard lock(impl_->expose_mutex);
  impl_->collect = std::move(collect);
}

std::string Metrics::expose() {
  const std::lock_guard one_at_a_time(impl_->expose_mutex);
  std::map<std::string, FamilyTotal, std::less<>> totals;
  if (impl_->collect) {
    MetricsShard snapshot;
    impl_->collect(snapshot);
    snapshot.impl_->add_to(totals);
  }
  for (MetricsShard* shard : impl_->all_shards()) shard->impl_->add_to(totals);

  std::vector<prometheus::MetricFamily> families;
  families.reserve(totals.size());
  for (const auto& [name, total] : totals) families.push_back(rendered(total));
  std::ostringstream out;
  out.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

std::vector<SeriesValue> Metrics::read(const Family& family) const {
  if (family.type == Family::Type::kHistogram) programmer_error(family, "a histogram has no one value to read");
  FamilyTotal total{family, {}, {}, {}};
  for (MetricsShard* shard : impl_->all_shards()) {
    shard->impl_->add_series(family, &FamilySeries::counters, total.counters);
    shard->impl_->add_series(family, &FamilySeries::gauges, total.gauges);
  }
  std::vector<SeriesValue> values;
  const auto take = [&](const auto& sums) {
    for (const auto& [key, value] : sums) {
      const auto labels = split_key(key);
      values.push_back({std::vector<std::string>(labels.begin(), labels.end()), static_cast<double>(value)});
    }
  };
  take(total.counters);
  take(total.gauges);
  return values;
}

}  // namespace ficus
