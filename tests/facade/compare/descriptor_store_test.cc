#include "facade/compare/descriptor_store.h"

#include <thread>

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/schema_fixture.h"

namespace ficus {
namespace {

using test::descriptor_set;
using test::kService;
using test::test_protos;
using test::test_store;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Sources = std::vector<std::pair<std::string, std::string>>;

TEST(DescriptorStoreTest, MethodsAreFoundWithTheirKind) {
  const auto store = test_store();
  EXPECT_TRUE(store->has_service(kService));
  EXPECT_FALSE(store->has_service("testing.Servic"));
  EXPECT_FALSE(store->has_service("testing.Answer"));
  EXPECT_THAT(store->methods_of(kService), ElementsAre("Get", "Old", "Watch", "Send"));
  EXPECT_THAT(store->methods_of("nobody"), IsEmpty());
  EXPECT_FALSE(store->find_method(kService, "get").has_value());
  EXPECT_FALSE(store->find_method("nobody", "Get").has_value());
  struct Case {
    const char* method;
    bool client_streaming, server_streaming;
    Idempotency idempotency;
  };
  for (const Case& c :
       {Case{"Get", false, false, Idempotency::kNoSideEffects}, Case{"Old", false, false, Idempotency::kUnknown},
        Case{"Watch", false, true, Idempotency::kUnknown}, Case{"Send", true, false, Idempotency::kIdempotent}}) {
    const auto info = store->find_method(kService, c.method);
    ASSERT_TRUE(info.has_value()) << c.method;
    EXPECT_EQ(info->client_streaming, c.client_streaming) << c.method;
    EXPECT_EQ(info->server_streaming, c.server_streaming) << c.method;
    EXPECT_EQ(info->idempotency, c.idempotency) << c.method;
  }
}

TEST(DescriptorStoreTest, SetsMayRepeatOneAnotherButNotDiffer) {
  const std::string all = descriptor_set(test_protos());
  const std::string part = descriptor_set({test_protos()[0]});
  EXPECT_TRUE(DescriptorStore::open({{"a.pb", all}, {"b.pb", part}, {"c.pb", all}}).has_value());

  Sources changed = {test_protos()[1]};
  changed[0].second.insert(changed[0].second.rfind("extend"), "message Another { }\n");
  const auto got = DescriptorStore::open({{"a.pb", all}, {"b.pb", descriptor_set(changed)}});
  ASSERT_FALSE(got.has_value());
  ASSERT_EQ(got.error().size(), 1u);
  EXPECT_EQ(got.error()[0].name, "b.pb");
  EXPECT_THAT(got.error()[0].message, HasSubstr("\"testing/old.proto\" is defined otherwise in a.pb"));
}

TEST(DescriptorStoreTest, CommentsDoNotMakeAFileAnother) {
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(descriptor_set(test_protos())));
  set.mutable_file(0)->mutable_source_code_info()->add_location()->set_leading_comments("hello");
  EXPECT_TRUE(
      DescriptorStore::open({{"a.pb", descriptor_set(test_protos())}, {"b.pb", set.SerializeAsString()}}).has_value());
}

TEST(DescriptorStoreTest, ImportsOfOneSetMayStandInAnother) {
  EXPECT_TRUE(DescriptorStore::open({{"service.pb", descriptor_set({test_protos()[2]})},
                                     {"types.pb", descriptor_set({test_protos()[0], test_protos()[1]})}})
                  .has_value());
}

TEST(DescriptorStoreTest, EachProblemIsNamedWithWhatToDo) {
  const std::string proto3 = "syntax = \"proto3\"; package p; ";
  struct Case {
    const char* name;
    std::vector<SchemaFile> files;
    std::vector<std::string> want;  // one an error
  };
  const Case cases[] = {
      {"not protobuf", {{"a.pb", "\xff\xff"}}, {"is not a FileDescriptorSet; make it with: protoc --include_imports"}},
      {"a .proto source",
       {{"a.pb", "syntax = \"proto3\";\nmessage A { }\n"}},
       {"is not a FileDescriptorSet; make it with: protoc"}},
      {"empty", {{"a.pb", ""}}, {"holds no files; make it with: protoc"}},
      {"import left out",
       {{"a.pb", descriptor_set({test_protos()[2]})}},
       {"testing/service.proto: imports \"testing/answer.proto\", which the set does not hold; make it with: protoc "
        "--include_imports",
        "testing/service.proto: imports \"testing/old.proto\", which the set does not hold"}},
      {"two files, one symbol",
       {{"a.pb", descriptor_set({{"a.proto", proto3 + "message M { }"}})},
        {"b.pb", descriptor_set({{"b.proto", proto3 + "message M { }"}})}},
       {"b.proto: p.M: \"p.M\" is already defined in file \"a.proto\"."}},
      {"type nobody defines",
       {{"a.pb", descriptor_set({{"a.proto", proto3 + "message M { Nobody n = 1; }"}})}},
       {"a.proto: p.M.n: \"Nobody\" is not defined."}},
      {"imports in a circle",
       {{"a.pb",
         descriptor_set({{"a.proto", proto3 + "import \"b.proto\";"}, {"b.proto", proto3 + "import \"a.proto\";"}})}},
       {"b.proto: imports \"a.proto\", which imports it in turn"}},
      {"all bad files at once", {{"a.pb", "\xff"}, {"b.pb", ""}}, {"is not a FileDescriptorSet", "holds no files"}},
  };
  for (const Case& c : cases) {
    const auto got = DescriptorStore::open(c.files);
    ASSERT_FALSE(got.has_value()) << c.name;
    std::vector<std::string> messages;
    for (const SchemaError& error : got.error()) messages.push_back(error.message);
    ASSERT_EQ(messages.size(), c.want.size()) << c.name << ": " << testing::PrintToString(messages);
    for (std::size_t i = 0; i < messages.size(); ++i) EXPECT_THAT(messages[i], HasSubstr(c.want[i])) << c.name;
  }
}

TEST(DescriptorStoreTest, WellKnownTypesAreBuiltInWhateverASetSaysOfThem) {
  // A set of another compiler's year: its timestamp.proto has a field that ours has not.
  const std::string odd = descriptor_set({{"google/protobuf/timestamp.proto",
                                           "syntax = \"proto3\"; package google.protobuf; message Timestamp { int64 "
                                           "seconds = 1; int32 nanos = 2; string zone = 3; }"},
                                          {"a.proto",
                                           "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message A "
                                           "{ google.protobuf.Timestamp at = 1; }"}});
  const auto store = DescriptorStore::open({{"a.pb", odd}});
  ASSERT_TRUE(store.has_value()) << store.error()[0].message;
  EXPECT_EQ((*store)->find_type("google.protobuf.Timestamp")->field_count(), 2);
}

TEST(DescriptorStoreTest, KeyPathsAreResolvedToFieldNumbers) {
  const auto store = test_store();
  struct Case {
    const char* dotted;
    std::vector<std::uint32_t> numbers;
    KeyLeaf leaf;
    const char* error;
  };
  const Case cases[] = {
      {"policy_number", {1}, KeyLeaf::kBytes, ""},
      {"nested.id", {2, 7}, KeyLeaf::kFixed64, ""},
      {"nested.again.again.id", {2, 8, 8, 7}, KeyLeaf::kFixed64, ""},
      {"status", {5}, KeyLeaf::kInt32, ""},
      {"zig", {7}, KeyLeaf::kSint64, ""},
      {"flag", {8}, KeyLeaf::kBool, ""},
      {"maybe", {9}, KeyLeaf::kBytes, ""},
      {"number", {}, {}, "\"number\" of testing.Request is in the oneof \"by\", where another member may take its place"},
      {"holder.id", {}, {}, "\"holder\" of testing.Request is in the oneof \"by\""},
      {"no_such", {}, {}, "no field \"no_such\" in testing.Request"},
      {"nested.no_such", {}, {}, "no field \"no_such\" in testing.Nested"},
      {"policyNumber", {}, {}, "no field \"policyNumber\""},
      {"names", {}, {}, "\"names\" of testing.Request is repeated"},
      {"labels", {}, {}, "\"labels\" of testing.Request is a map"},
      {"ratio", {}, {}, "is a double"},
      {"nested", {}, {}, "is a message; name one of its fields"},
      {"policy_number.x", {}, {}, "has no fields of its own"},
      {"", {}, {}, "no field \"\""},
      {"nested.", {}, {}, "no field \"\" in testing.Nested"},
  };
  for (const Case& c : cases) {
    const auto got = store->resolve_request_key(kService, "Get", c.dotted);
    if (*c.error != '\0') {
      ASSERT_FALSE(got.has_value()) << c.dotted;
      EXPECT_THAT(got.error(), HasSubstr(c.error)) << c.dotted;
    } else {
      ASSERT_TRUE(got.has_value()) << c.dotted << ": " << got.error();
      EXPECT_EQ(got->field_numbers, c.numbers) << c.dotted;
      EXPECT_EQ(got->leaf, c.leaf) << c.dotted;
    }
  }
  EXPECT_FALSE(store->resolve_request_key(kService, "Nope", "policy_number").has_value());
}

TEST(DescriptorStoreTest, PatternsAreJudgedAgainstTheResponse) {
  const auto store = test_store();
  struct Case {
    const char* pattern;
    const char* method;
    bool has, has_list;
  };
  const Case cases[] = {
      {"policy.number", "Get", true, false},
      {"policy.nmuber", "Get", false, false},
      {"number", "Get", false, false},
      {"policy.endorsements", "Get", true, true},
      {"policy.endorsements.premium.amount", "Get", true, false},
      {"policy.endorsements.parts.parts.parts.tags", "Get", true, true},
      {"**.updated_at", "Get", true, false},
      {"**.tags", "Get", true, true},
      {"**.nothing", "Get", false, false},
      {"**", "Get", true, true},
      {"*", "Get", true, true},
      {"policy.*.amount", "Get", true, false},
      {"policy.*.*.*.*.updated_at", "Get", true, false},
      {"policy.premium.**", "Get", true, false},
      {"policy.premium.**.seconds", "Get", true, false},
      {"policy.premium.**.parts", "Get", false, false},
      {"policy.labels", "Get", true, false},
      {"policy.labels[eu]", "Get", true, false},
      {"policy.number[eu]", "Get", false, false},
      {"policy.amounts.amount", "Get", true, false},
      {"policy.amounts[a].amount", "Get", true, false},
      {"policy.labels.value", "Get", false, false},
      {"detail.amount", "Get", true, false},             // of a Money
      {"detail.endorsements.tags", "Get", true, true},   // of a Policy
      {"detail.type_url", "Get", true, false},
      {"detail.whatever", "Get", false, false},
      {"done.more", "Get", false, false},
      {"nested.nested.nested.policy.riders", "Get", true, true},
      {"remark", "Old", true, false},
      {"scores", "Old", true, true},
      {"box.marks", "Old", true, true},
      {"row", "Old", true, true},
      {"policy", "Old", false, false},
      {"policy.number", "NoSuchMethod", false, false},
  };
  for (const Case& c : cases) {
    const auto pattern = PathPattern::parse(c.pattern);
    ASSERT_TRUE(pattern.has_value()) << c.pattern;
    EXPECT_EQ(store->response_has(kService, c.method, *pattern), c.has) << c.pattern;
    EXPECT_EQ(store->response_has_repeated(kService, c.method, *pattern), c.has_list) << c.pattern;
  }
}

TEST(DescriptorStoreTest, KnowsWhatAListCanBeMatchedByAndWhatIsMeasured) {
  const auto store = test_store();
  const auto pattern = [](const char* text) { return *PathPattern::parse(text); };
  struct Keyed {
    const char *pattern, *by;
    bool has;
  };
  for (const Keyed& c :
       {Keyed{"policy.endorsements", "id", true}, Keyed{"policy.endorsements", "tags", false},
        Keyed{"policy.endorsements", "premium", false}, Keyed{"policy.endorsements", "nothing", false},
        Keyed{"policy.premium", "amount", false}, Keyed{"numbers", "id", false}, Keyed{"policy.amounts", "key", false},
        Keyed{"details", "type_url", true}, Keyed{"**", "id", true}}) {
    EXPECT_EQ(store->response_has_keyed(kService, "Get", pattern(c.pattern), c.by), c.has) << c.pattern << ' ' << c.by;
  }
  struct Measured {
    const char* pattern;
    bool number, time;
  };
  for (const Measured& c : {Measured{"ratio", true, false}, Measured{"numbers", true, false},
                            Measured{"done", false, false}, Measured{"policy.status", false, false},
                            Measured{"policy.number", false, false}, Measured{"policy.updated_at", false, true},
                            Measured{"policy.updated_at.seconds", true, false}, Measured{"policy.flags", true, false},
                            Measured{"policy.flags[true]", true, false}, Measured{"policy.labels[a]", false, false},
                            Measured{"policy.premium", false, false}, Measured{"**", true, true}}) {
    EXPECT_EQ(store->response_has_measure(kService, "Get", pattern(c.pattern), Measure::kNumber), c.number)
        << c.pattern;
    EXPECT_EQ(store->response_has_measure(kService, "Get", pattern(c.pattern), Measure::kTime), c.time) << c.pattern;
  }
}

TEST(DescriptorStoreTest, ManyThreadsReadOneStore) {
  const auto opened = DescriptorStore::open({{"testing.pb", descriptor_set(test_protos())}});
  ASSERT_TRUE(opened.has_value());
  const auto& store = *opened;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto message = store->new_message(store->response_type(kService, i % 2 == 0 ? "Get" : "Old"));
        EXPECT_TRUE(message->ParsePartialFromString(message->SerializePartialAsString()));
        EXPECT_TRUE(store->find_method(kService, "Watch").has_value());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ficus
