#include "facade/control/policy_loader.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "facade/base/check.h"
#include "facade/control/loader_codes.h"
#include "routing/policy_check.h"
#include "routing/spelling.h"

namespace ficus {
namespace {

constexpr int kReadAttempts = 3;
// All named files together may hold this many times what one may.
constexpr std::size_t kTotalFactor = 4;

// A place of the policy that names a file.
struct FileMention {
  enum class Use { kSchema, kMetadataValue, kToken, kCertificate, kPrivateKey } use;
  std::string name;
  Mark mark;
  std::string yaml_path;
};

std::vector<FileMention> mentions_in(const Policy& policy) {
  using Use = FileMention::Use;
  std::vector<FileMention> mentions;
  for (std::size_t i = 0; i < policy.schemas.size(); ++i) {
    const Text& schema = policy.schemas[i];
    mentions.push_back({Use::kSchema, schema.value, schema.mark, "schemas[" + std::to_string(i) + "]"});
  }
  for (const UpstreamSpec& upstream : policy.upstreams) {
    const auto mention_tls = [&](Use use, const std::optional<Text>& file, const char* key) {
      if (!file) return;
      mentions.push_back({use, file->value, file->mark, "upstreams." + upstream.name.value + ".tls." + key});
    };
    if (upstream.tls) {
      mention_tls(Use::kCertificate, upstream.tls->ca_file, "ca_file");
      mention_tls(Use::kCertificate, upstream.tls->cert_file, "cert_file");
      mention_tls(Use::kPrivateKey, upstream.tls->key_file, "key_file");
    }
    for (const MetadataSet& set : upstream.metadata_set) {
      if (!set.from_file) continue;
      mentions.push_back(
          {Use::kMetadataValue, set.value, set.mark, "upstreams." + upstream.name.value + ".metadata.set." + set.name});
    }
  }
  for (const CapabilitySpec& capability : policy.capabilities) {
    if (!capability.overrides || !capability.overrides->token_file) continue;
    const Text& token = *capability.overrides->token_file;
    mentions.push_back(
        {Use::kToken, token.value, token.mark, "capabilities." + capability.name.value + ".overrides.token"});
  }
  return mentions;
}

// One reading of the policy and everything it names.
struct ReadSet {
  std::string text;
  std::optional<ParsedPolicy> parsed;
  std::optional<PartialPolicy> partial;  // where not parsed, what could be read
  std::vector<FileMention> mentions;
  NamedFiles contents;                                   // of the files that could be read
  std::map<std::string, FileError, std::less<>> errors;  // of the others
  std::map<std::string, bool, std::less<>> readable_by_others;
  std::vector<Diagnostic> diagnostics;
  bool unreadable = false;
  bool changed = false;  // something was written while it was read
  std::vector<std::string> files;
  std::vector<FileStamp> stamps;

  bool still_as_read() const {
    if (changed) return false;
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (stamp_of(files[i]) != stamps[i]) return false;
    }
    return true;
  }
};

Diagnostic make_diagnostic(const DiagnosticCode& code, DiagnosticLevel level, const std::string& file, Mark mark,
                           std::string yaml_path, std::string message, std::string hint = "") {
  Diagnostic diagnostic;
  diagnostic.code = code.code;
  diagnostic.level = level;
  diagnostic.file = file;
  diagnostic.mark = mark;
  diagnostic.yaml_path = std::move(yaml_path);
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  return diagnostic;
}

// About a policy that cannot be read.
std::string what_to_do(const std::string& path, const FileError& error) {
  if (error.kind == FileError::Kind::kMissing) {
    return path.front() == '/' ? "check the name" : "check the name; it is sought from " + absolute_path("");
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return "let the user that ficus runs as read it";
  return "name a regular file";
}

ReadSet read_everything(const std::string& path, const LoadOptions& options) {
  ReadSet set;
  set.files.push_back(absolute_path(path));
  set.stamps.push_back(stamp_of(path));
  const std::string name_of_directory = directory_of(path);
  PolicyDirectory directory(name_of_directory);
  auto policy = directory.read_policy(name_of(path), options.parse_limits.text_bytes);
  if (!policy && policy.error().kind == FileError::Kind::kTooLarge) {
    set.diagnostics.push_back(
        make_diagnostic(codes::kTooLarge, DiagnosticLevel::kError, path, {}, "", "the policy " + policy.error().why));
    return set;
  }
  if (!policy) {
    set.changed = policy.error().kind == FileError::Kind::kChanged;
    set.unreadable = true;
    set.diagnostics.push_back(make_diagnostic(codes::kPolicyUnreadable, DiagnosticLevel::kError, path, {}, "",
                                              "cannot read the policy: " + policy.error().why,
                                              what_to_do(path, policy.error())));
    return set;
  }
  set.changed = policy->stamp != set.stamps.front();
  set.text = std::move(policy->bytes);

  auto parsed = parse_policy_or_part(set.text, path, options.parse_limits);
  if (parsed) {
    set.parsed = *std::move(parsed);
    set.diagnostics = set.parsed->diagnostics;
    set.mentions = mentions_in(set.parsed->policy);
  } else {
    set.partial = std::move(parsed.error().partial);
    set.diagnostics = std::move(parsed.error().diagnostics);
    if (!set.partial) return set;
    set.mentions = mentions_in(set.partial->policy);
  }

  std::size_t room = options.named_file_bytes * kTotalFactor;
  for (const FileMention& mention : set.mentions) {
    if (set.contents.count(mention.name) != 0 || set.errors.count(mention.name) != 0) continue;
    const std::string file = name_of_directory + "/" + mention.name;
    set.files.push_back(absolute_path(file));
    set.stamps.push_back(stamp_of(file));
    auto content = directory.read_beneath(mention.name, std::min(options.named_file_bytes, room));
    if (!content) {
      set.changed = set.changed || content.error().kind == FileError::Kind::kChanged;
      set.errors.emplace(mention.name, content.error());
      continue;
    }
    set.changed = set.changed || content->stamp != set.stamps.back();
    room -= content->bytes.size();
    set.readable_by_others.emplace(mention.name, content->readable_by_others);
    set.contents.emplace(mention.name, std::move(content->bytes));
  }
  return set;
}

const DiagnosticCode& code_of(FileError::Kind kind) {
  switch (kind) {
    case FileError::Kind::kMissing:
      return codes::kNamedFileMissing;
    case FileError::Kind::kOutside:
      return codes::kNamedFileOutside;
    case FileError::Kind::kTooLarge:
      return codes::kNamedFileTooLarge;
    case FileError::Kind::kChanged:
      return codes::kChangedWhileRead;
    case FileError::Kind::kUnreadable:
      break;
  }
  return codes::kNamedFileUnreadable;
}

// Why bytes from a file cannot be a metadata value (or a token, which travels in one); empty where they can. Says where
// and what kind, never the bytes. Source: PROTOCOL-HTTP2.md, "ASCII-Value": 0x20-0x7E.
std::string why_no_secret(std::string_view bytes) {
  if (!bytes.empty() && bytes.back() == '\n') bytes.remove_suffix(1);  // as the route table takes one off
  if (bytes.empty()) return "is empty";
  if (bytes.back() == '\r') return "ends its line with a carriage return (it was saved with Windows line ends)";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte == '\n') return "holds more than one line";
    if (byte < 0x20 || byte > 0x7e)
      return "holds a byte at offset " + std::to_string(i) + " that is not printable ASCII";
  }
  if (bytes.front() == ' ' || bytes.back() == ' ') return "begins or ends with a space, which HTTP does not keep";
  return "";
}

// Judges the named files by themselves, at the places that name them.
void judge_files(ReadSet& set, const std::string& path) {
  for (const FileMention& mention : set.mentions) {
    const auto report = [&](const DiagnosticCode& code, DiagnosticLevel level, std::string message, std::string hint) {
      set.diagnostics.push_back(
          make_diagnostic(code, level, path, mention.mark, mention.yaml_path, std::move(message), std::move(hint)));
    };
    if (const auto error = set.errors.find(mention.name); error != set.errors.end()) {
      std::string hint;
      if (error->second.kind == FileError::Kind::kMissing) hint = "names are relative to " + directory_of(path);
      report(code_of(error->second.kind), DiagnosticLevel::kError,
             "file " + in_quotes(mention.name) + ": " + error->second.why, std::move(hint));
      continue;
    }
    if (mention.use == FileMention::Use::kSchema || mention.use == FileMention::Use::kCertificate) continue;
    const bool one_line = mention.use != FileMention::Use::kPrivateKey;
    const std::string why = one_line ? why_no_secret(set.contents.find(mention.name)->second) : std::string();
    if (!why.empty()) {
      report(codes::kBadSecret, DiagnosticLevel::kError, "file " + in_quotes(mention.name) + " " + why,
             "one line of printable text, with or without a newline at its end");
    }
    if (set.readable_by_others.find(mention.name)->second) {
      report(codes::kSecretReadable, DiagnosticLevel::kWarning,
             "file " + in_quotes(mention.name) + " can be read by every user of this machine",
             "chmod o-r; with Kubernetes, defaultMode: 0440 and fsGroup");
    }
  }
}

// Says yes to everything: stands in for a schema that cannot be read, so that what is wrong besides is found too.
class PermissiveCatalog : public MethodCatalog {
 public:
  bool has_service(std::string_view) const override { return true; }
  std::optional<MethodInfo> find_method(std::string_view, std::string_view) const override { return MethodInfo{}; }
  std::vector<std::string> methods_of(std::string_view) const override { return {}; }
  Result<KeyPath, std::string> resolve_request_key(std::string_view, std::string_view,
                                                   std::string_view) const override {
    return KeyPath{{1}, KeyLeaf::kBytes};
  }
  bool response_has(std::string_view, std::string_view, const PathPattern&) const override { return true; }
  bool response_has_repeated(std::string_view, std::string_view, const PathPattern&) const override { return true; }
  bool response_has_keyed(std::string_view, std::string_view, const PathPattern&, std::string_view) const override {
    return true;
  }
  bool response_has_measure(std::string_view, std::string_view, const PathPattern&, Measure) const override {
    return true;
  }
};

// The schemas as a catalog; null where the policy names none, or where they cannot be used (then diagnostics say why).
std::shared_ptr<const MethodCatalog> open_schemas(ReadSet& set, const std::string& path, const LoadOptions& options) {
  std::vector<NamedSchema> schemas;
  for (const FileMention& mention : set.mentions) {
    if (mention.use != FileMention::Use::kSchema) continue;
    const auto content = set.contents.find(mention.name);
    if (content == set.contents.end()) return nullptr;  // judge_files() has said why
    const auto same = [&](const NamedSchema& schema) { return schema.name == mention.name; };
    if (std::none_of(schemas.begin(), schemas.end(), same)) schemas.push_back({mention.name, content->second});
  }
  if (schemas.empty()) return nullptr;
  FICUS_CHECK(options.make_catalog) << "load_policy of a policy with schemas needs make_catalog";
  auto catalog = options.make_catalog(schemas);
  if (catalog) return *std::move(catalog);
  for (const auto& [name, why] : catalog.error()) {
    const auto names_it = [&, &file = name](const FileMention& m) {
      return m.use == FileMention::Use::kSchema && m.name == file;
    };
    const auto mention = std::find_if(set.mentions.begin(), set.mentions.end(), names_it);
    const bool known = mention != set.mentions.end();
    set.diagnostics.push_back(make_diagnostic(codes::kBadSchema, DiagnosticLevel::kError, path,
                                              known ? mention->mark : Mark{}, known ? mention->yaml_path : "schemas",
                                              "schema " + in_quotes(name) + ": " + why));
  }
  if (catalog.error().empty()) {
    set.diagnostics.push_back(
        make_diagnostic(codes::kBadSchema, DiagnosticLevel::kError, path, {}, "schemas", "the schemas cannot be used"));
  }
  return nullptr;
}

// What can be used only on paper is refused here, not by the calls that would need it.
void judge_tls(ReadSet& set, const Policy& policy, const std::string& path, const LoadOptions& options) {
  if (!options.judge_tls) return;
  for (const UpstreamSpec& upstream : policy.upstreams) {
    if (!upstream.tls) continue;
    const auto read = [&](const std::optional<Text>& name) { return !name || set.contents.count(name->value) != 0; };
    const bool all_read = read(upstream.tls->ca_file) && read(upstream.tls->cert_file) && read(upstream.tls->key_file);
    if (!all_read) continue;  // judge_files() has said why
    const auto report = [&](const DiagnosticCode& code, DiagnosticLevel level, const std::string& message) {
      set.diagnostics.push_back(make_diagnostic(code, level, path, upstream.tls->mark,
                                                "upstreams." + upstream.name.value + ".tls", message));
    };
    const auto judged = options.judge_tls(tls_of(*upstream.tls, set.contents));
    if (!judged) {
      report(codes::kBadTlsFiles, DiagnosticLevel::kError, judged.error());
      continue;
    }
    for (const std::string& warning : *judged) report(codes::kTlsDates, DiagnosticLevel::kWarning, warning);
  }
}

void append(std::vector<Diagnostic>& to, std::vector<Diagnostic> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// What can be said of a policy whose schemas cannot be read: errors that no schema could take away.
std::vector<Diagnostic> check_without_schemas(const Policy& policy, Date today) {
  Policy untested = policy;
  untested.tests.clear();  // they run on the compiled table, which hangs on the schemas
  const PermissiveCatalog anything;
  std::vector<Diagnostic> found = check_policy({untested, &anything, today});
  const auto is_warning = [](const Diagnostic& d) { return d.level != DiagnosticLevel::kError; };
  found.erase(std::remove_if(found.begin(), found.end(), is_warning), found.end());
  return found;
}

// The same of a policy that could not be read whole.
void judge_part(ReadSet& set, const std::string& path, const LoadOptions& options) {
  const PartialPolicy& partial = *set.partial;
  judge_files(set, path);
  judge_tls(set, partial.policy, path, options);
  const auto catalog = open_schemas(set, path, options);
  const PermissiveCatalog anything;
  const bool schemas_missing = catalog == nullptr && !partial.policy.schemas.empty();
  append(set.diagnostics, check_partial_policy(partial, schemas_missing ? &anything : catalog.get(), options.today));
}

LoadFailure failure_of(ReadSet set) {
  sort_by_mark(set.diagnostics);
  return {std::move(set.diagnostics), set.unreadable, std::move(set.files), std::move(set.stamps)};
}

Result<LoadedPolicy, LoadFailure> judge(ReadSet set, const std::string& path, const LoadOptions& options) {
  if (!set.parsed) {
    if (set.partial) judge_part(set, path, options);
    return fail(failure_of(std::move(set)));
  }
  const Policy& policy = set.parsed->policy;
  judge_files(set, path);
  judge_tls(set, policy, path, options);
  const auto catalog = open_schemas(set, path, options);
  const bool schemas_missing = catalog == nullptr && !policy.schemas.empty();
  append(set.diagnostics, schemas_missing ? check_without_schemas(policy, options.today)
                                          : check_policy({policy, catalog.get(), options.today}));
  if (has_error(set.diagnostics)) return fail(failure_of(std::move(set)));

  LoadedPolicy loaded;
  loaded.table =
      RouteTable::compile({policy, catalog, set.contents, policy_hash(set.text, set.contents), options.generation});
  loaded.warnings = std::move(set.diagnostics);
  sort_by_mark(loaded.warnings);
  loaded.files = std::move(set.files);
  loaded.stamps = std::move(set.stamps);
  return loaded;
}

// SHA-256 of parts, each with its length before it, so that no two sets of parts run together into the same bytes.
class PartHash {
 public:
  PartHash() : context_(EVP_MD_CTX_new()) {
    FICUS_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1)
        << "SHA-256 is not available";
  }
  PartHash(const PartHash&) = delete;
  PartHash& operator=(const PartHash&) = delete;
  ~PartHash() { EVP_MD_CTX_free(context_); }

  void add(std::string_view part) {
    std::array<unsigned char, 8> length;
    for (std::size_t i = 0; i < length.size(); ++i)
      length[i] = static_cast<unsigned char>(std::uint64_t{part.size()} >> (8 * i));
    update(length.data(), length.size());
    update(part.data(), part.size());
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    FICUS_CHECK(EVP_DigestFinal_ex(context_, digest.data(), &size) == 1) << "SHA-256 failed";
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text.push_back(kDigits[digest[i] >> 4]);
      text.push_back(kDigits[digest[i] & 15]);
    }
    return text;
  }

 private:
  void update(const void* bytes, std::size_t n) {
    FICUS_CHECK(EVP_DigestUpdate(context_, bytes, n) == 1) << "SHA-256 failed";
  }
  EVP_MD_CTX* context_;
};

}  // namespace

Result<LoadedPolicy, LoadFailure> load_policy(const std::string& path, const LoadOptions& options) {
  if (path.empty()) {
    LoadFailure nameless;
    nameless.unreadable = true;
    nameless.diagnostics.push_back(make_diagnostic(codes::kPolicyUnreadable, DiagnosticLevel::kError, path, {}, "",
                                                   "the name of the policy's file is empty",
                                                   "name a file; is a variable of your script unset?"));
    return fail(std::move(nameless));
  }
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    ReadSet set = read_everything(path, options);
    if (!set.still_as_read()) continue;
    if (set.mentions.empty()) return judge(std::move(set), path, options);
    // A link that is swapped there and back between two looks leaves no trace in the stamps: only a second reading that
    // finds the same of every file says that they belong together.
    const ReadSet again = read_everything(path, options);
    if (again.still_as_read() && again.stamps == set.stamps && again.text == set.text && again.contents == set.contents) {
      return judge(std::move(set), path, options);
    }
  }
  LoadFailure failure;
  failure.unreadable = true;
  failure.files.push_back(absolute_path(path));
  failure.stamps.push_back(FileStamp{});  // like no stamp of a file that is there, so that a watcher looks again
  failure.diagnostics.push_back(make_diagnostic(codes::kChangedWhileRead, DiagnosticLevel::kError, path, {}, "",
                                                "the policy or a file it names kept changing while it was read",
                                                "write to a temporary file beside it, then rename it into place"));
  return fail(std::move(failure));
}

std::string policy_hash(std::string_view policy_text, const NamedFiles& files) {
  PartHash hash;
  hash.add(policy_text);
  for (const auto& [name, bytes] : files) {
    hash.add(name);
    hash.add(bytes);
  }
  return hash.hex();
}

}  // namespace ficus
