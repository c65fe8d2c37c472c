#include "tests/facade/metrics/exposition.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace ficus::testing {
namespace {

bool is_name_char(char c, bool first, bool colon) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
  return letter || (!first && c >= '0' && c <= '9');
}

bool is_valid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more;
    std::uint32_t point;
    if (lead < 0x80) {
      more = 0;
      point = lead;
    } else if ((lead & 0xE0) == 0xC0) {
      more = 1;
      point = lead & 0x1Fu;
    } else if ((lead & 0xF0) == 0xE0) {
      more = 2;
      point = lead & 0x0Fu;
    } else if ((lead & 0xF8) == 0xF0) {
      more = 3;
      point = lead & 0x07u;
    } else
      return false;
    if (i + more >= text.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = (point << 6) | (next & 0x3Fu);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

std::optional<double> parse_value(std::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

// One sample line; a sentence where it is not one. No timestamps: we write none.
class SampleReader {
 public:
  explicit SampleReader(std::string_view line) : rest_(line) {}

  std::string read(Sample& out) {
    out.name = take_name(/*colon=*/true);
    if (out.name.empty()) return "no metric name";
    if (take('{')) {
      while (!take('}')) {
        const std::string label = take_name(/*colon=*/false);
        if (label.empty()) return "no label name";
        if (label.rfind("__", 0) == 0) return "reserved label name " + label;
        if (!take('=') || !take('"')) return "label " + label + " without =\"";
        std::string value;
        if (const std::string why = take_quoted(value); !why.empty()) return why;
        if (!out.labels.emplace(label, value).second) return "label " + label + " twice";
        if (!take(',') && (rest_.empty() || rest_[0] != '}')) return "no comma after label " + label;
      }
    }
    if (!take(' ')) return "no space before the value";
    const auto value = parse_value(rest_);
    if (!value) return "not a number: " + std::string(rest_);
    out.value = *value;
    return "";
  }

 private:
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string take_name(bool colon) {
    std::size_t n = 0;
    while (n < rest_.size() && is_name_char(rest_[n], n == 0, colon)) ++n;
    std::string name(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return name;
  }
  std::string take_quoted(std::string& out) {
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return "";
      if (c != '\\') {
        out.push_back(c);
        continue;
      }
      if (take('n'))
        out.push_back('\n');
      else if (take('\\'))
        out.push_back('\\');
      else if (take('"'))
        out.push_back('"');
      else
        return "unknown escape in a label value";
    }
    return "unclosed label value";
  }

  std::string_view rest_;
};

bool ends_with(const std::string& text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// The family that a sample's name belongs to, given what `# TYPE` lines have said.
std::string family_of(const Exposition& exposition, const std::string& name) {
  if (exposition.families.count(name) != 0) return name;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!ends_with(name, suffix)) continue;
    const std::string stem = name.substr(0, name.size() - suffix.size());
    const auto found = exposition.families.find(stem);
    if (found != exposition.families.end() && found->second.type == "histogram") return stem;
  }
  return "";
}

// Buckets rise, end in +Inf, and agree with _count; every histogram has all three kinds of line.
void judge_histogram(const std::string& name, const Exposition::Family& family, std::vector<std::string>& problems) {
  std::map<Labels, std::map<double, double>> buckets;
  for (const auto& [key, value] : family.samples) {
    const auto& [sample, labels] = key;
    if (sample == name) problems.push_back(name + ": a bare sample in a histogram");
    if (sample != name + "_bucket") continue;
    Labels others = labels;
    const auto le = others.find("le");
    if (le == others.end()) {
      problems.push_back(name + ": bucket without le");
      continue;
    }
    const auto bound = parse_value(le->second);
    if (!bound) problems.push_back(name + ": le is no number: " + le->second);
    others.erase(le);
    buckets[others][bound.value_or(0)] = value;
  }
  for (const auto& [labels, by_bound] : buckets) {
    double last = 0;
    for (const auto& [bound, count] : by_bound) {
      if (count < last) problems.push_back(name + ": buckets fall");
      last = count;
    }
    if (!std::isinf(by_bound.rbegin()->first)) problems.push_back(name + ": no +Inf bucket");
    const auto count = family.samples.find({name + "_count", labels});
    if (count == family.samples.end() || count->second != last)
      problems.push_back(name + ": _count is not the +Inf bucket");
    if (family.samples.count({name + "_sum", labels}) == 0) problems.push_back(name + ": no _sum");
  }
}

}  // namespace

double Exposition::value(const std::string& name, const Labels& labels) const {
  for (const auto& [family, content] : families) {
    const auto found = content.samples.find({name, labels});
    if (found != content.samples.end()) return found->second;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

bool Exposition::has(const std::string& name, const Labels& labels) const { return !std::isnan(value(name, labels)); }

double Exposition::sum(const std::string& name, const Labels& some) const {
  double total = 0;
  for (const auto& [family, content] : families) {
    for (const auto& [key, value] : content.samples) {
      if (key.first != name) continue;
      bool fits = true;
      for (const auto& [label, wanted] : some) {
        const auto found = key.second.find(label);
        fits = fits && found != key.second.end() && found->second == wanted;
      }
      if (fits) total += value;
    }
  }
  return total;
}

Exposition parse_exposition(std::string_view text) {
  Exposition out;
  const auto problem = [&](std::size_t line, const std::string& what) {
    out.problems.push_back("line " + std::to_string(line) + ": " + what);
  };
  if (!text.empty() && text.back() != '\n') problem(0, "the last line has no newline");
  if (!is_valid_utf8(text)) problem(0, "not UTF-8");

  std::string current;           // the family whose lines we are in
  std::set<std::string> closed;  // families whose lines are over: lines of one family stand together
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_number;
    if (line.empty()) continue;
    const auto enter = [&](const std::string& family) {
      if (family == current) return;
      if (!current.empty()) closed.insert(current);
      if (closed.count(family) != 0) problem(line_number, "lines of " + family + " do not stand together");
      current = family;
    };
    if (line[0] == '#') {
      const bool help = line.rfind("# HELP ", 0) == 0, type = line.rfind("# TYPE ", 0) == 0;
      if (!help && !type) {
        problem(line_number, "a comment that is neither HELP nor TYPE");
        continue;
      }
      const std::string_view rest = line.substr(7);
      const std::size_t space = rest.find(' ');
      const std::string name(rest.substr(0, space));
      const std::string body(space == std::string_view::npos ? "" : rest.substr(space + 1));
      enter(name);
      Exposition::Family& family = out.families[name];
      std::string& slot = help ? family.help : family.type;
      if (!slot.empty()) problem(line_number, "a second HELP or TYPE of " + name);
      if (!family.samples.empty()) problem(line_number, "HELP or TYPE of " + name + " after its samples");
      if (body.empty()) problem(line_number, "empty HELP or TYPE of " + name);
      if (help) {
        for (std::size_t i = 0; i < body.size(); ++i) {
          if (body[i] != '\\') continue;
          if (i + 1 == body.size() || (body[i + 1] != '\\' && body[i + 1] != 'n'))
            problem(line_number, "unknown escape in HELP");
          ++i;
        }
      } else if (body != "counter" && body != "gauge" && body != "histogram") {
        problem(line_number, "unknown type " + body);
      }
      slot = body;
      continue;
    }
    Sample sample;
    if (const std::string why = SampleReader(line).read(sample); !why.empty()) {
      problem(line_number, why);
      continue;
    }
    const std::string name = family_of(out, sample.name);
    if (name.empty()) {
      problem(line_number, "a sample of no declared family: " + sample.name);
      continue;
    }
    enter(name);
    Exposition::Family& family = out.families[name];
    if (family.type == "counter" && !(sample.value >= 0)) problem(line_number, "a counter below zero");
    if (!family.samples.emplace(std::make_pair(sample.name, sample.labels), sample.value).second) {
      problem(line_number, "the same series twice: " + sample.name);
    }
  }
  for (const auto& [name, family] : out.families) {
    if (family.type.empty() || family.help.empty()) out.problems.push_back(name + ": no TYPE or no HELP");
    if (family.type == "histogram") judge_histogram(name, family, out.problems);
  }
  return out;
}

}  // namespace ficus::testing
