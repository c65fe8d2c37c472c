// Counters and histograms, sharded: each worker (and each other thread that counts much) writes a shard of its own, a
// scrape adds the shards up. A leaf: knows no other folder.
// Threads: a shard's find functions and the objects they return may be used by any thread; they never go away.
// Labels are the caller's to bound (methods and tenants of the policy, everything else "other").
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ficus {

class Counter {
 public:
  // Relaxed; about 5 ns uncontended. Any thread.
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A level that goes up and down (connections, streams in flight); shards add up. A double, so that a percentage keeps
// its decimals; whole numbers are exact up to 2^53.
class Gauge {
 public:
  void add(std::int64_t n) noexcept { value_.fetch_add(static_cast<double>(n), std::memory_order_relaxed); }
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Latencies: fixed bounds from 5 us (what the facade itself adds) to 60 s, about 2.2 apart, so that p99 is known within
// a factor of two.
class Histogram {
 public:
  static constexpr std::array<double, 23> kBoundsSeconds = {
      5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3,
      100e-3, 200e-3, 500e-3, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0};
  // `count` observations of the same value.
  void observe(std::chrono::nanoseconds value, std::uint64_t count = 1) noexcept;
  std::uint64_t bucket(std::size_t i) const noexcept { return buckets_[i].load(std::memory_order_relaxed); }
  std::uint64_t sum_nanoseconds() const noexcept { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBoundsSeconds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> sum_{0};
};

// What a family is called and labelled by; one static table, metrics/families.h, so that README and dashboards can be
// tested against it.
struct Family {
  std::string_view name;  // "ficus_calls_total"
  std::string_view help;
  enum class Type { kCounter, kGauge, kHistogram } type;
  std::vector<std::string_view> labels;
};

using LabelValues = std::initializer_list<std::string_view>;

class MetricsShard {
 public:
  // The object for these label values, made on first use. Takes the shard's mutex (which only a scrape contends) and
  // hashes the labels: about 100 ns, so hot paths keep the reference. At most kMaxSeries a family in a shard: beyond,
  // every label reads "other" (a bound of last resort against a bug upstream; limit "metric_series" in
  // ficus_limit_hits_total). Label values are any bytes; what is not UTF-8 is replaced, since one bad byte would cost
  // the whole scrape. Aborts when the number of labels or the type is not the family's: that is a programmer's error.
  // The family's texts (a static table's) must outlive the shard.
  static constexpr std::size_t kMaxSeries = 20'000;
  Counter& counter(const Family& family, LabelValues labels);
  Gauge& gauge(const Family& family, LabelValues labels);
  Histogram& histogram(const Family& family, LabelValues labels);

  MetricsShard();
  ~MetricsShard();
  MetricsShard(const MetricsShard&) = delete;
  MetricsShard& operator=(const MetricsShard&) = delete;

 private:
  friend class Metrics;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One series as it was when it was read.
struct SeriesValue {
  std::vector<std::string> labels;  // values, in the family's order
  double value = 0;                 // of a counter exact up to 2^53
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  // A new shard; lives as long as this object. Any thread.
  MetricsShard& add_shard();
  // Gauges computed at a scrape (policy generation, configured shares, write owners): `collect` fills the shard it is
  // given, which is emptied before. Called on the scraping thread.
  void set_snapshot_gauges(std::function<void(MetricsShard&)> collect);
  // Prometheus text format 0.0.4, through prometheus-cpp's serializer; families and series in a stable order, each
  // series once (shards added up). Any thread; one at a time. Holds a shard's mutex only to copy pointers.
  std::string expose();
  // The series of one family of counters or gauges, by labels in a stable order, shards added up: for whoever wants
  // numbers rather than text. Without the gauges that a scrape computes. Any thread, several at once; holds a shard's
  // mutex only to copy pointers. Aborts on a histogram: that is a programmer's error.
  std::vector<SeriesValue> read(const Family& family) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
