// Ends a connection whose peer must still read our last words: we say that no more comes, read away what the peer sends
// for a short while, then close. Bounded in bytes and time. Thread: the worker's.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>

#include "facade/net/asio.h"

namespace ficus {

class LingeringClose : public std::enable_shared_from_this<LingeringClose> {
 public:
  // A round trip or two anywhere on earth. A peer that goes on sending is cut off then, or after kBytes.
  static constexpr std::chrono::milliseconds kTime{1000};
  static constexpr std::size_t kBytes = 256 * 1024;

  // `on_gone`: called once, when the socket is closed; not where the loop is stopped before.
  static void begin(tcp::socket socket, std::function<void()> on_gone) {
    std::shared_ptr<LingeringClose>(new LingeringClose(std::move(socket), std::move(on_gone)))->start();
  }

 private:
  LingeringClose(tcp::socket socket, std::function<void()> on_gone)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), on_gone_(std::move(on_gone)) {}
  void start() {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    timer_.expires_after(kTime);
    timer_.async_wait([self = shared_from_this()](error_code) {
      error_code closed;
      self->socket_.close(closed);
      self->on_gone_();
    });
    read_on();
  }
  void read_on() {
    socket_.async_read_some(asio::buffer(bytes_), [self = shared_from_this()](error_code ec, std::size_t n) {
      self->read_ += n;
      if (ec || self->read_ > kBytes) {
        self->timer_.cancel();
        return;
      }
      self->read_on();
    });
  }
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::function<void()> on_gone_;
  std::array<char, 2048> bytes_;
  std::size_t read_ = 0;
};

}  // namespace ficus
