#include "facade/control/policy_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "facade/control/loader_codes.h"
#include "tests/facade/control/control_test_support.h"
#include "tests/facade/control/sample_policy.h"

namespace ficus {
namespace {

using namespace testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string all_text(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += to_string(diagnostic) + " [" + diagnostic.yaml_path + "]\n";
  return text;
}

std::uint32_t line_of(std::string_view text, std::string_view what) {
  const std::size_t at = text.find(what);
  return 1 + static_cast<std::uint32_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

TEST(LoadPolicyTest, GivesTheCompiledTableAndWhatToWatch) {
  TempDir dir;
  const std::string path = write_sample(dir.path());
  LoadOptions options = sample_load_options();
  options.generation = 42;
  const auto loaded = load_policy(path, options);
  ASSERT_TRUE(loaded) << all_text(loaded.error().diagnostics);
  EXPECT_EQ(loaded->table->name(), "sample");
  EXPECT_EQ(loaded->table->generation(), 42u);
  EXPECT_EQ(loaded->table->hash().size(), 64u);
  EXPECT_EQ(loaded->table->upstreams()[1].metadata_set[0].second, "correct-horse");
  EXPECT_NE(loaded->table->catalog(), nullptr);
  EXPECT_THAT(loaded->files, ElementsAre(path, dir / "service.pb", dir / "new.key"));
  for (std::size_t i = 0; i < loaded->files.size(); ++i) EXPECT_EQ(loaded->stamps[i], stamp_of(loaded->files[i]));
}

// Each spoils the sample in one way.
struct BadCase {
  const char* name;
  std::function<void(const TempDir&)> spoil;
  const char* code;
  const char* names_it;  // the diagnostic stands on the line of this text; "": on the file as a whole
  const char* text;
};

TEST(LoadPolicyTest, WhatIsWrongWithAFileIsSaidWhereThePolicyNamesIt) {
  const BadCase cases[] = {
      {"schema missing", [](const TempDir& d) { ::unlink((d / "service.pb").c_str()); }, "P201", "service.pb",
       "no such file"},
      {"secret missing", [](const TempDir& d) { ::unlink((d / "new.key").c_str()); }, "P201", "new.key",
       "no such file"},
      {"schema is a directory",
       [](const TempDir& d) {
         ::unlink((d / "service.pb").c_str());
         make_directory(d / "service.pb");
       },
       "P202", "service.pb", "is a directory"},
      {"secret is a FIFO",
       [](const TempDir& d) {
         ::unlink((d / "new.key").c_str());
         ::mkfifo((d / "new.key").c_str(), 0600);
       },
       "P202", "new.key", "named pipe"},
      {"secret links outside",
       [](const TempDir& d) {
         ::unlink((d / "new.key").c_str());
         make_link("/etc/hostname", d / "new.key");
       },
       "P203", "new.key", "absolute path"},
      {"schema links above",
       [](const TempDir& d) {
         ::unlink((d / "service.pb").c_str());
         make_link("../service.pb", d / "service.pb");
       },
       "P203", "service.pb", "leads above"},
      {"schema too large", [](const TempDir& d) { write_file(d / "service.pb", std::string(5000, 'x')); }, "P204",
       "service.pb", "larger than 4096"},
      {"schema unusable", [](const TempDir& d) { write_file(d / "service.pb", "garbage"); }, "P206", "service.pb",
       "not a FileDescriptorSet"},
      {"secret empty", [](const TempDir& d) { write_file(d / "new.key", ""); }, "P207", "new.key", "is empty"},
      {"secret only a newline", [](const TempDir& d) { write_file(d / "new.key", "\n"); }, "P207", "new.key",
       "is empty"},
      {"secret of two lines", [](const TempDir& d) { write_file(d / "new.key", "hunter2\nhunter3\n"); }, "P207",
       "new.key", "more than one line"},
      {"secret with two newlines", [](const TempDir& d) { write_file(d / "new.key", "hunter2\n\n"); }, "P207",
       "new.key", "more than one line"},
      {"secret with Windows line end", [](const TempDir& d) { write_file(d / "new.key", "hunter2\r\n"); }, "P207",
       "new.key", "carriage return"},
      {"secret with a zero byte", [](const TempDir& d) { write_file(d / "new.key", std::string("hunter2\0", 8)); },
       "P207", "new.key", "offset 7"},
      {"secret not ASCII", [](const TempDir& d) { write_file(d / "new.key", "hunter2\xc3\xa9"); }, "P207", "new.key",
       "offset 7"},
      {"secret with a space at its end", [](const TempDir& d) { write_file(d / "new.key", "hunter2 \n"); }, "P207",
       "new.key", "space"},
      {"policy missing", [](const TempDir& d) { ::unlink((d / "policy.yaml").c_str()); }, "P200", "", "no such file"},
      {"policy is a directory",
       [](const TempDir& d) {
         ::unlink((d / "policy.yaml").c_str());
         make_directory(d / "policy.yaml");
       },
       "P200", "", "is a directory"},
      {"policy is a FIFO",
       [](const TempDir& d) {
         ::unlink((d / "policy.yaml").c_str());
         ::mkfifo((d / "policy.yaml").c_str(), 0600);
       },
       "P200", "", "named pipe"},
      {"policy too large", [](const TempDir& d) { write_file(d / "policy.yaml", std::string(10'001, '#')); }, "P001",
       "", "larger than 10000"},
  };
  for (const BadCase& c : cases) {
    SCOPED_TRACE(c.name);
    TempDir dir;
    const std::string path = write_sample(dir.path());
    c.spoil(dir);
    LoadOptions options = sample_load_options();
    options.named_file_bytes = 4096;
    options.parse_limits.text_bytes = 10'000;
    const auto loaded = load_policy(path, options);
    ASSERT_FALSE(loaded);
    const LoadFailure& failure = loaded.error();
    const std::string text = all_text(failure.diagnostics);
    const auto found = std::find_if(failure.diagnostics.begin(), failure.diagnostics.end(),
                                    [&](const Diagnostic& d) { return d.code == c.code; });
    ASSERT_NE(found, failure.diagnostics.end()) << text;
    EXPECT_EQ(found->level, DiagnosticLevel::kError);
    EXPECT_EQ(found->file, path);
    EXPECT_THAT(found->message, HasSubstr(c.text));
    EXPECT_EQ(found->mark.line, *c.names_it == '\0' ? 0u : line_of(sample_policy(), c.names_it)) << text;
    EXPECT_THAT(text, Not(HasSubstr("hunter"))) << "a secret's content in a diagnostic";
    EXPECT_EQ(failure.unreadable, std::string_view(c.code) == "P200");
    EXPECT_THAT(failure.files, Contains(path));
    ASSERT_EQ(failure.files.size(), failure.stamps.size());
    if (*c.names_it != '\0') {
      EXPECT_THAT(failure.files, Contains(dir / c.names_it)) << "mending it must be seen";
    }
    EXPECT_EQ(failure.diagnostics.size(), 1u) << "one mistake, one diagnostic:\n" << text;
  }
}

TEST(LoadPolicyTest, EveryProblemIsReportedNotTheFirst) {
  TempDir dir;
  write_sample(dir.path(), sample_policy_with("legacy: legacy", "legacy: lagacy"));
  ::unlink((dir / "service.pb").c_str());
  ::unlink((dir / "new.key").c_str());
  const auto loaded = load_policy(dir / "policy.yaml", sample_load_options());
  ASSERT_FALSE(loaded);
  std::multiset<std::string> codes;
  for (const Diagnostic& d : loaded.error().diagnostics) codes.insert(d.code);
  EXPECT_EQ(codes, (std::multiset<std::string>{"P014", "P201", "P201"})) << all_text(loaded.error().diagnostics);
  EXPECT_TRUE(std::is_sorted(loaded.error().diagnostics.begin(), loaded.error().diagnostics.end(),
                             [](const Diagnostic& a, const Diagnostic& b) { return a.mark < b.mark; }));
}

TEST(LoadPolicyTest, AWordThatCannotBeReadHidesNeitherNamesNorFiles) {
  TempDir dir;
  std::string text = sample_policy_with("legacy: legacy", "legacy: lagacy");
  const auto stage = text.find("stage: ");
  ASSERT_NE(stage, std::string::npos);
  text.insert(stage + 7, "un");
  write_sample(dir.path(), text);
  ::unlink((dir / "new.key").c_str());
  const auto loaded = load_policy(dir / "policy.yaml", sample_load_options());
  ASSERT_FALSE(loaded);
  std::multiset<std::string> codes;
  for (const Diagnostic& d : loaded.error().diagnostics) codes.insert(d.code);
  EXPECT_EQ(codes, (std::multiset<std::string>{"P014", "P032", "P201"})) << all_text(loaded.error().diagnostics);
  EXPECT_EQ(std::count(loaded.error().files.begin(), loaded.error().files.end(), dir / "new.key"), 1)
      << "who mends the file is not noticed";
}

// Neither "no schema, so no key" nor a failing test of the policy: these would be gone once the schema is mended.
TEST(LoadPolicyTest, AMissingSchemaBringsNoComplaintsThatWouldGoWithIt) {
  TempDir dir;
  std::string text = sample_policy_with("    staleness: 2s\n", "    staleness: 2s\n    key: {request_field: number}\n");
  text = replaced(text, "by: tenant}, shadow: {percent: 10}", "by: key}, shadow: {percent: 10}");
  write_sample(dir.path(), text);
  ASSERT_TRUE(load_policy(dir / "policy.yaml", sample_load_options()));
  ::unlink((dir / "service.pb").c_str());
  const auto loaded = load_policy(dir / "policy.yaml", sample_load_options());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().diagnostics.size(), 1u) << all_text(loaded.error().diagnostics);
}

constexpr std::string_view kTlsPolicy = R"(apiVersion: ficus/v1
name: t
upstreams:
  old: {endpoints: ["127.0.0.1:1"], tls: {ca_file: certs/ca.pem}}
  new:
    endpoints: ["127.0.0.1:2"]
    tls: {ca_file: certs/ca.pem, cert_file: certs/me.pem, key_file: certs/me.key, server_name: policy.internal}
ownership_epoch: 1
)";

void write_tls_files(const TempDir& directory) {
  ::mkdir((directory / "certs").c_str(), 0700);
  write_file(directory / "policy.yaml", kTlsPolicy);
  write_file(directory / "certs/ca.pem", "-----BEGIN CERTIFICATE-----\nroots\n");
  write_file(directory / "certs/me.pem", "-----BEGIN CERTIFICATE-----\nchain\n");
  write_file(directory / "certs/me.key", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
  ::chmod((directory / "certs/me.key").c_str(), 0600);
}

TEST(LoadPolicyTest, CertificatesAndKeysReachTheTableAsTheyWereRead) {
  TempDir directory;
  write_tls_files(directory);
  const auto loaded = load_policy(directory / "policy.yaml", sample_load_options());
  ASSERT_TRUE(loaded) << all_text(loaded.error().diagnostics);
  EXPECT_TRUE(loaded->warnings.empty()) << all_text(loaded->warnings);
  const std::vector<UpstreamInfo>& upstreams = loaded->table->upstreams();
  EXPECT_EQ(upstreams[0].tls->ca_pem, "-----BEGIN CERTIFICATE-----\nroots\n");
  EXPECT_EQ(upstreams[0].tls->key_pem, "");
  EXPECT_EQ(upstreams[1].tls->cert_pem, "-----BEGIN CERTIFICATE-----\nchain\n");
  EXPECT_EQ(upstreams[1].tls->key_pem, "-----BEGIN PRIVATE KEY-----\nhunter2\n");
  EXPECT_EQ(upstreams[1].tls->key_file, "certs/me.key");
  EXPECT_EQ(loaded->files.size(), 4u) << "the policy and each file once: what a watcher must watch";

  write_file(directory / "certs/me.pem", "-----BEGIN CERTIFICATE-----\nrenewed\n");
  const auto renewed = load_policy(directory / "policy.yaml", sample_load_options());
  ASSERT_TRUE(renewed);
  EXPECT_NE(renewed->table->hash(), loaded->table->hash()) << "a certificate that changes is a change of the policy";
}

TEST(LoadPolicyTest, AMissingCertificateOrKeyIsToldWhereItIsNamed) {
  TempDir directory;
  write_tls_files(directory);
  ::unlink((directory / "certs/ca.pem").c_str());
  ::unlink((directory / "certs/me.key").c_str());
  const auto failed = load_policy(directory / "policy.yaml", sample_load_options());
  ASSERT_FALSE(failed);
  std::vector<std::string> said;
  for (const Diagnostic& d : failed.error().diagnostics) said.push_back(d.code + " " + d.yaml_path);
  EXPECT_THAT(said, ElementsAre("P201 upstreams.old.tls.ca_file", "P201 upstreams.new.tls.ca_file", "P201 upstreams.new.tls.key_file"));
}

TEST(LoadPolicyTest, TlsFilesThatCannotBeUsedAreToldAtTheirUpstream) {
  TempDir directory;
  write_tls_files(directory);
  LoadOptions options = sample_load_options();
  std::vector<std::string> judged;
  options.judge_tls = [&](const UpstreamTls& tls) -> Result<std::vector<std::string>, std::string> {
    judged.push_back(tls.ca_pem + tls.cert_pem + tls.key_pem);
    if (!tls.key_file.empty()) return fail("the key in " + tls.key_file + " does not match");
    return std::vector<std::string>{tls.ca_file + " expired"};
  };
  const auto failed = load_policy(directory / "policy.yaml", options);
  ASSERT_FALSE(failed);
  std::vector<std::string> said;
  for (const Diagnostic& d : failed.error().diagnostics) said.push_back(d.code + " " + d.yaml_path + ": " + d.message);
  EXPECT_THAT(said, ElementsAre("W201 upstreams.old.tls: certs/ca.pem expired",
                                "P209 upstreams.new.tls: the key in certs/me.key does not match"));
  ASSERT_EQ(judged.size(), 2u);
  EXPECT_THAT(judged[1], HasSubstr("hunter2")) << "what is judged is what was read";
}

TEST(LoadPolicyTest, OfTlsFilesThatAreMissingOnlyThatIsSaid) {
  TempDir directory;
  write_tls_files(directory);
  ::unlink((directory / "certs/me.key").c_str());
  LoadOptions options = sample_load_options();
  int judged = 0;
  options.judge_tls = [&](const UpstreamTls&) -> Result<std::vector<std::string>, std::string> {
    ++judged;
    return std::vector<std::string>{};
  };
  const auto failed = load_policy(directory / "policy.yaml", options);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().diagnostics.size(), 1u) << all_text(failed.error().diagnostics);
  EXPECT_EQ(judged, 1) << "the other upstream's";
}

TEST(LoadPolicyTest, AKeyThatOthersMayReadIsAWarningAndACertificateIsNot) {
  TempDir directory;
  write_tls_files(directory);
  for (const char* file : {"certs/ca.pem", "certs/me.pem", "certs/me.key"}) ::chmod((directory / file).c_str(), 0644);
  const auto loaded = load_policy(directory / "policy.yaml", sample_load_options());
  ASSERT_TRUE(loaded) << all_text(loaded.error().diagnostics);
  ASSERT_EQ(loaded->warnings.size(), 1u) << all_text(loaded->warnings);
  EXPECT_EQ(loaded->warnings[0].code, "W200");
  EXPECT_EQ(loaded->warnings[0].yaml_path, "upstreams.new.tls.key_file");
}

TEST(LoadPolicyTest, ASecretThatOthersMayReadIsAWarning) {
  TempDir dir;
  const std::string path = write_sample(dir.path());
  ::chmod((dir / "new.key").c_str(), 0644);
  const auto loaded = load_policy(path, sample_load_options());
  ASSERT_TRUE(loaded);
  const auto warned = std::count_if(loaded->warnings.begin(), loaded->warnings.end(),
                                    [](const Diagnostic& d) { return d.code == "W200"; });
  EXPECT_EQ(warned, 1) << all_text(loaded->warnings);
  EXPECT_THAT(all_text(loaded->warnings), Not(HasSubstr("correct-horse")));
}

TEST(LoadPolicyTest, TodayIsAnArgument) {
  TempDir dir;
  const std::string path = write_sample(dir.path());
  const auto expired = [&](unsigned day, unsigned month) {
    LoadOptions options = sample_load_options();
    options.today = Date{std::chrono::year{2026}, std::chrono::month{month}, std::chrono::day{day}};
    const auto loaded = load_policy(path, options);
    EXPECT_TRUE(loaded);
    return all_text(loaded->warnings).find("W106") != std::string::npos;
  };
  EXPECT_FALSE(expired(30, 6)) << "until names the last good day";
  EXPECT_TRUE(expired(1, 7));
}

TEST(LoadPolicyTest, FilesAreSoughtBesideTheNameAsGiven) {
  TempDir dir;
  make_directory(dir / "..2024_1");
  write_sample(dir / "..2024_1");
  make_link("..2024_1", dir / "..data");
  for (const char* file : {"policy.yaml", "service.pb", "new.key"})
    make_link(std::string("..data/") + file, dir / file);
  const auto loaded = load_policy(dir / "policy.yaml", sample_load_options());
  ASSERT_TRUE(loaded) << all_text(loaded.error().diagnostics);
  EXPECT_THAT(loaded->files, Contains(dir / "service.pb"));

  make_directory(dir / "elsewhere");
  make_link("../policy.yaml", dir / "elsewhere/policy.yaml");
  const auto elsewhere = load_policy(dir / "elsewhere/policy.yaml", sample_load_options());
  ASSERT_FALSE(elsewhere) << "the directory of the link, not of what it points to";
  EXPECT_THAT(all_text(elsewhere.error().diagnostics), HasSubstr("P201"));
}

// A deployment is swapped again and again while it is read: never the policy of one with the secret of the other.
TEST(LoadPolicyTest, AllFilesAreOfOneMoment) {
  TempDir dir;
  for (const char* which : {"one", "two"}) {
    make_directory(dir / which);
    write_sample(dir / which, sample_policy_with("name: sample", std::string("name: ") + which));
    write_file(dir / (std::string(which) + "/new.key"), which);
  }
  make_link("one", dir / "..data");
  for (const char* file : {"policy.yaml", "service.pb", "new.key"})
    make_link(std::string("..data/") + file, dir / file);
  std::atomic<bool> stop{false};
  std::thread deployer([&] {
    for (int i = 0; !stop; ++i) replace_link(i % 2 == 0 ? "two" : "one", dir / "..data");
  });
  int loads = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (int i = 0; i < 300 || (loads == 0 && std::chrono::steady_clock::now() < deadline); ++i) {
    const auto loaded = load_policy(dir / "policy.yaml", sample_load_options());
    if (!loaded) {
      EXPECT_EQ(loaded.error().diagnostics.front().code, "P205") << all_text(loaded.error().diagnostics);
      continue;
    }
    ++loads;
    EXPECT_EQ(loaded->table->name(), loaded->table->upstreams()[1].metadata_set[0].second);
  }
  stop = true;
  deployer.join();
  EXPECT_GT(loads, 0);
}

TEST(LoadPolicyTest, OneFileNamedTwiceIsReadOnce) {
  TempDir dir;
  const std::string path =
      write_sample(dir.path(), sample_policy_with(R"(x-literal: "inline-value")", R"(x-other: "file:new.key")"));
  const auto loaded = load_policy(path, sample_load_options());
  ASSERT_TRUE(loaded) << all_text(loaded.error().diagnostics);
  EXPECT_EQ(loaded->files.size(), 3u);
}

// ---- the hash ----

TEST(PolicyHashTest, IsTheSameForTheSameBytesAndForNoOthers) {
  const std::string base = policy_hash("policy", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(base, policy_hash("policy", {{"b", "2"}, {"a", "1"}}));
  struct {
    const char* name;
    std::string hash;
  } const others[] = {
      {"the policy", policy_hash("policy ", {{"a", "1"}, {"b", "2"}})},
      {"a file's content", policy_hash("policy", {{"a", "1"}, {"b", "3"}})},
      {"a file's name", policy_hash("policy", {{"a", "1"}, {"c", "2"}})},
      {"a file more", policy_hash("policy", {{"a", "1"}, {"b", "2"}, {"c", ""}})},
      {"contents swapped", policy_hash("policy", {{"a", "2"}, {"b", "1"}})},
      {"a byte moved from content to name", policy_hash("policy", {{"a1", ""}, {"b", "2"}})},
      {"a byte moved from policy to name", policy_hash("polic", {{"ya", "1"}, {"b", "2"}})},
  };
  for (const auto& other : others) EXPECT_NE(base, other.hash) << other.name;
}

// Computed apart from this code, with Python's hashlib: sha256(len8("policy") + "policy" + len8("a") + "a" + len8("1")
// + "1").
TEST(PolicyHashTest, AgreesWithAVectorComputedElsewhere) {
  EXPECT_EQ(policy_hash("policy", {{"a", "1"}}), "7229ff118cd94014098301d22505856e63250c6d7a81fcd296e37417acd13421");
}

TEST(LoadPolicyTest, ASecretOrASchemaThatChangesChangesTheHash) {
  TempDir dir;
  const std::string path = write_sample(dir.path());
  const std::string before = load_policy(path, sample_load_options())->table->hash();
  EXPECT_EQ(before, load_policy(path, sample_load_options())->table->hash());
  write_file(dir / "new.key", "another");
  EXPECT_NE(before, load_policy(path, sample_load_options())->table->hash());
}

TEST(LoaderCodesTest, NoCodeIsUsedTwice) {
  std::set<std::string_view> codes;
  for (const DiagnosticCode& code : kAllDiagnosticCodes) EXPECT_TRUE(codes.insert(code.code).second) << code.code;
  for (const DiagnosticCode& code : kLoaderDiagnosticCodes) EXPECT_TRUE(codes.insert(code.code).second) << code.code;
}

}  // namespace
}  // namespace ficus
