#include "tests/facade/cli/cli_fixture.h"

#include "routing/bucket.h"

namespace ficus {
namespace {

using test::holds;

constexpr std::string_view kInsurer = R"(apiVersion: ficus/v1
name: insurer
upstreams:
  policy-legacy: {endpoints: ["127.0.0.1:50051"]}
  policy-new: {endpoints: ["127.0.0.1:50052"]}
default_upstream: policy-legacy
schemas: ["insurance.pb"]
identity:
  tenant: [{metadata: x-tenant-id}]
  consumer: [{metadata: x-consumer-id}]
  trust_metadata: true
attributes:
  product: [{metadata: x-product}]
tenant_groups:
  pilot: [globex, initech]
capabilities:
  inquiry:
    data: policy
    legacy: policy-legacy
    new: policy-new
    service: insurance.policy.v1.PolicyService
    reads: [GetPolicy, ListPolicies, StreamHistory]
    key: {request_field: policy_number, methods: {ListPolicies: none}}
    staleness: 2s
    reverse_replication: external
  address:
    data: policy
    legacy: policy-legacy
    new: policy-new
    service: insurance.policy.v1.PolicyService
    reverse_replication: external
    writes: [EndorseAddress]
rules:
  - {name: inquiry-acme, capability: inquiry, tenants: [acme], stage: live, reads: {shadow: {percent: 100}}}
  - {name: address-acme, capability: address, tenants: [acme], stage: live}
  - name: inquiry-pilot-auto
    capability: inquiry
    tenants: ["group:pilot"]
    match: {product: [personal-auto]}
    stage: canary
    reads: {canary: {percent: 5.25, by: key}, shadow: {percent: 10}}
  - {name: inquiry-pilot, capability: inquiry, tenants: ["group:pilot"], stage: shadow, reads: {shadow: {percent: 50, by: key}}}
ownership_epoch: 1
)";

constexpr const char* kGet = "insurance.policy.v1.PolicyService/GetPolicy";
constexpr const char* kEndorse = "insurance.policy.v1.PolicyService/EndorseAddress";

class ExplainCommandTest : public test::CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    add_schema();
    policy_ = write("insurer.yaml", kInsurer);
  }
  test::CommandResult explain(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"explain", policy_});
    return run(arguments);
  }
  std::string json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const auto result = explain(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    return result.out;
  }
  std::string policy_;
};

TEST_F(ExplainCommandTest, JsonOfAReadHasEveryField) {
  EXPECT_EQ(json({"--method", kGet, "--tenant", "acme"}),
            "{\"method\":\"insurance.policy.v1.PolicyService/GetPolicy\",\"capability\":\"inquiry\",\"kind\":\"read\","
            "\"rule\":{\"name\":\"inquiry-acme\",\"line\":34},\"refused\":null,\"serve\":\"new\",\"upstream\":\"policy-new\","
            "\"owner\":\"new\",\"unkeyed\":false,"
            "\"canary\":{\"percent\":100,\"by\":null,\"threshold\":1000000,\"bucket\":null},"
            "\"shadow\":{\"side\":\"legacy\",\"percent\":100,\"by\":\"request\",\"threshold\":1000000,\"bucket\":null,\"in_share\":true},"
            "\"facts\":{\"reads.new_share\":{\"percent\":100,\"by\":null},\"reads.shadow\":{\"percent\":100,\"by\":\"request\"},"
            "\"reads.fallback\":null,\"writes.owner\":\"new\",\"writes.repeat\":null},\"retry\":null,\"above\":[]}\n");
}

TEST_F(ExplainCommandTest, JsonOfACanaryShowsBucketAndThreshold) {
  const std::uint32_t bucket = bucket_of(digest_of(DigestKind::kKey, "P-0001234"), share_seed_of("inquiry", SharePurpose::kCanary));
  const std::string out = json({"--method", kGet, "--tenant", "globex", "--metadata", "X-Product=personal-auto", "--key", "P-0001234"});
  EXPECT_TRUE(holds(out, "\"canary\":{\"percent\":5.25,\"by\":\"key\",\"threshold\":52500,\"bucket\":" + std::to_string(bucket) + "}")) << out;
  EXPECT_TRUE(holds(out, "\"serve\":\"" + std::string(bucket < 52'500 ? "new" : "legacy") + "\"")) << out;
  EXPECT_TRUE(holds(out, "\"by\":\"request\",\"threshold\":100000,\"bucket\":null,\"in_share\":null}")) << out;
  EXPECT_TRUE(holds(out, "\"above\":[{\"rule\":\"inquiry-acme\",\"why\":\"tenant globex is not in [acme]\"}]")) << out;
}

TEST_F(ExplainCommandTest, CanaryWithoutAKeyIsUnkeyed) {
  const std::string out = json({"--method", kGet, "--tenant", "globex", "--metadata", "x-product=personal-auto"});
  EXPECT_TRUE(holds(out, "\"serve\":\"legacy\"")) << out;
  EXPECT_TRUE(holds(out, "\"unkeyed\":true")) << out;
  EXPECT_TRUE(holds(out, "\"threshold\":52500,\"bucket\":null")) << out;
  const std::string list = "insurance.policy.v1.PolicyService/ListPolicies";
  const auto none = explain({"--method", list, "--tenant", "globex", "--metadata", "x-product=personal-auto", "--key", "P-1", "--json"});
  EXPECT_TRUE(holds(none.out, "\"unkeyed\":true")) << "a key that no call of the method could yield\n" << none.out;
  EXPECT_TRUE(holds(none.err, "--key changes nothing")) << none.err;
}

TEST_F(ExplainCommandTest, ShadowByKeyIsOpenUntilTheKeyIsGiven) {
  EXPECT_TRUE(holds(json({"--method", kGet, "--tenant", "globex"}),
                    "\"shadow\":{\"side\":\"new\",\"percent\":50,\"by\":\"key\",\"threshold\":500000,\"bucket\":null,\"in_share\":null}"));
  const std::uint32_t bucket = bucket_of(digest_of(DigestKind::kKey, "P-1"), share_seed_of("inquiry", SharePurpose::kShadow));
  EXPECT_TRUE(holds(json({"--method", kGet, "--tenant", "globex", "--key", "P-1"}),
                    "\"bucket\":" + std::to_string(bucket) + ",\"in_share\":" + (bucket < 500'000 ? "true" : "false")));
}

TEST_F(ExplainCommandTest, RefusedWriteSaysWhy) {
  const std::string out = json({"--method", kEndorse});
  EXPECT_TRUE(holds(out, "\"kind\":\"write\",\"rule\":null,\"refused\":{\"code\":\"FAILED_PRECONDITION\",\"why\":\"")) << out;
  EXPECT_TRUE(holds(out, "x-tenant-id")) << out;
  EXPECT_TRUE(holds(out, "\"serve\":null,\"upstream\":null,\"owner\":null,")) << out;
  EXPECT_TRUE(holds(out, "\"canary\":null,\"shadow\":null,")) << out;
  EXPECT_TRUE(holds(out, "\"above\":[{\"rule\":\"address-acme\",\"why\":\"the call has no tenant; the rule takes [acme]\"}]")) << out;
  EXPECT_TRUE(holds(json({"--method", kEndorse, "--tenant", "acme"}), "\"serve\":\"new\",\"upstream\":\"policy-new\",\"owner\":\"new\""));
  EXPECT_TRUE(holds(json({"--method", kEndorse, "--tenant", "acme", "--metadata", "x-ficus-shadow=1"}), "\"refused\":{\"code\":\"FAILED_PRECONDITION\""));
}

TEST_F(ExplainCommandTest, IdentityIsSoughtInTheMetadataUnlessGiven) {
  EXPECT_TRUE(holds(json({"--method", kGet, "--metadata", "x-tenant-id=acme"}), "\"name\":\"inquiry-acme\""));
  EXPECT_TRUE(holds(json({"--method", kGet, "--metadata", "X-Tenant-Id=acme"}), "\"name\":\"inquiry-acme\"")) << "names are lower-cased";
  EXPECT_TRUE(holds(json({"--method", kGet, "--metadata", "x-tenant-id=a=b"}), "\"rule\":null")) << "a value may hold '='";
  EXPECT_TRUE(holds(json({"--method", kGet, "--metadata", "x-tenant-id=a", "--metadata", "x-tenant-id=a"}), "\"code\":\"INVALID_ARGUMENT\""));
}

TEST_F(ExplainCommandTest, MethodInNoCapabilityIsPassedOn) {
  const std::string out = json({"--method", "grpc.health.v1.Health/Check"});
  EXPECT_TRUE(holds(out, "\"capability\":null,\"kind\":null,\"rule\":null,\"refused\":null,\"serve\":null,\"upstream\":\"policy-legacy\",\"owner\":null")) << out;
  EXPECT_TRUE(holds(out, "\"facts\":null,\"retry\":null,\"above\":[]")) << out;
}

TEST_F(ExplainCommandTest, LeadingSlashIsOptional) {
  EXPECT_EQ(json({"--method", std::string("/") + kGet, "--tenant", "acme"}), json({"--method", kGet, "--tenant", "acme"}));
}

TEST_F(ExplainCommandTest, FallbackAndRetryStandBesideTheOtherFacts) {
  std::string text(kInsurer);
  const std::string_view shares = "reads: {canary: {percent: 5.25, by: key}, shadow: {percent: 10}";
  text.replace(text.find(shares), shares.size(),
               std::string(shares) + ", fallback: {on: [UNAVAILABLE, NOT_FOUND]}, retry: {on: [UNAVAILABLE], attempts: 3}");
  policy_ = write("again.yaml", text);
  const std::vector<std::string> call = {"--method", kGet, "--tenant", "globex", "--metadata", "x-product=personal-auto"};
  const std::string out = explain(call).out;
  EXPECT_TRUE(holds(out, "reads.fallback   legacy, where new answers NOT_FOUND, UNAVAILABLE\n")) << out;
  EXPECT_TRUE(holds(out, "retry       on UNAVAILABLE, 3 attempts in all, budget 20 %\n")) << out;
  const std::string as_json = json(call);
  EXPECT_TRUE(holds(as_json, "\"reads.fallback\":[\"NOT_FOUND\",\"UNAVAILABLE\"],")) << as_json;
  EXPECT_TRUE(holds(as_json, "\"retry\":{\"on\":[\"UNAVAILABLE\"],\"attempts\":3,\"budget_percent\":20},")) << as_json;
  EXPECT_FALSE(holds(explain({"--method", kGet, "--tenant", "acme"}).out, "retry"));
}

TEST_F(ExplainCommandTest, ACertificatesNamesAreSoughtBeforeMetadata) {
  std::string text(kInsurer);
  const std::string_view tenant = "tenant: [{metadata";
  text.replace(text.find(tenant), tenant.size(), "tenant: [{peer_san: \"spiffe://corp/tenant/*\"}, {metadata");
  policy_ = write("certificates.yaml", text);
  const std::string acme = "spiffe://corp/tenant/acme";
  EXPECT_TRUE(holds(json({"--method", kGet, "--peer-san", acme}), "\"name\":\"inquiry-acme\""));
  EXPECT_TRUE(holds(json({"--method", kGet, "--peer-san", "web.corp", "--peer-san", acme}), "\"name\":\"inquiry-acme\""));
  EXPECT_TRUE(holds(json({"--method", kGet, "--peer-san", acme, "--metadata", "x-tenant-id=globex"}), "\"code\":\"PERMISSION_DENIED\""));
  EXPECT_TRUE(holds(json({"--method", kGet, "--peer-san", acme, "--tenant", "globex"}), "\"name\":\"inquiry-pilot\""))
      << "a given tenant stands for what the list yields";
  EXPECT_EQ(explain({"--method", kGet, "--peer-san", "a b"}).exit_code, 2) << "no certificate has such a name";
}

TEST_F(ExplainCommandTest, UnknownNamesGetASuggestion) {
  EXPECT_TRUE(holds(explain({"--method", "insurance.policy.v1.PolicyService/GetPolcy"}).out, "did you mean \"GetPolicy\"?"));
  EXPECT_TRUE(holds(explain({"--method", "insurance.policy.v1.PolicyService/Endorse"}).out,
                    "it has EndorseAddress, GetPolicy, ListPolicies, StreamHistory"));
  EXPECT_TRUE(holds(explain({"--method", "insurance.policy.v1.PolicyServcie/GetPolicy"}).out,
                    "did you mean \"insurance.policy.v1.PolicyService\"?"));
  EXPECT_TRUE(holds(explain({"--method", kGet, "--tenant", "globxe"}).out, "did you mean \"globex\"?"));
  EXPECT_FALSE(holds(explain({"--method", kGet, "--tenant", "globex"}).out, "did you mean"));
}

TEST_F(ExplainCommandTest, TextSaysWhatAPersonAsks) {
  const std::string out = explain({"--method", kGet, "--tenant", "globex", "--metadata", "x-product=boat"}).out;
  const std::string parts[] = {
           "a read of capability inquiry", "tenant globex", "served by legacy (policy-legacy)", "perhaps shadowed on new (policy-new)",
           "legacy owns the writes", "inquiry-pilot (" + policy_ + ":42), stage shadow", "reads.new_share  0 %",
           "reads.shadow     50 % by key", "reads.fallback   none", "writes.owner     legacy", "writes.repeat    none",
           "threshold 500000", "inquiry-acme (line 34)        tenant globex is not in [acme]",
           "inquiry-pilot-auto (line 36)  attribute product boat is not in [personal-auto]", "no --key was given"};
  for (const std::string& part : parts) {
    EXPECT_TRUE(holds(out, part)) << part << " is not in\n" << out;
  }
}

TEST_F(ExplainCommandTest, WarnsWhereReadsAreServedByASideThatDoesNotOwnTheWrites) {
  const auto canary = explain({"--method", kGet, "--tenant", "globex", "--metadata", "x-product=personal-auto", "--key", "P-1"});
  EXPECT_TRUE(holds(canary.out, "while legacy owns the writes: answers may be up to 2s old")) << canary.out;
  EXPECT_FALSE(holds(explain({"--method", kGet, "--tenant", "acme"}).out, "may be up to"));
}

TEST_F(ExplainCommandTest, PolicyWithErrorsIsPrintedAndExitOne) {
  std::string text(kInsurer);
  text.replace(text.find("new: policy-new"), 15, "new: policy-nwe");
  policy_ = write("bad.yaml", text);
  const auto result = explain({"--method", kGet});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(holds(result.out, "did you mean \"policy-new\"?")) << result.out;
  const auto as_json = explain({"--method", kGet, "--json"});
  EXPECT_EQ(as_json.exit_code, 1);
  EXPECT_EQ(as_json.out, "");
  EXPECT_TRUE(holds(as_json.err, "did you mean \"policy-new\"?")) << as_json.err;
}

TEST_F(ExplainCommandTest, WrongArgumentsAreExitTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {}, {"--method", "GetPolicy"}, {"--method", "a/b/c"}, {"--method", ""}, {"--method", "//"}, {"--method", kGet, "--metadata", "novalue"},
      {"--method", kGet, "--metadata", "=x"}, {"--method", kGet, "--frobnicate"}, {"--method", kGet, "--today", "soon"},
  };
  for (const auto& arguments : wrong) {
    EXPECT_EQ(explain(arguments).exit_code, 2) << (arguments.empty() ? "nothing" : arguments.back());
  }
  policy_ = path("absent.yaml");
  EXPECT_EQ(explain({"--method", kGet}).exit_code, 2);
}

TEST_F(ExplainCommandTest, AWrongValueIsNamedWithItsFlagAndWhatIsAllowed) {
  const std::pair<std::vector<std::string>, const char*> rows[] = {
      {{"--method", "GetPolicy"},
       "--method: \"GetPolicy\" is not allowed; give pkg.Service/Method, with or without a leading slash\n"},
      {{"--method", kGet, "--metadata", "novalue"}, "--metadata: \"novalue\" is not allowed; give name=value\n"},
      {{"--method", kGet, "--peer-san", "a\x1b[31mb"},
       "--peer-san: \"a\\x1b[31mb\" is not allowed; give a URI, DNS name or email address\n"},
      {{"--method", kGet, "--today", "soon"},
       "--today: \"soon\" is not allowed; give YYYY-MM-DD, as 2027-07-01\n"},
  };
  for (const auto& [flags, want] : rows) {
    const auto result = explain(flags);
    EXPECT_EQ(result.exit_code, 2) << want;
    EXPECT_EQ(result.err.rfind(want, 0), 0u) << result.err << want;
  }
}

TEST_F(ExplainCommandTest, NothingThatIsPrintedCanSteerATerminal) {
  const auto result = explain({"--method", kGet, "--tenant", "a\xe2\x80\xae" "b\xff"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(holds(result.out, "a\\xe2\\x80\\xaeb\\xff")) << result.out;
  EXPECT_FALSE(holds(result.out, "\xff"));
}

TEST_F(ExplainCommandTest, HelpHasExamplesAndExitCodes) {
  const auto result = run({"explain", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(holds(result.out, "ficus explain policies/insurer.yaml --method"));
  EXPECT_TRUE(holds(result.out, "Exit codes: 0"));
}

}  // namespace
}  // namespace ficus
