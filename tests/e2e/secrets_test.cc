// POLICY 6, "Values are personal data", and issue section 6: secrets planted in every place that ficus sees, and then
// looked for in everything it writes or shows.
#include <sys/stat.h>

#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

class SecretsTest : public ShadowTest {
 protected:
  // A word to plant; each place has its own, so that a find names its place.
  static std::string secret(const std::string& place) { return "SeCrEt-" + place + "-7f3a9c"; }

  // What ficus wrote or shows, by where.
  std::vector<std::pair<std::string, std::string>> outputs() const {
    return {{"the mismatch log", mismatch_log()},
            {"the log", ficus_->log()},
            {"/metrics", http_get(ficus_->admin(), "/metrics").body},
            {"/policy", http_get(ficus_->admin(), "/policy").body},
            {"/readyz", http_get(ficus_->admin(), "/readyz").body},
            {"the control API", control_status()}};
  }
  // As bytes: a text in them stands there as it is.
  std::string control_status() const {
    const UnaryReply reply =
        call(make_channel("unix:" + out_.path("control.sock")), "/ficus.control.v1.Control/GetStatus", "");
    EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
    EXPECT_NE(reply.message().find("inquiry"), std::string::npos) << "the status says nothing";
    return reply.message();
  }
  FicusOptions with_control() const {
    FicusOptions given = options();
    given.flags.insert(given.flags.end(), {"--control", out_.path("control.sock")});
    return given;
  }
  void expect_nowhere(const std::vector<std::string>& places) const {
    for (const auto& [where, text] : outputs()) {
      for (const std::string& place : places) {
        EXPECT_EQ(text.find(secret(place)), std::string::npos) << "what was planted in " << place << " is in " << where;
      }
      EXPECT_EQ(text.find("SeCrEt-"), std::string::npos) << where << "\n" << text;
    }
  }
  static int mode_of(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 0777) : -1;
  }
};

std::string response_with(const std::string& variant, const std::string& field, const std::string& key,
                          const std::string& value) {
  insurance::GetPolicyResponse response;
  auto& policy = *response.mutable_policy();
  policy.set_policy_number("P-1");
  policy.set_notes(field + variant);
  policy.mutable_holder()->set_full_name(field + variant);
  policy.mutable_holder()->set_email(field + variant);
  (*policy.mutable_labels())[key + variant] = value;
  (*policy.mutable_labels())["shared"] = value + variant;
  auto* endorsement = policy.add_endorsements();
  endorsement->set_endorsement_id(field + variant);
  endorsement->set_text(value + variant);
  // An unknown field, too.
  return response.SerializeAsString() + "\xc2\x3e\x06" + (variant + "######").substr(0, 6);
}

TEST_F(SecretsTest, NothingPlantedInACallAppearsInAnyOutput) {
  const auto side = [](const std::string& variant) {
    return [variant](UpstreamCall& call) {
      call.add_initial_metadata("x-answer", secret("response-metadata") + variant);
      call.add_trailer("x-last", secret("trailers") + variant);
      while (call.read()) {
      }
      call.write(response_with(variant, secret("field"), secret("map-key"), secret("map-value")));
      return grpc::Status::OK;
    };
  };
  legacy_.set_script(side("L"));
  new_.set_script(side("N"));
  TwoSided planted = parts();
  planted.rules = shady("percent: 100");
  planted.new_extra =
      ", metadata: {set: {x-api-key: \"file:new.key\", x-inline: \"" + secret("inline-metadata") + "\"}}";
  planted.inquiry_extra += "    overrides: {metadata: x-side, token: \"file:qa.token\"}\n";
  FicusOptions with_files = with_control();
  with_files.files = {{"new.key", secret("upstream-key") + "\n"}, {"qa.token", secret("override-token") + "\n"}};
  start(planted, with_files);
  const Metadata metadata = {{"authorization", "Bearer " + secret("authorization")},
                             {"x-note-bin", secret("binary-metadata")},
                             {"cookie", secret("cookie")},
                             {"x-side", "new;" + secret("wrong-token")}};
  ASSERT_TRUE(get("shady", secret("business-key"), metadata).status.ok());
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  ASSERT_TRUE(get("shady", "P-1", {{"x-side", "new;" + secret("override-token")}}).status.ok());

  // Errors carry messages and details.
  const auto failing = [](const std::string& variant) {
    return fail(grpc::Status(variant == "L" ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::INTERNAL,
                             secret("grpc-message") + variant, secret("status-details")));
  };
  legacy_.set_script(failing("L"));
  new_.set_script(failing("N"));
  EXPECT_EQ(get("shady", secret("business-key"), metadata).status.error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(wait_traces(2)) << shadow_metrics();

  // Calls that are refused, by what they carry.
  get("shady", "P-1", {{"x-tenant-id", secret("second-tenant")}});
  get(secret("tenant-nobody-named"), "P-1");
  call(channel_, "/not.There/" + secret("method"), "m");
  endorse("shady", {{"x-ficus-shadow", "1"}, {"authorization", secret("authorization")}});

  EXPECT_GE(traces().at(0).differences_size(), 4);
  expect_nowhere({"response-metadata", "trailers", "field", "map-key", "map-value", "authorization", "binary-metadata",
                  "cookie", "business-key", "override-token", "wrong-token", "upstream-key", "inline-metadata",
                  "grpc-message", "status-details", "second-tenant", "tenant-nobody-named", "method"});
}

TEST_F(SecretsTest, EqualValuesHaveEqualHashesAndDifferentOnesDifferentHashes) {
  legacy_.set_script(answer({policy_response("P-1", 1, "same")}));
  new_.set_script(answer({policy_response("P-1", 1, "other")}));
  start_shadowing();
  expect_read("P-1");
  expect_read("P-1");
  ASSERT_TRUE(wait_traces(2));
  const auto got = traces();
  EXPECT_EQ(got[0].differences(0).legacy(), got[1].differences(0).legacy());
  EXPECT_NE(got[0].differences(0).legacy(), got[0].differences(0).new_());
  EXPECT_EQ(got[0].differences(0).legacy().rfind("string:4:", 0), 0u) << got[0].differences(0).legacy();
  EXPECT_EQ(got[0].key_digest(), got[1].key_digest());
}

TEST_F(SecretsTest, RedactTakesBackWhatPlainShows) {
  const std::string notes = secret("notes");
  legacy_.set_script(answer({policy_response("P-1", 11, notes + "1")}));
  new_.set_script(answer({policy_response("P-1", 22, notes + "2")}));
  TwoSided planted = parts();
  planted.rules = shady("percent: 100");
  planted.inquiry_extra += "    compare: {values: plain, redact: [\"policy.notes\"]}\n";
  start(planted, with_control());
  expect_read("P-1");
  ASSERT_TRUE(wait_traces(1));
  EXPECT_NE(mismatch_log().find("\"11\""), std::string::npos) << mismatch_log();
  expect_nowhere({"notes"});
}

TEST_F(SecretsTest, FilesWithTracesAndKeysAreTheOwnersAlone) {
  legacy_.set_script(answer({policy_response("P-1", 1)}));
  new_.set_script(answer({policy_response("P-1", 2)}));
  start_shadowing();
  expect_read("P-1");
  ASSERT_TRUE(wait_traces(1));
  EXPECT_EQ(mode_of(out_.path("mismatches.jsonl")), 0600);
  EXPECT_EQ(mode_of(out_.path("redact.key")), 0600);
}

TEST_F(SecretsTest, AFullDiskCostsTracesAndNoCall) {
  legacy_.set_script(answer({policy_response("P-1", 1)}));
  new_.set_script(answer({policy_response("P-1", 2)}));
  TwoSided shadowed = parts();
  shadowed.rules = shady("percent: 100");
  start(shadowed, {.flags = {"--mismatch-log", "/dev/full"}});
  for (int i = 0; i < 5; ++i) expect_read("P-1");
  EXPECT_TRUE(wait_verdict("mismatch", 5)) << shadow_metrics();
  EXPECT_TRUE(ficus_->wait_metric("ficus_traces_total", {{"outcome", "dropped"}}, 1))
      << ficus_->metrics().print("ficus_traces");
}

}  // namespace
}  // namespace ficus::e2e
