// A strict little reader of Prometheus' text format 0.0.4, written against the format's description and not against our
// writer. Anything that a Prometheus server refuses, or that it takes but that is surely a mistake, is a problem.
// Source: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format".
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ficus::testing {

using Labels = std::map<std::string, std::string>;

struct Exposition {
  struct Family {
    std::string help, type;
    std::map<std::pair<std::string, Labels>, double> samples;  // (name with suffix, labels) -> value
  };
  std::map<std::string, Family> families;
  std::vector<std::string> problems;  // "line 12: ..."; empty: the text is good

  // The value of one sample; NaN where there is none.
  double value(const std::string& name, const Labels& labels = {}) const;
  bool has(const std::string& name, const Labels& labels = {}) const;
  // Sum over all samples of this name whose labels contain `some`.
  double sum(const std::string& name, const Labels& some = {}) const;
};

Exposition parse_exposition(std::string_view text);

}  // namespace ficus::testing
