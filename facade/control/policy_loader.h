// A policy file and everything it names, read, checked and compiled. No thread of its own, no state.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "facade/control/policy_files.h"
#include "routing/diagnostic.h"
#include "routing/method_catalog.h"
#include "routing/policy_parse.h"
#include "routing/result.h"
#include "routing/route_table.h"

namespace ficus {

struct NamedSchema {
  std::string name;  // as the policy names it
  std::string bytes;
};
// Makes a catalog of schema files. `main` and the CLI pass compare's DescriptorStore in, so that control/ need not know
// it. Error: (file name, sentence) for each schema that cannot be used.
using CatalogMaker =
    std::function<Result<std::shared_ptr<const MethodCatalog>, std::vector<std::pair<std::string, std::string>>>(
        const std::vector<NamedSchema>&)>;

// Judges the files that an upstream's `tls` names: warnings, or why they cannot be used; sentences. As for catalogs, so
// that control/ need not know TLS.
using TlsJudge = std::function<Result<std::vector<std::string>, std::string>(const UpstreamTls&)>;

struct LoadOptions {
  CatalogMaker make_catalog;
  TlsJudge judge_tls;  // unset: not looked into
  Date today;
  std::uint64_t generation = 1;
  PolicyParseLimits parse_limits;
  std::size_t named_file_bytes = 64u << 20;  // a schema or secret larger than this is an error
};

struct LoadedPolicy {
  std::shared_ptr<const RouteTable> table;
  std::vector<Diagnostic> warnings;
  std::vector<std::string> files;  // absolute paths of everything read, the policy first: what to watch
  std::vector<FileStamp> stamps;   // of `files`, as they were when they were read
};

struct LoadFailure {
  std::vector<Diagnostic> diagnostics;  // at least one error
  bool unreadable = false;              // the policy file itself could not be read (exit 2 for `check`)
  std::vector<std::string> files;       // what was read or tried, so that a watcher sees the mend
  std::vector<FileStamp> stamps;        // of `files`
};

// Reads the file (bounded, regular files and links to them only), parses, reads what it names, checks, compiles. Files
// are named relative to the directory the policy file stands in (through links: the directory of the name as given, so
// that Kubernetes' ..data works), never above it (policy_files.h says which links are followed). All files are of one
// moment: if any changes before the last is read, everything is read again, three times at most. Every problem is
// reported at the place that names the file; no content of a secret is ever part of a message. Any thread.
// Precondition: make_catalog is set if the policy may name schemas.
Result<LoadedPolicy, LoadFailure> load_policy(const std::string& path, const LoadOptions& options);

// What a policy is known by: hex SHA-256 over the length and bytes of the policy and the lengths, names and bytes of
// every named file, in order of the names.
std::string policy_hash(std::string_view policy_text, const NamedFiles& files);

}  // namespace ficus
