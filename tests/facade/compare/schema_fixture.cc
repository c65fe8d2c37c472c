#include "tests/facade/compare/schema_fixture.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace ficus::test {
namespace {

namespace pb = google::protobuf;

class FailTest : public pb::io::ErrorCollector {
 public:
  explicit FailTest(std::string what) : what_(std::move(what)) {}
  void AddError(int line, int column, const std::string& message) override {
    ADD_FAILURE() << what_ << ':' << line + 1 << ':' << column + 1 << ": " << message;
  }

 private:
  std::string what_;
};

}  // namespace

std::string descriptor_set(const std::vector<std::pair<std::string, std::string>>& files) {
  pb::FileDescriptorSet set;
  for (const auto& [name, source] : files) {
    FailTest errors(name);
    pb::io::ArrayInputStream stream(source.data(), static_cast<int>(source.size()));
    pb::io::Tokenizer tokenizer(&stream, &errors);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    pb::FileDescriptorProto& file = *set.add_file();
    parser.Parse(&tokenizer, &file);
    file.set_name(name);
  }
  return set.SerializeAsString();
}

const std::vector<std::pair<std::string, std::string>>& test_protos() {
  static const std::vector<std::pair<std::string, std::string>> protos = {
      {"testing/answer.proto", R"(
        syntax = "proto3";
        package testing;
        import "google/protobuf/any.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        enum Status { STATUS_UNSPECIFIED = 0; ACTIVE = 1; CANCELLED = 2; }
        message Money { int64 amount = 1; string currency = 2; google.protobuf.Timestamp updated_at = 3; }
        message Endorsement {
          string id = 1; Money premium = 2; google.protobuf.Timestamp updated_at = 3; repeated string tags = 4;
          repeated Endorsement parts = 5; string note = 6;
        }
        message Policy {
          string number = 1; Status status = 2; Money premium = 3; Money deductible = 4;
          repeated Endorsement endorsements = 5; repeated Endorsement riders = 6; map<string, string> labels = 7;
          map<string, Money> amounts = 8; string notes = 9; google.protobuf.Timestamp updated_at = 10;
          map<int32, string> years = 11; map<bool, int32> flags = 12;
        }
        message Answer {
          Policy policy = 1; google.protobuf.Any detail = 2; repeated google.protobuf.Any details = 3;
          optional int32 count = 4; double ratio = 5; float small = 6; bytes raw = 7; bool done = 8; uint64 big = 9;
          oneof outcome { string accepted = 10; Money refund = 11; int32 code = 12; }
          repeated int32 numbers = 13; repeated double ratios = 14; Answer nested = 15; repeated Status statuses = 16;
          google.protobuf.Int32Value boxed = 17; sint32 signed = 18; fixed32 fixed = 19; optional Money maybe = 20;
          optional double maybe_ratio = 21; repeated bytes blobs = 22;
        }
        message AnswerWithMore { Policy policy = 1; string hidden = 100; int64 also_hidden = 101; }
        message Request { string policy_number = 1; Nested nested = 2; repeated string names = 3; double ratio = 4;
                          Status status = 5; map<string, string> labels = 6; sint64 zig = 7; bool flag = 8;
                          optional string maybe = 9;
                          oneof by { string number = 10; Nested holder = 11; } }
        message Nested { fixed64 id = 7; Nested again = 8; }
      )"},
      {"testing/old.proto", R"(
        syntax = "proto2";
        package testing;
        enum Colour { RED = 1; BLUE = 2; }
        message OldAnswer {
          required string name = 1;
          optional int32 limit = 2 [default = 10];
          optional Colour colour = 3 [default = BLUE];
          optional group Box = 4 { optional int32 width = 1; repeated string marks = 2; }
          repeated group Row = 5 { optional int32 cell = 1; }
          optional string text = 6 [default = "hello"];
          optional double ratio = 7 [default = nan];
          repeated int32 packed = 8 [packed = true];
          extensions 100 to 199;
        }
        extend OldAnswer { optional string remark = 100; repeated int32 scores = 101; }
      )"},
      {"testing/service.proto", R"(
        syntax = "proto3";
        package testing;
        import "testing/answer.proto";
        import "testing/old.proto";
        service Service {
          rpc Get(Request) returns (Answer) { option idempotency_level = NO_SIDE_EFFECTS; }
          rpc Old(Request) returns (OldAnswer);
          rpc Watch(Request) returns (stream Answer);
          rpc Send(stream Request) returns (Answer) { option idempotency_level = IDEMPOTENT; }
        }
      )"},
  };
  return protos;
}

std::shared_ptr<const DescriptorStore> test_store() {
  static const std::shared_ptr<const DescriptorStore> store = [] {
    auto opened = DescriptorStore::open({{"testing.pb", descriptor_set(test_protos())}});
    if (!opened) {
      for (const SchemaError& error : opened.error()) ADD_FAILURE() << error.name << ": " << error.message;
      return std::shared_ptr<const DescriptorStore>();
    }
    return *opened;
  }();
  return store;
}

std::unique_ptr<pb::Message> message_of(const DescriptorStore& store, const std::string& type,
                                        const std::string& text) {
  auto message = store.new_message(store.find_type(type));
  FailTest errors(text);
  pb::TextFormat::Parser parser;
  parser.AllowPartialMessage(true);
  parser.RecordErrorsTo(&errors);
  // The only two hosts that text format takes apart, written short.
  std::string full = text;
  for (const auto& [brief, host] :
       {std::pair("[x/", "[type.googleapis.com/"), std::pair("[y/", "[type.googleprod.com/")}) {
    for (std::size_t at = 0; (at = full.find(brief, at)) != std::string::npos;) full.replace(at, 3, host);
  }
  parser.ParseFromString(full, message.get());
  return message;
}

std::string wire_of(const DescriptorStore& store, const std::string& type, const std::string& text) {
  return message_of(store, type, text)->SerializePartialAsString();
}

std::vector<PathRule> paths(std::initializer_list<std::string_view> texts) {
  std::vector<PathRule> out;
  for (const std::string_view text : texts) {
    auto pattern = PathPattern::parse(text);
    EXPECT_TRUE(pattern.has_value()) << text << ": " << (pattern ? "" : pattern.error());
    PathRule rule;
    if (pattern) rule.path = *pattern;
    rule.reason = "because a test says so";
    out.push_back(std::move(rule));
  }
  return out;
}

Observation answered(Side side, std::vector<std::string> messages, GrpcCode status) {
  Observation out;
  out.side = side;
  out.grpc_status = status;
  out.upstream = side == Side::kLegacy ? "policy-legacy" : "policy-new";
  for (std::string& bytes : messages) {
    out.message_bytes += bytes.size();
    out.messages.push_back({std::move(bytes), false});
  }
  return out;
}

Comparison diff(const Observation& legacy, const Observation& fresh, std::string_view method, const CompareSpec& rules,
                const DescriptorStore* store, const CompareLimits& limits) {
  return diff_responses(legacy, fresh, kService, method, rules, store, limits,
                        [] { return std::chrono::steady_clock::time_point{}; });
}

Comparison diff_texts(const std::string& legacy, const std::string& fresh, const CompareSpec& rules,
                      std::string_view method) {
  const auto store = test_store();
  const std::string type = store->response_type(kService, method)->full_name();
  return diff(answered(Side::kLegacy, {wire_of(*store, type, legacy)}),
              answered(Side::kNew, {wire_of(*store, type, fresh)}), method, rules, store.get());
}

std::vector<std::string> summary(const Comparison& comparison) {
  std::vector<std::string> out;
  for (const Difference& d : comparison.differences) {
    const std::string path = path_text(d, [](const FieldStep& step, const StepDetail&) { return step.map_key; });
    out.push_back(std::string(to_string(d.kind)) + ' ' + path + ' ' + std::string(to_string(d.severity)));
  }
  return out;
}

}  // namespace ficus::test
