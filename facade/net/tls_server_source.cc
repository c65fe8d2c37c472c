#include "facade/net/tls_server_source.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace ficus {
namespace {

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

std::string system_reason(int error) { return std::generic_category().message(error); }

// Wipes a key's text when its reader is done, whichever way.
struct Wiped {
  std::string& text;
  ~Wiped() { OPENSSL_cleanse(text.data(), text.size()); }
};

}  // namespace

TlsServerSource::Stamp TlsServerSource::stamp_of(const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
  return {true,
          status.st_dev,
          status.st_ino,
          static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)};
}

TlsServerSource::Stamps TlsServerSource::stamps() const {
  return {stamp_of(files_.certificate_file), stamp_of(files_.key_file), stamp_of(files_.client_ca_file)};
}

std::vector<std::string> TlsServerSource::files() const {
  std::vector<std::string> all = {files_.certificate_file, files_.key_file};
  if (!files_.client_ca_file.empty()) all.push_back(files_.client_ca_file);
  return all;
}

Result<std::string, std::string> TlsServerSource::read_file(const std::string& path,
                                                            std::vector<std::string>* readable_by_all) {
  // O_NONBLOCK: a FIFO in the file's place must not hold us up.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    const std::string advice = error == ENOENT   ? "; is the path right?"
                               : error == EACCES ? "; the user that ficus runs as must be allowed to read it"
                                                 : "";
    return fail("cannot read " + path + ": " + system_reason(error) + advice);
  }
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } const closer{fd};
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail("cannot read " + path + ": " + system_reason(errno));
  if (!S_ISREG(status.st_mode)) return fail("cannot read " + path + ": it is not a regular file");
  if (readable_by_all != nullptr && (status.st_mode & S_IROTH) != 0) {
    readable_by_all->push_back("every user of this machine may read the key " + path +
                               "; take that right away (chmod o-r)");
  }
  // One byte more than allowed tells a file that is too large, whatever its size was a moment ago. Reserved whole, so
  // that a key leaves no copies in outgrown buffers.
  std::string bytes(std::min<std::size_t>(static_cast<std::size_t>(status.st_size), kFileBytes) + 1, '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t n = ::read(fd, bytes.data() + filled, bytes.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("cannot read " + path + ": " + system_reason(errno));
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  if (filled > kFileBytes) return fail(path + " is larger than 1 MiB; that is no certificate");
  if (filled == bytes.size()) return fail(path + " grew while it was read; it will be read again");
  bytes.resize(filled);
  return bytes;
}

Result<void, std::string> TlsServerSource::load() {
  std::vector<std::string> warnings;
  TlsServerSettings settings;
  settings.client_certificates = files_.client_certificates;
  settings.certificate_name = files_.certificate_file;
  settings.key_name = files_.key_file;
  if (!files_.client_ca_file.empty()) settings.client_ca_name = files_.client_ca_file;

  auto certificate = read_file(files_.certificate_file, nullptr);
  if (!certificate) return fail(certificate.error());
  settings.certificate_pem = std::move(*certificate);
  auto key = read_file(files_.key_file, &warnings);
  if (!key) return fail(key.error());
  settings.key_pem = std::move(*key);
  const Wiped wiped{settings.key_pem};
  if (!files_.client_ca_file.empty()) {
    auto authorities = read_file(files_.client_ca_file, nullptr);
    if (!authorities) return fail(authorities.error());
    settings.client_ca_pem = std::move(*authorities);
    if (settings.client_ca_pem.empty())
      return fail(files_.client_ca_file + " is empty; it must hold a PEM CERTIFICATE");
  }
  auto made = TlsServerContext::make(settings);
  if (!made) return fail(made.error());
  context_ = std::move(*made);
  warnings.insert(warnings.begin(), context_->warnings().begin(), context_->warnings().end());
  warnings_ = std::move(warnings);
  return {};
}

Result<TlsServerSource, std::string> TlsServerSource::open(TlsServerFiles files) {
  if (files.client_ca_file.empty() && files.client_certificates != ClientCertificates::kNone) {
    return fail(std::string("client certificates are asked for, but no client CA file says whose to trust; give one"));
  }
  TlsServerSource source(std::move(files));
  // Before reading: what changes meanwhile is then seen as a change.
  source.known_ = source.stamps();
  if (const auto loaded = source.load(); !loaded) return fail(loaded.error());
  return source;
}

TlsServerSource::Reload TlsServerSource::reload_if_changed() {
  const Stamps now = stamps();
  if (now == known_) return Reload::kUnchanged;
  known_ = now;
  const auto loaded = load();
  if (loaded) {
    error_.clear();
    return Reload::kReloaded;
  }
  error_ = loaded.error();
  return Reload::kKept;
}

}  // namespace ficus
