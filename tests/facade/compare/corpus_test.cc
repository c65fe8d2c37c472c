// The labelled corpus of tests/testdata/compare: every case by its name, as written, with the sides exchanged, and each
// of its messages against itself.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <sstream>

#include "facade/compare/message_diff.h"
#include "facade/compare/message_parse.h"
#include "routing/policy_check.h"
#include "routing/policy_parse.h"
#include "tests/facade/compare/corpus_reader.h"
#include "tests/facade/compare/schema_fixture.h"

namespace ficus {

namespace test {
// What gtest says of a case.
void PrintTo(const CorpusCase& c, std::ostream* out) {
  *out << "tests/testdata/compare/" << c.theme << ".yaml:" << c.line;
}
}  // namespace test

namespace {

using test::CorpusAnswer;
using test::CorpusCase;
using test::ExpectedDifference;
using test::read_corpus;
using testing::HasSubstr;
using End = Observation::End;

constexpr std::size_t kLeastCases = 150;
constexpr std::string_view kService = "corpus.Corpus";

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

struct Corpus {
  std::vector<CorpusCase> cases;
  std::vector<std::string> errors;
  std::map<std::string, std::size_t> by_theme;
};
const Corpus& corpus() {
  static const Corpus all = [] {
    Corpus out;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(FICUS_CORPUS_DIR)) {
      if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      auto read = read_corpus(contents(file), file.stem().string());
      if (!read) {
        out.errors.insert(out.errors.end(), read.error().begin(), read.error().end());
        continue;
      }
      out.by_theme[file.stem().string()] = read->size();
      std::move(read->begin(), read->end(), std::back_inserter(out.cases));
    }
    return out;
  }();
  return all;
}

std::shared_ptr<const DescriptorStore> store() {
  static const std::shared_ptr<const DescriptorStore> opened = [] {
    auto made = DescriptorStore::open({{"corpus.pb", contents(FICUS_CORPUS_PB)}});
    EXPECT_TRUE(made.has_value());
    return made ? *made : nullptr;
  }();
  return opened;
}

std::string unhex(const std::string& digits) {
  std::string out;
  std::istringstream in(digits);
  for (std::string byte; in >> byte;) out += static_cast<char>(std::stoi(byte, nullptr, 16));
  return out;
}

std::string compressed(const std::string& bytes, const std::string& encoding) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, encoding == "gzip" ? 31 : 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string wire_of(const test::CorpusMessage& message, const std::string& method) {
  const std::string type =
      message.type.empty() ? store()->response_type(kService, method)->full_name() : "corpus." + message.type;
  std::string text;
  for (int i = 0; i < message.times; ++i) text += message.text + ' ';
  return test::wire_of(*store(), type, text) + unhex(message.hex);
}

Observation observed(const CorpusAnswer& answer, const std::string& method, Side side) {
  Observation out = test::answered(side, {}, answer.status);
  out.end = answer.end;
  out.grpc_encoding = answer.encoding;
  for (const test::CorpusMessage& message : answer.messages) {
    std::string bytes = wire_of(message, method);
    const bool packed = answer.encoding == "gzip" || answer.encoding == "deflate";
    if (packed && !message.sent_as_is) bytes = compressed(bytes, answer.encoding);
    out.messages.push_back({std::move(bytes), message.sent_as_is || !answer.encoding.empty()});
  }
  return out;
}

// The rules as a policy's own reader and judge take them.
CompareSpec rules_of(const CorpusCase& c) {
  if (c.rules.empty()) return {};
  std::string text =
      "apiVersion: ficus/v1\nname: corpus\nupstreams: {a: {endpoints: [\"127.0.0.1:1\"]}, b: {endpoints: "
      "[\"127.0.0.1:2\"]}}\ndefault_upstream: a\nschemas: [corpus.pb]\ncapabilities:\n  corpus:\n    legacy: a\n    "
      "new: b\n"
      "    service: corpus.Corpus\n    reads: [" +
      c.method + "]\n    compare:\n";
  std::istringstream lines(c.rules);
  for (std::string line; std::getline(lines, line);) text += "      " + line + '\n';
  text += "ownership_epoch: 1\n";
  const auto parsed = parse_policy(text, "rules");
  if (!parsed) {
    for (const Diagnostic& d : parsed.error()) ADD_FAILURE() << to_string(d) << "\n" << text;
    return {};
  }
  using namespace std::chrono_literals;
  for (const Diagnostic& d : check_policy({parsed->policy, store().get(), 2026y / 6 / 15})) {
    if (d.level == DiagnosticLevel::kError) ADD_FAILURE() << to_string(d) << "\n" << text;
  }
  return *parsed->policy.capabilities.at(0).compare;
}

std::string shown(const RawValue& value) {
  if (!value.present) return "absent";
  std::string out;
  for (const char c : value.text) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    }
  }
  return out;
}

ExpectedDifference written(const Difference& d) {
  std::string path = path_text(d, [](const FieldStep& step, const StepDetail&) { return step.map_key; });
  if (path.empty()) path = "(whole)";
  if (d.message_index > 0) path = '@' + std::to_string(d.message_index) + ' ' + path;
  return {std::string(to_string(d.kind)), path, std::string(to_string(d.severity)),
          std::pair(shown(d.legacy), shown(d.new_))};
}

ExpectedDifference exchanged(ExpectedDifference d) {
  if (d.kind == "missing")
    d.kind = "extra";
  else if (d.kind == "extra")
    d.kind = "missing";
  if (d.kind == "order")
    d.values.reset();  // positions are told from legacy's point of view
  else if (d.values)
    std::swap(d.values->first, d.values->second);
  return d;
}

enum class Order { kMatters, kMeansNothing };

void expect_differences(const std::vector<Difference>& got, const std::vector<ExpectedDifference>& want, Order order) {
  std::vector<std::string> got_lines, want_lines;
  for (const Difference& d : got) {
    ExpectedDifference line = written(d);
    const std::string with_values = to_string(line);
    line.values.reset();
    const std::string without = to_string(line);
    // Values are compared where the case names them.
    const bool named =
        std::any_of(want.begin(), want.end(), [&](const ExpectedDifference& w) { return to_string(w) == without; });
    got_lines.push_back(named ? without : with_values);
  }
  for (const ExpectedDifference& line : want) want_lines.push_back(to_string(line));
  if (order == Order::kMeansNothing) {
    std::sort(got_lines.begin(), got_lines.end());
    std::sort(want_lines.begin(), want_lines.end());
  }
  EXPECT_EQ(got_lines, want_lines);
}

// Whether an answer can be compared as a shadow's too.
bool says_something(const CorpusAnswer& answer) {
  return answer.end == End::kAnswered && answer.status != GrpcCode::kUnavailable &&
         answer.status != GrpcCode::kResourceExhausted && answer.status != GrpcCode::kDeadlineExceeded;
}

class CorpusTest : public testing::TestWithParam<CorpusCase> {
 protected:
  const CorpusCase& c() const { return GetParam(); }
  Comparison compare(const Observation& primary, const Observation& shadow) const {
    return diff_responses(primary, shadow, kService, c().method, rules_of(c()), c().schema ? store().get() : nullptr,
                          c().limits, [] { return std::chrono::steady_clock::time_point{}; });
  }
  // What `legacy` gave, from one side or the other.
  Observation legacy(Side side = Side::kLegacy) const { return observed(c().legacy, c().method, side); }
  Observation fresh(Side side = Side::kNew) const { return observed(c().fresh, c().method, side); }

  void judged_as_written() const;
  void reads_the_other_way_round() const;
  void does_not_hang_on_who_serves() const;
  void each_answer_matches_itself() const;

  void expect_all_but_differences(const Comparison& got) const {
    EXPECT_EQ(to_string(got.verdict), c().verdict);
    EXPECT_EQ(got.reason, c().reason);
    EXPECT_EQ(to_string(got.severity), c().severity);
    EXPECT_EQ(got.differences_more, c().more);
    EXPECT_EQ(got.swallowed, c().swallowed);
  }
};

void CorpusTest::judged_as_written() const {
  const bool legacy_serves = c().primary == Side::kLegacy;
  const Comparison got = compare(legacy_serves ? legacy() : fresh(), legacy_serves ? fresh() : legacy());
  expect_all_but_differences(got);
  expect_differences(got.differences, c().differences, Order::kMatters);
}

void CorpusTest::reads_the_other_way_round() const {
  // Who serves stays the same answer, so that it is abandoned or incomparable for the same reason.
  const Observation as_new = legacy(Side::kNew), as_legacy = fresh(Side::kLegacy);
  const bool legacy_served = c().primary == Side::kLegacy;
  const Comparison got = compare(legacy_served ? as_new : as_legacy, legacy_served ? as_legacy : as_new);
  expect_all_but_differences(got);
  std::vector<ExpectedDifference> want;
  if (c().swapped)
    want = *c().swapped;
  else
    for (const ExpectedDifference& d : c().differences) want.push_back(exchanged(d));
  // What legacy alone has stands before what new alone has.
  expect_differences(got.differences, want, Order::kMeansNothing);
}

void CorpusTest::does_not_hang_on_who_serves() const {
  if (!says_something(c().legacy) || !says_something(c().fresh)) return;
  const bool legacy_serves = c().primary == Side::kNew;
  const Comparison got = compare(legacy_serves ? legacy() : fresh(), legacy_serves ? fresh() : legacy());
  expect_all_but_differences(got);
  expect_differences(got.differences, c().differences, Order::kMatters);
}

void CorpusTest::each_answer_matches_itself() const {
  for (const CorpusAnswer* answer : {&c().legacy, &c().fresh}) {
    if (!says_something(*answer)) continue;
    const Observation one = observed(*answer, c().method, Side::kLegacy);
    const Observation other = observed(*answer, c().method, Side::kNew);
    const Comparison got = compare(one, other);
    EXPECT_EQ(got.verdict, Verdict::kMatch);
    EXPECT_TRUE(got.swallowed.empty());
  }
  if (!c().schema || c().verdict == "incomparable" || c().verdict == "abandoned") return;
  // Equal bytes are not decoded, so each message is walked by hand.
  const CompareSpec spec = rules_of(c());
  const PathRules rules(spec);
  const std::function<WorkBudget::Clock::time_point()> now = [] { return WorkBudget::Clock::time_point{}; };
  for (const CorpusAnswer* answer : {&c().legacy, &c().fresh}) {
    for (const test::CorpusMessage& text : answer->messages) {
      WorkBudget budget(1'000'000, std::chrono::milliseconds(1), now);
      const CompareLimits limits;
      std::size_t elements = limits.elements;
      const auto message = parse_message(wire_of(text, c().method), store()->response_type(kService, c().method),
                                         *store(), limits.recursion, elements);
      if (!message) {
        EXPECT_EQ(c().verdict, "match") << "a message that cannot be read matches only itself";
        continue;
      }
      const DiffContext context{rules, *store(), limits, budget};
      Findings found;
      MessageDiff(context, found).compare(**message, **message, 0);
      EXPECT_FALSE(budget.stopped()) << budget.reason();
      EXPECT_EQ(found.count, 0u) << text.text;
      EXPECT_TRUE(found.swallowed.empty()) << text.text;
    }
  }
}

TEST_P(CorpusTest, HoldsWhicheverWayItIsAsked) {
  {
    SCOPED_TRACE("as written");
    judged_as_written();
  }
  {
    SCOPED_TRACE("with the sides exchanged");
    reads_the_other_way_round();
  }
  {
    SCOPED_TRACE("with the other side serving");
    does_not_hang_on_who_serves();
  }
  SCOPED_TRACE("an answer against itself");
  each_answer_matches_itself();
}

INSTANTIATE_TEST_SUITE_P(Corpus, CorpusTest, testing::ValuesIn(corpus().cases),
                         [](const auto& one) { return one.param.theme + "__" + one.param.name; });

TEST(CorpusFilesTest, EveryFileCanBeRead) {
  EXPECT_THAT(corpus().errors, testing::IsEmpty());
  for (const auto& [theme, count] : corpus().by_theme) EXPECT_GT(count, 2u) << theme << " is hardly a theme";
}

TEST(CorpusFilesTest, ThereAreEnoughCases) { EXPECT_GE(corpus().cases.size(), kLeastCases); }

TEST(CorpusFilesTest, EveryVerdictKindAndSeverityIsThere) {
  std::set<std::string> verdicts, kinds, severities;
  for (const CorpusCase& c : corpus().cases) {
    verdicts.insert(c.verdict);
    severities.insert(c.severity);
    for (const ExpectedDifference& d : c.differences) kinds.insert(d.kind);
  }
  EXPECT_THAT(verdicts, testing::UnorderedElementsAre("match", "ignored", "mismatch", "incomparable", "abandoned"));
  EXPECT_THAT(kinds, testing::UnorderedElementsAre("value", "missing", "extra", "order", "size", "type", "status"));
  EXPECT_THAT(severities, testing::UnorderedElementsAre("none", "minor", "major", "critical"));
}

TEST(CorpusReaderTest, MistakesAreErrors) {
  struct Case {
    const char* name;
    const char* text;
    const char* want;
  };
  const Case cases[] = {
      {"no list", "name: a", "a file is a list of cases"},
      {"empty", "", "a file is a list of cases"},
      {"no expectation", "- {name: a, method: M, legacy: '', new: ''}", "a case has a \"verdict\""},
      {"no answer", "- {name: a, method: M, legacy: '', verdict: match}", "a case has a \"new\""},
      {"an unknown key", "- {name: a, method: M, legacy: '', new: '', verdict: match, swalowed: {}}",
       "unknown key \"swalowed\""},
      {"a key twice", "- {name: a, method: M, legacy: '', new: '', new: '', verdict: match}", "stands here twice"},
      {"an unknown key of a message", "- {name: a, method: M, legacy: [{txt: ''}], new: '', verdict: match}",
       "unknown key \"txt\""},
      {"an unknown limit", "- {name: a, method: M, legacy: '', new: '', verdict: match, limits: {depth: 1}}",
       "unknown key \"depth\""},
      {"a name twice",
       "- {name: a, method: M, legacy: '', new: '', verdict: match}\n"
       "- {name: a, method: M, legacy: '', new: '', verdict: match}",
       "x.yaml:2: another case is called a"},
      {"an unknown verdict", "- {name: a, method: M, legacy: '', new: '', verdict: same}", "no verdict: \"same\""},
      {"a mismatch without differences",
       "- {name: a, method: M, legacy: '', new: '', verdict: mismatch, severity: major}", "a mismatch has differences"},
      {"a mismatch without severity",
       "- {name: a, method: M, legacy: '', new: '', verdict: mismatch, differences: ['value a major']}",
       "a mismatch has a severity"},
      {"ignored by nothing", "- {name: a, method: M, legacy: '', new: '', verdict: ignored}", "swallowed by a rule"},
      {"a match with something swallowed",
       "- {name: a, method: M, legacy: '', new: '', verdict: match, swallowed: {b: 1}}", "only in what is compared"},
      {"incomparable without a reason", "- {name: a, method: M, legacy: '', new: '', verdict: incomparable}",
       "has a reason"},
      {"a difference of no kind",
       "- {name: a, method: M, legacy: '', new: '', verdict: mismatch, severity: major, differences: ['gone a major']}",
       "not KIND PATH SEVERITY"},
      {"a status that is none", "- {name: a, method: M, legacy: '', new: '', verdict: match, new_status: NOTFOUND}",
       "no grpc-status"},
      {"no YAML", "- {name: [", "x: yaml-cpp: error"},
  };
  for (const Case& c : cases) {
    const auto read = read_corpus(c.text, "x");
    ASSERT_FALSE(read.has_value()) << c.name;
    std::string all;
    for (const std::string& error : read.error()) all += error + '\n';
    EXPECT_THAT(all, HasSubstr(c.want)) << c.name;
  }
}

}  // namespace
}  // namespace ficus
