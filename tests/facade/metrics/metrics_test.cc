#include "facade/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "facade/metrics/families.h"
#include "facade/metrics/fixed_series.h"
#include "tests/facade/metrics/exposition.h"

namespace ficus {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::Exposition;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::parse_exposition;

const Family kTestCounter{"test_total", "A counter", Family::Type::kCounter, {"a", "b"}};
const Family kTestGauge{"test_level", "A gauge", Family::Type::kGauge, {"a"}};
const Family kTestBare{"test_bare", "A gauge without labels", Family::Type::kGauge, {}};
const Family kTestSeconds{"test_seconds", "A histogram", Family::Type::kHistogram, {"a"}};

Exposition exposed(Metrics& metrics) {
  Exposition parsed = parse_exposition(metrics.expose());
  EXPECT_THAT(parsed.problems, IsEmpty());
  return parsed;
}

TEST(ExpositionReaderTest, FindsWhatIsWrongWithAText) {
  struct {
    const char* name;
    const char* text;
    const char* want;
  } const cases[] = {
      {"good", "# HELP a b\n# TYPE a counter\na{x=\"1\"} 2\n", ""},
      {"no newline at the end", "# HELP a b\n# TYPE a counter\na 2", "newline"},
      {"same series twice", "# HELP a b\n# TYPE a gauge\na{x=\"1\"} 2\na{x=\"1\"} 3\n", "twice"},
      {"undeclared", "a 1\n", "no declared family"},
      {"bad escape", "# HELP a b\n# TYPE a gauge\na{x=\"\\q\"} 2\n", "escape"},
      {"not a number", "# HELP a b\n# TYPE a gauge\na x\n", "not a number"},
      {"negative counter", "# HELP a b\n# TYPE a counter\na -1\n", "below zero"},
      {"scattered", "# HELP a b\n# TYPE a gauge\na 1\n# HELP c b\n# TYPE c gauge\nc 1\na{x=\"1\"} 1\n", "together"},
      {"falling buckets",
       "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n", "fall"},
      {"count differs",
       "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 3\n", "_count"},
      {"not UTF-8", "# HELP a b\n# TYPE a gauge\na{x=\"\xff\"} 2\n", "UTF-8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Exposition parsed = parse_exposition(c.text);
    if (*c.want == '\0') {
      EXPECT_THAT(parsed.problems, IsEmpty());
    } else {
      EXPECT_THAT(::testing::PrintToString(parsed.problems), HasSubstr(c.want));
    }
  }
}

TEST(MetricsTest, NothingCountedIsAnEmptyText) {
  Metrics metrics;
  metrics.add_shard();
  EXPECT_EQ(metrics.expose(), "");
}

TEST(MetricsTest, ShardsAddUp) {
  Metrics metrics;
  MetricsShard& one = metrics.add_shard();
  MetricsShard& two = metrics.add_shard();
  one.counter(kTestCounter, {"x", "y"}).add(2);
  two.counter(kTestCounter, {"x", "y"}).add(3);
  two.counter(kTestCounter, {"x", "z"}).add();
  one.gauge(kTestGauge, {"x"}).add(5);
  two.gauge(kTestGauge, {"x"}).add(-2);
  one.gauge(kTestBare, {}).set(7);
  one.histogram(kTestSeconds, {"x"}).observe(1ms);
  two.histogram(kTestSeconds, {"x"}).observe(3s);
  const Exposition parsed = exposed(metrics);
  EXPECT_EQ(parsed.value("test_total", {{"a", "x"}, {"b", "y"}}), 5);
  EXPECT_EQ(parsed.value("test_total", {{"a", "x"}, {"b", "z"}}), 1);
  EXPECT_EQ(parsed.value("test_level", {{"a", "x"}}), 3);
  EXPECT_EQ(parsed.value("test_bare"), 7);
  EXPECT_EQ(parsed.value("test_seconds_count", {{"a", "x"}}), 2);
  EXPECT_NEAR(parsed.value("test_seconds_sum", {{"a", "x"}}), 3.001, 1e-9);
  EXPECT_EQ(parsed.value("test_seconds_bucket", {{"a", "x"}, {"le", "+Inf"}}), 2);
}

TEST(MetricsTest, TheSameLabelsAreTheSameObject) {
  MetricsShard shard;
  Counter& first = shard.counter(kTestCounter, {"x", "y"});
  for (int i = 0; i < 1000; ++i) shard.counter(kTestCounter, {std::to_string(i), "y"});
  EXPECT_EQ(&first, &shard.counter(kTestCounter, {"x", "y"}));
  EXPECT_NE(&first, &shard.counter(kTestCounter, {"xy", ""}));
  EXPECT_NE(&first, &shard.counter(kTestCounter, {"", "xy"}));
}

TEST(MetricsTest, GaugesKeepTheDecimalsOfAPercentage) {
  Metrics metrics;
  MetricsShard& shard = metrics.add_shard();
  shard.gauge(kTestGauge, {"share"}).set(0.0001);
  shard.gauge(kTestGauge, {"whole"}).set(100);
  shard.gauge(kTestGauge, {"big"}).set(9007199254740991.0);
  const Exposition parsed = exposed(metrics);
  EXPECT_EQ(parsed.value("test_level", {{"a", "share"}}), 0.0001);
  EXPECT_EQ(parsed.value("test_level", {{"a", "whole"}}), 100);
  EXPECT_EQ(parsed.value("test_level", {{"a", "big"}}), 9007199254740991.0);
}

TEST(MetricsTest, LabelValuesMayHoldAnyBytes) {
  struct {
    const char* name;
    std::string value;
    std::string want;
  } const cases[] = {
      {"empty", "", ""},
      {"quote, backslash and newline", "a\"b\\c\nd", "a\"b\\c\nd"},
      {"UTF-8", "Zürich €😀", "Zürich €😀"},
      {"Latin-1", "Z\xfcrich", "Z\xEF\xBF\xBDrich"},
      {"overlong slash", "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"surrogate", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"cut off", "a\xE2\x82", "a\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"beyond Unicode", "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"zero byte", std::string("a\0b", 3), "a?b"},
      {"braces and commas", "{a=\"b\",}", "{a=\"b\",}"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Metrics metrics;
    metrics.add_shard().counter(kTestCounter, {c.value, "y"}).add();
    EXPECT_EQ(exposed(metrics).value("test_total", {{"a", c.want}, {"b", "y"}}), 1);
  }
}

TEST(MetricsTest, ValuesThatReadAlikeAreOneSeries) {
  Metrics metrics;
  MetricsShard& shard = metrics.add_shard();
  shard.counter(kTestCounter, {"\xfe", "y"}).add();
  shard.counter(kTestCounter, {"\xff", "y"}).add();
  EXPECT_EQ(exposed(metrics).value("test_total", {{"a", "\xEF\xBF\xBD"}, {"b", "y"}}), 2);
}

TEST(HistogramTest, ABoundBelongsToItsOwnBucket) {
  struct {
    const char* name;
    std::chrono::nanoseconds value;
    std::size_t bucket;
  } const cases[] = {
      {"negative counts as zero", -5ns, 0},
      {"zero", 0ns, 0},
      {"first bound", 5us, 0},
      {"just above it", 5'001ns, 1},
      {"one second", 1s, 16},
      {"1.5 s", 1500ms, 17},
      {"last bound", 60s, 22},
      {"beyond", 61s, 23},
      {"a year", std::chrono::hours(8760), 23},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Histogram histogram;
    histogram.observe(c.value);
    for (std::size_t i = 0; i <= Histogram::kBoundsSeconds.size(); ++i) {
      EXPECT_EQ(histogram.bucket(i), i == c.bucket ? 1u : 0u) << "bucket " << i;
    }
    EXPECT_EQ(histogram.sum_nanoseconds(), static_cast<std::uint64_t>(std::max<std::int64_t>(c.value.count(), 0)));
  }
}

TEST(MetricsTest, SeriesOfAFamilyAreBoundedAndTheHitIsCounted) {
  Metrics metrics;
  MetricsShard& shard = metrics.add_shard();
  const std::size_t over = 500;
  for (std::size_t i = 0; i < MetricsShard::kMaxSeries + over; ++i)
    shard.counter(kTestCounter, {std::to_string(i), "y"}).add();
  shard.counter(kTestCounter, {"0", "y"}).add();  // a series that exists stays its own
  const Exposition parsed = exposed(metrics);
  EXPECT_EQ(parsed.families.at("test_total").samples.size(), MetricsShard::kMaxSeries + 1);
  EXPECT_EQ(parsed.value("test_total", {{"a", "other"}, {"b", "other"}}), static_cast<double>(over));
  EXPECT_EQ(parsed.value("test_total", {{"a", "0"}, {"b", "y"}}), 2);
  EXPECT_EQ(parsed.value("ficus_limit_hits_total", {{"limit", "metric_series"}}), static_cast<double>(over));
}

TEST(MetricsTest, EvenTheCounterOfLimitsIsBounded) {
  Metrics metrics;
  MetricsShard& shard = metrics.add_shard();
  for (std::size_t i = 0; i < MetricsShard::kMaxSeries + 3; ++i)
    shard.counter(families::kLimits, {std::to_string(i)}).add();
  EXPECT_EQ(exposed(metrics).value("ficus_limit_hits_total", {{"limit", "other"}}), 3);
}

TEST(MetricsTest, SnapshotGaugesAreForgottenBetweenScrapes) {
  Metrics metrics;
  int scrape = 0;
  metrics.set_snapshot_gauges(
      [&](MetricsShard& shard) { shard.gauge(kTestGauge, {"tenant-" + std::to_string(scrape)}).set(1); });
  EXPECT_TRUE(exposed(metrics).has("test_level", {{"a", "tenant-0"}}));
  ++scrape;
  const Exposition second = exposed(metrics);
  EXPECT_FALSE(second.has("test_level", {{"a", "tenant-0"}}));
  EXPECT_TRUE(second.has("test_level", {{"a", "tenant-1"}}));
}

TEST(MetricsTest, CountingWhileScrapingLosesNothing) {
  Metrics metrics;
  constexpr int kThreads = 4, kRounds = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&metrics, t] {
      MetricsShard& shard = metrics.add_shard();
      Counter& kept = shard.counter(kTestCounter, {"kept", "y"});
      for (int i = 0; i < kRounds; ++i) {
        kept.add();
        shard.counter(kTestCounter, {std::to_string((i + t) % 100), "y"}).add();
        shard.histogram(kTestSeconds, {"x"}).observe(std::chrono::microseconds(i));
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(parse_exposition(metrics.expose()).problems, IsEmpty());
  for (std::thread& thread : threads) thread.join();
  const Exposition parsed = exposed(metrics);
  EXPECT_EQ(parsed.value("test_total", {{"a", "kept"}, {"b", "y"}}), kThreads * kRounds);
  EXPECT_EQ(parsed.sum("test_total"), 2 * kThreads * kRounds);
  EXPECT_EQ(parsed.value("test_seconds_count", {{"a", "x"}}), kThreads * kRounds);
}

TEST(MetricsTest, AFamilyIsReadAsNumbersWithItsShardsAddedUp) {
  Metrics metrics;
  EXPECT_THAT(metrics.read(kTestCounter), IsEmpty());
  MetricsShard& one = metrics.add_shard();
  MetricsShard& two = metrics.add_shard();
  one.counter(kTestCounter, {"x", ""}).add(3);
  two.counter(kTestCounter, {"x", ""}).add(4);
  two.counter(kTestCounter, {"w", "y"}).add(1);
  one.gauge(kTestGauge, {"g"}).set(-2.5);
  const auto counters = metrics.read(kTestCounter);
  ASSERT_EQ(counters.size(), 2u);
  EXPECT_THAT(counters[0].labels, ElementsAre("w", "y"));
  EXPECT_EQ(counters[0].value, 1);
  EXPECT_THAT(counters[1].labels, ElementsAre("x", ""));
  EXPECT_EQ(counters[1].value, 7);
  const auto gauges = metrics.read(kTestGauge);
  ASSERT_EQ(gauges.size(), 1u);
  EXPECT_EQ(gauges[0].value, -2.5);
}

TEST(MetricsDeathTest, MistakesOfAProgrammerAbortWithTheFamilysName) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  MetricsShard shard;
  EXPECT_DEATH(shard.counter(kTestCounter, {"only one"}), "test_total.*number of label");
  EXPECT_DEATH(shard.gauge(kTestCounter, {"x", "y"}), "test_total.*type");
  EXPECT_DEATH(Metrics().read(kTestSeconds), "test_seconds.*histogram");
}

// ---- fixed_series.h ----

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// What the one group of `pattern` matched, anywhere in `text`.
void collect(const std::string& text, const std::string& pattern, std::set<std::string>& to) {
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) to.insert(it->str(1));
}

template <std::size_t N>
std::set<std::string> set_of(const std::string_view (&names)[N]) {
  std::set<std::string> set(std::begin(names), std::end(names));
  EXPECT_EQ(set.size(), N) << "a name twice";
  return set;
}

// Every way in which the sources name a limit of the facade's own. A list kept by hand is one that is forgotten.
TEST(FixedSeriesTest, LimitNamesAreThoseOfTheSources) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(FICUS_FACADE)) {
    const std::string name = entry.path().filename();
    const std::string extension = entry.path().extension();
    if ((extension != ".cc" && extension != ".h") || name.rfind("fixed_series", 0) == 0) continue;
    const std::string text = text_of(entry.path());
    collect(text, R"re(kLimits, \{"(\w+)"\})re", found);
    collect(text, R"re(\bbreak_off\("(\w+)")re", found);
    collect(text, R"re(\bcount_limit\("(\w+)")re", found);
    collect(text, R"re(\bflood\(\w+, [\w.]+, "(\w+)"\))re", found);
    collect(text, R"re(\bForcedEnd k\w+\{\s*"(\w+)")re", found);
    collect(text, R"re(\blimit = "(\w+)")re", found);
    // Of an upstream's connection they are in another family.
    if (name.rfind("upstream_", 0) != 0) collect(text, R"re(\bon_limit\("(\w+)")re", found);
  }
  EXPECT_EQ(found.erase("empty_frames_of_call"), 1u) << "only upstreams can reach it";
  EXPECT_TRUE(found.insert("metric_series").second) << "it is counted below the counting itself";
  EXPECT_EQ(found, set_of(kLimitNames));
}

TEST(FixedSeriesTest, OutcomesOfLookUpsAndTracesAreThoseOfTheSources) {
  const std::filesystem::path facade = FICUS_FACADE;
  const std::string dns = text_of(facade / "net/dns_resolver.cc");
  const std::size_t begin = dns.find("std::string_view outcome_of(int status)");
  ASSERT_NE(begin, std::string::npos);
  std::set<std::string> outcomes, drops;
  collect(dns.substr(begin, dns.find("\n}", begin) - begin), R"re(return "(\w+)")re", outcomes);
  EXPECT_EQ(outcomes, set_of(kDnsOutcomes));
  for (const char* file : {"trace/jsonl_sink.cc", "shadow/compare_queue.cc"}) {
    const std::string text = text_of(facade / file);
    collect(text, R"re(kTraces, \{"dropped", "(\w+)"\})re", drops);
    std::set<std::string> calls;  // drop(x ? "a" : "b", error)
    collect(text, R"re(\bdrop\(([^;]*)\);)re", calls);
    for (const std::string& call : calls) collect(call, R"re("(\w+)")re", drops);
  }
  drops.erase("dropped");  // of drop()'s own definition
  EXPECT_EQ(drops, set_of(kTraceDrops));
}

TEST(FixedSeriesTest, AreThereAsZeroAndEventsAddToThem) {
  Metrics metrics;
  add_fixed_series(metrics.add_shard());
  for (const std::string_view limit : kLimitNames) {
    EXPECT_THAT(metrics.expose(), HasSubstr("ficus_limit_hits_total{limit=\"" + std::string(limit) + "\"} 0\n"));
  }
  const std::string text = metrics.expose();
  for (const char* line :
       {"ficus_dns_lookups_total{outcome=\"timeout\"} 0\n",
        "ficus_traces_total{outcome=\"dropped\",reason=\"disk_full\"} 0\n",
        "ficus_traces_total{outcome=\"written\",reason=\"\"} 0\n", "ficus_tls_reloads_total{outcome=\"kept\"} 0\n",
        "ficus_protocol_errors_total{peer=\"client\"} 0\n", "ficus_connections_total{peer=\"client\"} 0\n",
        "ficus_connections{peer=\"client\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  // On another shard, as a worker counts.
  metrics.add_shard().counter(families::kLimits, {"frame_bytes"}).add();
  EXPECT_EQ(exposed(metrics).value("ficus_limit_hits_total", {{"limit", "frame_bytes"}}), 1);
  EXPECT_EQ(exposed(metrics).sum("ficus_limit_hits_total"), 1);
}

// ---- families.h ----

// Counted in the header's text, since a list that has to be kept by hand is one that is forgotten.
TEST(FamiliesTest, TheListHoldsEveryFamilyOfTheHeader) {
  std::ifstream header(FICUS_FAMILIES_HEADER);
  ASSERT_TRUE(header) << FICUS_FAMILIES_HEADER;
  std::size_t defined = 0;
  for (std::string line; std::getline(header, line);) defined += line.rfind("inline const Family k", 0) == 0 ? 1 : 0;
  EXPECT_EQ(std::size(families::kAll), defined);
}

// README's table is what a person builds a dashboard from.
TEST(FamiliesTest, ReadmeNamesEveryFamilyWithItsLabelsAndMeaning) {
  std::ifstream file(FICUS_README);
  ASSERT_TRUE(file) << FICUS_README;
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  for (const Family* family : families::kAll) {
    std::string labels;
    for (const std::string_view label : family->labels) labels.append(labels.empty() ? "" : ", ").append(label);
    const std::string row = "| `" + std::string(family->name) + "` | " + (labels.empty() ? "-" : labels) + " | " +
                            std::string(family->help) + " |";
    EXPECT_TRUE(lines.contains(row)) << "README.md lacks the row:\n" << row;
  }
}

// Naming as prometheus.io/docs/practices/naming asks: a prefix, base units, counters end in _total.
TEST(FamiliesTest, EveryNameAndLabelIsWellFormed) {
  const auto well_formed = [](std::string_view name) {
    return !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
  };
  std::set<std::string_view> names;
  for (const Family* family : families::kAll) {
    SCOPED_TRACE(family->name);
    EXPECT_TRUE(names.insert(family->name).second) << "a name used twice";
    EXPECT_TRUE(well_formed(family->name));
    EXPECT_EQ(family->name.substr(0, 6), "ficus_");
    const bool total = family->name.size() > 6 && family->name.substr(family->name.size() - 6) == "_total";
    EXPECT_EQ(total, family->type == Family::Type::kCounter);
    if (family->type == Family::Type::kHistogram) {
      EXPECT_EQ(family->name.substr(family->name.size() - 8), "_seconds");
    }
    EXPECT_FALSE(family->help.empty());
    EXPECT_EQ(family->help.find_first_of("\n\\"), std::string_view::npos) << "help is written as it is";
    std::set<std::string_view> labels;
    for (const std::string_view label : family->labels) {
      EXPECT_TRUE(well_formed(label)) << label;
      EXPECT_NE(label, "le") << "belongs to histograms";
      EXPECT_TRUE(labels.insert(label).second) << label;
    }
  }
}

TEST(FamiliesTest, EveryFamilyCanBeExposed) {
  Metrics metrics;
  MetricsShard& shard = metrics.add_shard();
  for (const Family* family : families::kAll) {
    const auto make = [&](LabelValues labels) {
      switch (family->type) {
        case Family::Type::kCounter:
          shard.counter(*family, labels).add();
          break;
        case Family::Type::kGauge:
          shard.gauge(*family, labels).set(1);
          break;
        case Family::Type::kHistogram:
          shard.histogram(*family, labels).observe(1ms);
          break;
      }
    };
    switch (family->labels.size()) {
      case 0:
        make({});
        break;
      case 1:
        make({"a"});
        break;
      case 2:
        make({"a", "b"});
        break;
      case 3:
        make({"a", "b", "c"});
        break;
      case 4:
        make({"a", "b", "c", "d"});
        break;
      case 5:
        make({"a", "b", "c", "d", "e"});
        break;
      default:
        FAIL() << family->name << " has more than five labels";
    }
  }
  EXPECT_EQ(exposed(metrics).families.size(), std::size(families::kAll));
}

}  // namespace
}  // namespace ficus
