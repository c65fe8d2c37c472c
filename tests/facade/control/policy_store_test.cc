#include "facade/control/policy_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <thread>
#include <tuple>

#include "tests/facade/control/policy_store_fixture.h"

namespace ficus {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What thousands of refused reloads write to stderr would bury the test's own words.
class QuietLog {
 public:
  QuietLog() : kept_(::dup(STDERR_FILENO)) {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDERR_FILENO);
    ::close(null);
  }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
  ~QuietLog() {
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
  }

 private:
  int kept_;
};

TEST(PolicyStoreTest, TheFirstPolicyIsGenerationOneAndAnyEpochWillDo) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  EXPECT_EQ(s.publisher.in_force(), nullptr);
  EXPECT_THAT(s.store.describe_json(), HasSubstr("\"in_force\":null"));
  ASSERT_TRUE(s.store.load_first());
  EXPECT_EQ(s.in_force().generation(), 1u);
  EXPECT_EQ(s.in_force().policy().ownership_epoch.value, 7u);
  EXPECT_EQ(s.tables.size(), 1u);
  EXPECT_EQ(s.all_reloads(), 0);
  EXPECT_EQ(s.exposed().value("ficus_policy_last_reload_ok"), 1);
}

TEST(PolicyStoreTest, AFirstPolicyWithErrorsIsNotPublished) {
  TempDir dir;
  Store s(write_sample(dir.path(), sample_policy_with("reads: [Get]", "reads: [Gett]")));
  const auto loaded = s.store.load_first();
  ASSERT_FALSE(loaded);
  EXPECT_FALSE(loaded.error().unreadable);
  EXPECT_EQ(s.publisher.in_force(), nullptr);
  EXPECT_TRUE(s.tables.empty());

  Store missing(dir / "missing.yaml");
  const auto none = missing.store.load_first();
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().unreadable);
}

// Each changes the sample in one way; what becomes of the reload, and what is then in force.
TEST(PolicyStoreTest, AReloadIsAppliedUnchangedOrRefused) {
  const struct {
    const char* name;
    std::function<void(const TempDir&)> change;
    const char* outcome;
    const char* says;  // part of /policy afterwards
  } cases[] = {
      {"nothing", [](const TempDir&) {}, "unchanged", "\"outcome\":\"unchanged\""},
      {"the same bytes", [](const TempDir& d) { replace_file(d / "policy.yaml", sample_policy()); }, "unchanged",
       "\"generation\":1"},
      {"a share",
       [](const TempDir& d) { replace_file(d / "policy.yaml", sample_policy_with("percent: 10}", "percent: 20}")); },
       "applied", "\"generation\":2"},
      {"a comment", [](const TempDir& d) { replace_file(d / "policy.yaml", "# hello\n" + sample_policy()); }, "applied",
       "\"generation\":2"},
      {"only a secret", [](const TempDir& d) { replace_file(d / "new.key", "another\n"); }, "applied",
       "\"generation\":2"},
      {"broken YAML", [](const TempDir& d) { write_file(d / "policy.yaml", "rules: [\n"); }, "refused",
       "\"level\":\"error\""},
      {"empty", [](const TempDir& d) { write_file(d / "policy.yaml", ""); }, "refused", "\"level\":\"error\""},
      {"gone", [](const TempDir& d) { ::unlink((d / "policy.yaml").c_str()); }, "refused", "P200"},
      {"schema gone", [](const TempDir& d) { ::unlink((d / "service.pb").c_str()); }, "refused", "P201"},
      {"a test that fails",
       [](const TempDir& d) {
         write_file(d / "policy.yaml", sample_policy_with("expect: {owner: new}", "expect: {owner: legacy}"));
       },
       "refused", "P160"},
      {"an owner moves, the epoch stays",
       [](const TempDir& d) {
         write_file(d / "policy.yaml",
                    replaced(sample_policy_with("{name: address-acme, capability: address, tenants: [acme]",
                                                "{name: address-acme, capability: address, tenants: [acme, globex]"),
                             "tenants: [acme], stage: live, reads", "tenants: [acme, globex], stage: live, reads"));
       },
       "refused", "P170"},
      {"an owner moves, the epoch grows",
       [](const TempDir& d) {
         std::string text =
             sample_policy_with("capability: address, tenants: [acme]", "capability: address, tenants: [acme, globex]");
         text = replaced(text, "tenants: [acme], stage: live, reads", "tenants: [acme, globex], stage: live, reads");
         write_file(d / "policy.yaml", replaced(text, "ownership_epoch: 7", "ownership_epoch: 8"));
       },
       "refused", "restart to move owners: a.B/Put for globex"},
      {"no owner moves, the epoch grows",
       [](const TempDir& d) {
         write_file(d / "policy.yaml", sample_policy_with("ownership_epoch: 7", "ownership_epoch: 8"));
       },
       "refused", "P171"},
      {"the epoch falls",
       [](const TempDir& d) {
         write_file(d / "policy.yaml", sample_policy_with("ownership_epoch: 7", "ownership_epoch: 6"));
       },
       "refused", "P171"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    TempDir dir;
    Store s(write_sample(dir.path()));
    ASSERT_TRUE(s.store.load_first());
    c.change(dir);
    EXPECT_EQ(s.reload(), c.outcome);
    const bool applied = std::string_view(c.outcome) == "applied";
    EXPECT_EQ(s.in_force().generation(), applied ? 2u : 1u);
    EXPECT_EQ(s.tables.size(), applied ? 2u : 1u);
    EXPECT_EQ(s.exposed().value("ficus_policy_last_reload_ok"), std::string_view(c.outcome) == "refused" ? 0 : 1);
    EXPECT_THAT(s.store.describe_json(), HasSubstr(c.says));
    EXPECT_THAT(s.store.describe_json(), HasSubstr("\"trigger\":\"signal\""));

    // And back: the policy in force was never lost, and a refusal is forgotten.
    write_sample(dir.path());
    EXPECT_EQ(s.reload(), applied ? "applied" : "unchanged");
    EXPECT_EQ(s.exposed().value("ficus_policy_last_reload_ok"), 1);
    EXPECT_THAT(s.store.describe_json(), HasSubstr("\"diagnostics\":[]"));
  }
}

TEST(PolicyStoreTest, WhatIsWatchedIsReadWhenItChanges) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  s.store.watch();
  double applied = 0;
  const auto comes_into_force = [&](const std::function<void()>& change) {
    change();
    ++applied;
    return s.until([&] { return s.reloads("applied") == applied; });
  };
  EXPECT_TRUE(comes_into_force([&] { write_file(dir / "policy.yaml", "# 1\n" + sample_policy()); })) << "in place";
  EXPECT_TRUE(comes_into_force([&] { replace_file(dir / "policy.yaml", "# 2\n" + sample_policy()); }))
      << "renamed over";
  EXPECT_TRUE(comes_into_force([&] { write_file(dir / "new.key", "k1\n"); })) << "a secret in place";
  EXPECT_TRUE(comes_into_force([&] { replace_file(dir / "new.key", "k2\n"); })) << "a secret renamed over";
  // A new policy that names another file: that one is watched from then on.
  write_file(dir / "other.key", "o1\n");
  EXPECT_TRUE(comes_into_force(
      [&] { replace_file(dir / "policy.yaml", sample_policy_with("file:new.key", "file:other.key")); }));
  EXPECT_TRUE(comes_into_force([&] { write_file(dir / "other.key", "o2\n"); }));
  EXPECT_EQ(s.in_force().upstreams()[1].metadata_set[0].second, "o2");
  EXPECT_EQ(s.in_force().generation(), 1 + static_cast<std::uint64_t>(applied));
  EXPECT_THAT(s.store.describe_json(), HasSubstr("\"trigger\":\"file_changed\""));
  EXPECT_EQ(s.reloads("refused"), 0);
}

TEST(PolicyStoreTest, AKubernetesConfigMapIsSwappedAsAWhole) {
  TempDir dir;
  const auto deploy = [&](const std::string& version, const std::string& policy, const std::string& key) {
    make_directory(dir / version);
    write_sample(dir / version, policy);
    write_file(dir / (version + "/new.key"), key);
  };
  deploy("..1", sample_policy(), "one");
  make_link("..1", dir / "..data");
  for (const char* file : {"policy.yaml", "service.pb", "new.key"})
    make_link(std::string("..data/") + file, dir / file);
  Store s(dir / "policy.yaml");
  ASSERT_TRUE(s.store.load_first());
  s.store.watch();
  for (int n = 2; n <= 4; ++n) {
    const std::string version = ".." + std::to_string(n);
    deploy(version, "# " + version + "\n" + sample_policy(), version);
    replace_link(version, dir / "..data");
    std::filesystem::remove_all(dir / (".." + std::to_string(n - 1)));
    ASSERT_TRUE(s.until([&] { return s.in_force().generation() == static_cast<std::uint64_t>(n); })) << n;
    EXPECT_EQ(s.in_force().upstreams()[1].metadata_set[0].second, version);
  }
  EXPECT_EQ(s.reloads("refused"), 0);
}

TEST(PolicyStoreTest, MendingARefusedFileIsSeen) {
  const struct {
    const char* name;
    std::function<void(const TempDir&)> spoil, mend;
  } cases[] = {
      {"broken YAML", [](const TempDir& d) { write_file(d / "policy.yaml", "rules: ["); },
       [](const TempDir& d) { write_file(d / "policy.yaml", "# mended\n" + sample_policy()); }},
      {"policy gone", [](const TempDir& d) { ::unlink((d / "policy.yaml").c_str()); },
       [](const TempDir& d) { write_file(d / "policy.yaml", "# mended\n" + sample_policy()); }},
      {"names a file that is not there yet",
       [](const TempDir& d) {
         replace_file(d / "policy.yaml", sample_policy_with("file:new.key", "file:keys/later.key"));
       },
       [](const TempDir& d) {
         make_directory(d / "keys");
         write_file(d / "keys/later.key", "here\n");
       }},
      {"an unusable schema", [](const TempDir& d) { write_file(d / "service.pb", "garbage"); },
       [](const TempDir& d) {
         write_file(d / "new.key", "changed too\n");
         write_file(d / "service.pb", "schema");
       }},
      {"the whole directory gone", [](const TempDir& d) { std::filesystem::rename(d.path(), d.path() + ".away"); },
       [](const TempDir& d) {
         make_directory(d.path());
         write_sample(d.path(), "# mended\n" + sample_policy());
         std::filesystem::remove_all(d.path() + ".away");
       }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    TempDir dir;
    Store s(write_sample(dir.path()));
    ASSERT_TRUE(s.store.load_first());
    s.store.watch();
    c.spoil(dir);
    ASSERT_TRUE(s.until([&] { return s.reloads("refused") >= 1; }));
    EXPECT_EQ(s.in_force().generation(), 1u);
    c.mend(dir);
    EXPECT_TRUE(s.until([&] { return s.reloads("applied") == 1; }));
    EXPECT_EQ(s.in_force().generation(), 2u);
  }
}

TEST(PolicyStoreTest, AChangeBetweenTheFirstLoadAndTheWatchIsNotLost) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  replace_file(dir / "policy.yaml", "# meanwhile\n" + sample_policy());
  s.store.watch();
  EXPECT_TRUE(s.until([&] { return s.reloads("applied") == 1; }));
}

TEST(PolicyStoreTest, OfTwoQuickChangesTheLastIsInForce) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  s.store.watch();
  for (int i = 0; i < 20; ++i) {
    const std::string last = "name: last-" + std::to_string(i);
    replace_file(dir / "policy.yaml", sample_policy_with("name: sample", "name: first"));
    replace_file(dir / "policy.yaml", sample_policy_with("name: sample", last));
    ASSERT_TRUE(s.until([&] { return "name: " + s.in_force().name() == last; })) << i;
  }
  EXPECT_LE(s.in_force().generation(), 41u);
}

// ---- callers that nobody can know ----

// The sample, which has a source of metadata for tenants and none for consumers, with another `identity`.
std::string sample_known_by(const std::string& identity) {
  return sample_policy_with("  tenant: [{metadata: x-tenant-id}]\n  trust_metadata: true\n", identity);
}
const std::string kTenantBySan = "  tenant: [{peer_san: \"spiffe://corp/tenant/*\"}]\n";
const std::string kTenantByBoth =
    "  tenant: [{peer_san: \"spiffe://corp/tenant/*\"}, {metadata: x-tenant-id}]\n  trust_metadata: true\n";
const std::string kTenantByMetadata = "  tenant: [{metadata: x-tenant-id}]\n  trust_metadata: true\n";
const std::string kConsumerBySan = "  consumer: [{peer_san: \"spiffe://corp/app/*\"}]\n";

// Of /policy and of what was logged meanwhile, which may say it once.
struct Said {
  bool tenants = false, consumers = false;
  bool operator==(const Said&) const = default;
};
Said said_of_callers(const Store& s, const std::string& log) {
  const std::string json = s.store.describe_json();
  const Said said{json.find("no tenant is ever known") != std::string::npos,
                  json.find("no consumer is ever known") != std::string::npos};
  EXPECT_EQ(log.find(" warning tenants_unknowable message=") != std::string::npos, said.tenants) << log;
  EXPECT_EQ(log.find(" warning consumers_unknowable message=") != std::string::npos, said.consumers) << log;
  EXPECT_EQ(json.find("\"code\":\"W202\"") != std::string::npos, said.tenants || said.consumers) << json;
  return said;
}

TEST(PolicyStoreTest, CallersKnownByCertificatesThatNobodyAsksForAreWarnedOf) {
  const struct {
    const char* name;
    std::string identity;
    bool clients_show_certificates;
    Said want;
  } cases[] = {
      {"a tenant by certificate alone", kTenantBySan, false, {true, false}},
      {"a consumer by certificate alone", kTenantByMetadata + kConsumerBySan, false, {false, true}},
      {"both", kTenantBySan + kConsumerBySan, false, {true, true}},
      {"and certificates are shown", kTenantBySan + kConsumerBySan, true, {}},
      {"by certificate or metadata", kTenantByBoth, false, {}},
      {"by metadata", kTenantByMetadata, false, {}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    TempDir dir;
    ::testing::internal::CaptureStderr();
    Store first(write_sample(dir.path(), sample_known_by(c.identity)), nullptr, c.clients_show_certificates);
    const auto loaded = first.store.load_first();
    EXPECT_EQ(said_of_callers(first, ::testing::internal::GetCapturedStderr()), c.want) << "at the first load";
    ASSERT_TRUE(loaded);

    // Another identity of tenants may move owners, which no reload does: the same one comes with each reload.
    write_sample(dir.path(), "# again\n" + sample_known_by(c.identity));
    ::testing::internal::CaptureStderr();
    const std::string outcome = first.reload();
    EXPECT_EQ(said_of_callers(first, ::testing::internal::GetCapturedStderr()), c.want) << "at a reload";
    EXPECT_EQ(outcome, "applied");
  }
}

TEST(PolicyStoreTest, AReloadMayBringConsumersThatNobodyCanKnowAndMendThem) {
  TempDir dir;
  Store s(write_sample(dir.path()), nullptr, false);
  ASSERT_TRUE(s.store.load_first());
  const auto reload = [&](const std::string& policy) {
    write_sample(dir.path(), policy);
    ::testing::internal::CaptureStderr();
    const std::string outcome = s.reload();
    const Said said = said_of_callers(s, ::testing::internal::GetCapturedStderr());
    EXPECT_EQ(outcome, "applied");
    return said;
  };
  EXPECT_EQ(reload(sample_known_by(kTenantByMetadata + kConsumerBySan)), (Said{false, true}));
  EXPECT_EQ(reload(sample_known_by(kTenantByMetadata + "  consumer: [{metadata: x-consumer}]\n")), Said{});
}

TEST(PolicyStoreTest, TheWarningNamesThePlaceAndWhatToDo) {
  TempDir dir;
  Store s(write_sample(dir.path(), sample_known_by(kTenantBySan)), nullptr, false);
  ::testing::internal::CaptureStderr();
  const bool loaded = s.store.load_first().has_value();
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(loaded) << log;
  EXPECT_THAT(log, HasSubstr("policy.yaml:11:"));
  EXPECT_THAT(log, HasSubstr("warning[W202]: only a client certificate says which tenant calls"));
  EXPECT_THAT(log, HasSubstr("--tls-client required"));
  EXPECT_THAT(log, HasSubstr("path=identity.tenant[0]"));
}

TEST(PolicyStoreTest, ARefusedReloadWarnsOfNoCallersSinceNothingOfItIsInForce) {
  TempDir dir;
  Store s(write_sample(dir.path()), nullptr, false);
  ASSERT_TRUE(s.store.load_first());
  std::string text = sample_known_by(kTenantBySan);
  text = replaced(text, "ownership_epoch: 7", "ownership_epoch: 8");
  write_sample(dir.path(), text);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(s.reload(), "refused");
  EXPECT_EQ(said_of_callers(s, ::testing::internal::GetCapturedStderr()), Said{});
}

// ---- a file cut off anywhere ----

// Who owns each write, asked of the table for tenants of every class.
std::string owners(const RouteTable& table) {
  std::string text;
  for (std::size_t i = 0; i < table.capabilities().size(); ++i) {
    for (const char* tenant : {"acme", "globex", "initech", "eu-west", "someone"}) {
      text += table.capabilities()[i].name + "/" + tenant + "=" +
              std::string(to_string(table.write_owner(static_cast<std::uint16_t>(i), tenant))) + " ";
    }
    text += table.capabilities()[i].name + "=" +
            std::string(to_string(table.write_owner(static_cast<std::uint16_t>(i), std::nullopt))) + " ";
  }
  return text;
}

// The sample and every policy that we ship; several tests for each, since each is thousands of reloads.
std::vector<std::string> whole_policies() {
  std::vector<std::string> names = {"sample"};
  for (const auto& entry : std::filesystem::directory_iterator(FICUS_POLICIES)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

constexpr std::size_t kParts = 4;
class CutPolicyTest : public ::testing::TestWithParam<std::tuple<std::string, std::size_t>> {};

TEST_P(CutPolicyTest, IsRefusedWhereverItIsCut) {
  const auto& [policy, part] = GetParam();
  const std::string text = policy == "sample" ? sample_policy() : read_file(FICUS_POLICIES "/" + policy + ".yaml");
  TempDir dir;
  write_file(dir / "insurance.pb", "schema");
  Store s(write_sample(dir.path(), text));
  ASSERT_TRUE(s.store.load_first());
  const std::string before = owners(s.in_force());
  const QuietLog quiet;
  for (std::size_t cut = part; cut < text.size(); cut += kParts) {
    write_file(dir / "policy.yaml", std::string_view(text).substr(0, cut));
    ASSERT_EQ(s.reload(), "refused") << "cut at byte " << cut;
    ASSERT_EQ(s.tables.size(), 1u) << "cut at byte " << cut;
    ASSERT_EQ(owners(s.in_force()), before) << "cut at byte " << cut;
  }
}

std::string cut_test_name(const ::testing::TestParamInfo<CutPolicyTest::ParamType>& tested) {
  std::string name = std::get<0>(tested.param);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name + "_part_" + std::to_string(std::get<1>(tested.param));
}

INSTANTIATE_TEST_SUITE_P(Shipped, CutPolicyTest,
                         ::testing::Combine(::testing::ValuesIn(whole_policies()),
                                            ::testing::Range(std::size_t{0}, kParts)),
                         cut_test_name);

TEST(ShippedPoliciesTest, ThereAreSome) { EXPECT_GE(whole_policies().size(), 4u); }

TEST(PolicyStoreTest, AWriterThatIsCutOffIsRefusedAndItsRestIsSeen) {
  TempDir dir;
  const std::string text = "# longer than before\n" + sample_policy();
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  s.store.watch();
  double refused = 0;
  for (std::size_t cut = 0; cut < text.size(); cut += text.size() / 8) {
    write_file(dir / "policy.yaml", std::string_view(text).substr(0, cut));
    ++refused;
    ASSERT_TRUE(s.until([&] { return s.reloads("refused") == refused; })) << cut;
    EXPECT_EQ(s.in_force().generation(), 1u);
  }
  write_file(dir / "policy.yaml", text);
  EXPECT_TRUE(s.until([&] { return s.in_force().generation() == 2; }));
}

// ---- many reloads ----

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(PolicyStoreTest, TwoHundredReloadsKeepNothing) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  s.store.watch();
  const QuietLog quiet;
  std::vector<std::weak_ptr<const RouteTable>> old;
  std::size_t descriptors = 0;
  for (int i = 1; i <= 200; ++i) {
    old.push_back(s.publisher.in_force());
    replace_file(dir / "policy.yaml", "# " + std::to_string(i) + "\n" + sample_policy());
    ASSERT_EQ(s.reload(), "applied");
    ASSERT_EQ(s.in_force().generation(), static_cast<std::uint64_t>(i) + 1);
    s.tables.erase(s.tables.begin(), s.tables.end() - 1);  // a worker keeps the last
    if (i == 10) descriptors = open_descriptors();
  }
  EXPECT_EQ(open_descriptors(), descriptors);
  // The acknowledgements, posted to the control thread, hold the last reference.
  EXPECT_TRUE(
      s.until([&] { return std::all_of(old.begin(), old.end(), [](const auto& table) { return table.expired(); }); }));
}

TEST(PolicyStoreTest, ReloadMayBeCalledFromAnyThread) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  const QuietLog quiet;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        s.store.reload();
        EXPECT_THAT(s.store.describe_json(), HasSubstr("\"generation\":1"));
      }
    });
  }
  EXPECT_TRUE(s.until([&] { return s.reloads("unchanged") == 40; }));
  for (std::thread& thread : threads) thread.join();
}

TEST(PolicyStoreTest, SaysWhetherEveryWorkerHasIt) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  s.hold_acknowledgements = true;
  ASSERT_TRUE(s.store.load_first());
  EXPECT_THAT(s.store.describe_json(), HasSubstr("\"by_all_workers\":false"));
  s.held.front()();
  EXPECT_TRUE(s.until([&] { return s.store.describe_json().find("\"by_all_workers\":true") != std::string::npos; }));
}

TEST(PolicyStoreTest, MayBeDestroyedBeforeAWorkerAnswers) {
  TempDir dir;
  auto s = std::make_unique<Store>(write_sample(dir.path()));
  s->hold_acknowledgements = true;
  ASSERT_TRUE(s->store.load_first());
  const auto done = std::move(s->held.front());
  s->store.reload();
  done();
  s.reset();
}

TEST(PolicyStoreTest, NoSecretIsShownAnywhere) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  const std::string json = s.store.describe_json();
  EXPECT_THAT(json, AllOf(HasSubstr("new.key"), HasSubstr("x-literal"), HasSubstr("ownership_epoch")));
  EXPECT_THAT(json, AllOf(Not(HasSubstr("correct-horse")), Not(HasSubstr("inline-value"))));
  write_file(dir / "new.key", "correct-horse\nbattery\n");
  EXPECT_EQ(s.reload(), "refused");
  EXPECT_THAT(s.store.describe_json(),
              AllOf(HasSubstr("P207"), Not(HasSubstr("correct-horse")), Not(HasSubstr("battery"))));
  EXPECT_THAT(s.metrics.expose(), Not(HasSubstr("correct-horse")));
}

}  // namespace
}  // namespace ficus
