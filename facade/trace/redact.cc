#include "facade/trace/redact.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facade/base/check.h"

namespace ficus {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::size_t kShownHashBytes = 8;  // POLICY 6: the first 64 bits
constexpr std::size_t kKeyDigits = 2 * Redactor::kKeyBytes;

std::string error_text(int error) { return std::string(std::strerror(error)); }

std::string hex(const unsigned char* bytes, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) {
    out += kHex[bytes[i] >> 4];
    out += kHex[bytes[i] & 15];
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Redactor::Key random_key() {
  Redactor::Key key;
  FICUS_CHECK(RAND_bytes(key.data(), static_cast<int>(key.size())) == 1) << "the system has no random numbers";
  return key;
}

// Makes the file whole at once: it is written beside its place and linked into it, so that of two processes that start
// together one makes the key and the other reads all of it. Empty: made, or there already.
std::string make_key_file(const std::string& path) {
  const Redactor::Key key = random_key();
  const std::string text = hex(key.data(), key.size()) + '\n';
  std::array<unsigned char, 8> suffix{};
  FICUS_CHECK(RAND_bytes(suffix.data(), static_cast<int>(suffix.size())) == 1) << "the system has no random numbers";
  const std::string beside = path + "." + hex(suffix.data(), suffix.size()) + ".tmp";
  const auto failed = [&](const char* what) {
    const int error = errno;
    ::unlink(beside.c_str());
    return "cannot make the key file " + path + ": " + what + ": " + error_text(error);
  };
  {
    const FileDescriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return failed("open");
    if (::fchmod(file.get(), 0600) != 0) return failed("chmod");  // whatever the umask is
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return failed("write");
    if (::fsync(file.get()) != 0) return failed("fsync");
  }
  if (::link(beside.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    // Some file systems have no hard links.
    if (::renameat2(AT_FDCWD, beside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
      return failed("link");
    }
  }
  ::unlink(beside.c_str());
  return {};
}

}  // namespace

Redactor::Redactor(const Key& key) : key_(key) {}

Redactor Redactor::ephemeral() { return Redactor(random_key()); }

Result<Redactor, std::string> Redactor::open_key_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    if (std::string error = make_key_file(path); !error.empty()) return fail(std::move(error));
  }
  return read_key_file(path);
}

Result<Redactor, std::string> Redactor::read_key_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail("cannot open the key file " + path + ": " + error_text(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail("cannot open the key file " + path + ": " + error_text(errno));
  if (!S_ISREG(info.st_mode)) return fail("the key file " + path + " is not a regular file");
  if ((info.st_mode & 077) != 0) {
    return fail("the key file " + path + " can be read or written by others; make a new one, or run: chmod 600 " +
                path);
  }
  std::array<char, kKeyDigits + 2> text{};  // one byte more than a newline, to see that there is no more
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  if (n < 0) return fail("cannot read the key file " + path + ": " + error_text(errno));
  const std::string malformed = "the key file " + path + " does not hold " + std::to_string(kKeyDigits) +
                                " hex digits and a newline; remove it to have a new one made";
  std::size_t length = static_cast<std::size_t>(n);
  if (length == kKeyDigits + 1 && text[kKeyDigits] == '\n') --length;
  if (length != kKeyDigits) return fail(malformed);
  Key key;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return fail(malformed);
    key[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return Redactor(key);
}

std::string Redactor::hashed(std::string_view type, std::string_view value) const {
  std::string input;
  input.reserve(type.size() + 1 + value.size());
  input.append(type).append(1, '\0').append(value);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const auto* made = HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                          reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data(), &size);
  FICUS_CHECK(made != nullptr && size >= kShownHashBytes) << "HMAC-SHA-256 failed";
  return std::string(type) + ':' + std::to_string(value.size()) + ':' + hex(digest.data(), kShownHashBytes);
}

}  // namespace ficus
