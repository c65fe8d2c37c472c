// The listener's certificates as files, and the context made of them. Whoever owns it asks now and then (a timer, a
// file watcher's call, SIGHUP) whether the files changed, and hands the new context to the workers: connections that
// are open keep what they were made with, the next ones use the new. Thread: its owner's; reads files, so not a
// worker's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "facade/net/tls_context.h"
#include "routing/result.h"

namespace ficus {

struct TlsServerFiles {
  std::string certificate_file;  // PEM: ours first, then its issuers
  std::string key_file;          // PEM, not encrypted
  std::string client_ca_file;    // PEM; empty only if clients are not asked
  ClientCertificates client_certificates = ClientCertificates::kNone;
};

class TlsServerSource {
 public:
  // A file larger than this is not a certificate: a system's whole bundle of authorities has some 200 KiB.
  static constexpr std::size_t kFileBytes = 1 << 20;

  enum class Reload : std::uint8_t {
    kUnchanged,  // the files are what they were when last looked at, good or bad
    kReloaded,   // context() is a new one; see warnings()
    kKept,       // the files changed and cannot be used: context() is what it was, error() says why
  };

  // Reads the files for the first time. Error: a sentence for a start that failed: which file, what is wrong, what to
  // do.
  static Result<TlsServerSource, std::string> open(TlsServerFiles files);

  // Looks at the files' stamps (device, inode, size, times), and if one changed reads all of them. A key and a
  // certificate that are replaced one after the other give kKept in between and kReloaded in the end; while a file is
  // being written to, likewise. What is wrong is told once for each change, not on each call.
  Reload reload_if_changed();

  const std::shared_ptr<const TlsServerContext>& context() const { return context_; }
  const std::string& error() const { return error_; }  // of the last kKept
  // What an operator should know of the files in use: an expired certificate, a key that everybody may read.
  const std::vector<std::string>& warnings() const { return warnings_; }
  // The files that matter, for a watcher.
  std::vector<std::string> files() const;

 private:
  struct Stamp {
    bool present = false;
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;

  explicit TlsServerSource(TlsServerFiles files) : files_(std::move(files)) {}
  Stamps stamps() const;
  Result<void, std::string> load();
  static Stamp stamp_of(const std::string& path);
  static Result<std::string, std::string> read_file(const std::string& path, std::vector<std::string>* readable_by_all);

  TlsServerFiles files_;
  Stamps known_;
  std::shared_ptr<const TlsServerContext> context_;
  std::string error_;
  std::vector<std::string> warnings_;
};

}  // namespace ficus
