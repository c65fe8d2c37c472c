// What the tests of hostile peers share: requests by hand, to be cut and bent, and the well-behaved client beside them.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {

inline const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline const std::string kStart = kPreface + h2_frame(kSettings, kNoFlags, 0, {});

// A header list as HPACK literals without Huffman; `indexed`: each is to be kept in the table.
inline std::string literals(const HeaderList& headers, bool indexed = false) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += indexed ? '\x40' : '\0';
    for (const std::string& part : {name, value}) {
      if (part.size() < 127) {
        block += static_cast<char>(part.size());
      } else {  // RFC 7541 5.1
        block += '\x7f';
        std::size_t rest = part.size() - 127;
        for (; rest >= 128; rest >>= 7) block += static_cast<char>(rest | 0x80);
        block += static_cast<char>(rest);
      }
      block += part;
    }
  }
  return block;
}

// Calls one after the other, on a connection of its own, until it is asked to stop.
class Bystander {
 public:
  explicit Bystander(const std::string& address) : channel_(make_channel(address)) {
    thread_ = std::thread([this] {
      while (!stop_) {
        const UnaryReply reply = call(channel_, kPath, "beside", {.deadline = kPatience});
        if (!reply.status.ok() || reply.message() != "beside") {
          failure_ = reply.status.error_message() + "; answer: " + reply.message();
          failed_ = true;
          return;
        }
        ++calls_;
      }
    });
  }
  ~Bystander() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Waits for `more` calls from now on.
  bool goes_on(int more) {
    const int wanted = calls_ + more;
    return wait_until([&] { return calls_ >= wanted || failed_; }) && !failed_;
  }
  // After stop().
  const std::string& failure() const { return failure_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::string failure_;
  std::atomic<int> calls_{0};
  std::atomic<bool> stop_{false}, failed_{false};
  std::thread thread_;
};

}  // namespace ficus::e2e
