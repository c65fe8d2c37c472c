// A DNS server under the test's control: UDP and TCP on one free loopback port, answers by name, everything it was
// asked counted. Speaks just enough of RFC 1035 for a stub resolver. Threads: one of its own; set and ask from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/sockets.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

struct DnsReply {
  enum class How {
    kAnswer,       // the addresses (none of the asked family: NOERROR without an answer)
    kNotFound,     // NXDOMAIN
    kServerFails,  // SERVFAIL
    kSilence,
    kTruncated,  // by UDP an empty answer with TC, by TCP the whole
    kGarbage,    // the question's id, then bytes that are no message
    kForged,     // first an answer under another id with 192.0.2.1, then the true one
  };
  How how = How::kAnswer;
  std::vector<std::string> addresses;  // A and AAAA alike
  std::uint32_t ttl = 300;             // seconds
};

class StubDns {
 public:
  StubDns();
  ~StubDns();
  StubDns(const StubDns&) = delete;
  StubDns& operator=(const StubDns&) = delete;

  const std::string& address() const { return address_; }  // "127.0.0.1:PORT"
  // From now on; a name that was never set is kNotFound.
  void set(const std::string& name, DnsReply reply);
  void set(const std::string& name, std::vector<std::string> addresses, std::uint32_t ttl = 300) {
    set(name, {DnsReply::How::kAnswer, std::move(addresses), ttl});
  }
  // Questions for the name's A records so far.
  std::size_t asked(const std::string& name) const;
  std::size_t by_tcp() const;
  bool wait_asked(const std::string& name, std::size_t at_least) const {
    return wait_until([&] { return asked(name) >= at_least; });
  }

 private:
  void serve();
  // The messages to send back, in order.
  std::vector<std::string> answers(const std::string& question, bool tcp);

  Socket udp_, tcp_;
  std::string address_;
  mutable std::mutex mutex_;
  std::map<std::string, DnsReply> replies_;
  std::map<std::string, std::size_t> asked_;
  std::size_t by_tcp_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace ficus::e2e
