// Sockets of the bench's own programs, on 127.0.0.0/8 only. Each function ends the program with a message when the
// system refuses: a bench that goes on without a descriptor would measure something else.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>

namespace ficus::bench {

// Owns a descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Prints PROGRAM: WHAT: the present errno, and exits 1.
[[noreturn]] void die(const std::string& what);

// A listener on 127.0.0.1:port, not blocking; 0 takes a free port.
int listen_on(std::uint16_t port);
std::uint16_t port_of(int fd);

// A connection to 127.0.0.1:port, without Nagle's delay, not blocking once it stands. It comes from 127.0.0.SOURCE, so
// that more connections stand at a time than one address has ports.
int connect_to(std::uint16_t port, unsigned source = 1);

// A signalfd of what SIGTERM, SIGINT and `also` (0: nothing) send, which are blocked from here on.
int signal_descriptor(int also = 0);

// Raises the soft limit of open files to the hard one.
void raise_file_limit();

// {"listen":"127.0.0.1:PORT"}, whole or not at all: written beside and renamed.
void write_port_file(const std::string& file, std::uint16_t port);

}  // namespace ficus::bench
