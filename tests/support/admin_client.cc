#include "tests/support/admin_client.h"

#include <cstdlib>
#include <sstream>

#include "tests/support/sockets.h"

namespace ficus::e2e {

HttpReply http_get(const std::string& address, const std::string& target) {
  HttpReply reply;
  const Socket socket = connect_loopback(address);
  if (!socket || !send_all(socket, "GET " + target + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n"))
    return reply;
  const std::string all = read_to_end(socket);
  const auto blank = all.find("\r\n\r\n");
  if (blank == std::string::npos || all.rfind("HTTP/1.1 ", 0) != 0) return reply;
  reply.status = std::atoi(all.c_str() + 9);
  reply.head = all.substr(0, blank);
  reply.body = all.substr(blank + 4);
  return reply;
}

MetricsSnapshot::MetricsSnapshot(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    Sample sample;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos) continue;
    sample.name = line.substr(0, at);
    if (line[at] == '{') {
      ++at;
      while (at < line.size() && line[at] != '}') {
        const auto equals = line.find("=\"", at);
        if (equals == std::string::npos) break;
        const std::string key = line.substr(at, equals - at);
        std::string value;
        for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
          if (line[at] == '\\' && at + 1 < line.size()) {
            ++at;
            value += line[at] == 'n' ? '\n' : line[at];
          } else {
            value += line[at];
          }
        }
        ++at;
        if (at < line.size() && line[at] == ',') ++at;
        sample.labels[key] = value;
      }
      ++at;
    }
    sample.value = std::strtod(line.c_str() + at, nullptr);
    samples_.push_back(std::move(sample));
  }
}

double MetricsSnapshot::sum(const std::string& name, Labels labels) const {
  double total = 0;
  for (const Sample& sample : samples_) {
    if (sample.name != name) continue;
    bool all = true;
    for (const auto& [key, value] : labels) {
      const auto found = sample.labels.find(key);
      all = all && found != sample.labels.end() && found->second == value;
    }
    if (all) total += sample.value;
  }
  return total;
}

std::string MetricsSnapshot::print(const std::string& prefix) const {
  std::ostringstream out;
  for (const Sample& sample : samples_) {
    if (sample.name.rfind(prefix, 0) != 0) continue;
    out << sample.name << "{";
    for (const auto& [key, value] : sample.labels) out << key << "=" << value << " ";
    out << "} " << sample.value << "\n";
  }
  return out.str();
}

}  // namespace ficus::e2e
