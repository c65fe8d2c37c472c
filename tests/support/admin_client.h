// Ficus's admin address as an operator sees it: HTTP/1.1 GET, and /metrics parsed from Prometheus' text.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ficus::e2e {

struct HttpReply {
  int status = 0;  // 0: no answer
  std::string head, body;
};
// One request on a connection of its own. Any thread.
HttpReply http_get(const std::string& address, const std::string& target);

class MetricsSnapshot {
 public:
  struct Sample {
    std::string name;
    std::map<std::string, std::string> labels;
    double value = 0;
  };
  using Labels = std::initializer_list<std::pair<std::string, std::string>>;

  explicit MetricsSnapshot(const std::string& text);
  // The sum over every sample of that name that carries at least these labels; 0 if there is none.
  double sum(const std::string& name, Labels labels = {}) const;
  const std::vector<Sample>& samples() const { return samples_; }
  // The samples of a family, one a line, for failure messages.
  std::string print(const std::string& prefix) const;

 private:
  std::vector<Sample> samples_;
};

}  // namespace ficus::e2e
