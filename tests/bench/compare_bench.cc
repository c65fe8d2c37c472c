// What a comparison costs: equal and unequal answers, with and without rules. Prints time and allocations a comparison.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include <benchmark/benchmark.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include "facade/compare/response_diff.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// Counted; not inlined, since g++ then takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ficus {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptorProto;

constexpr int kFields = 100;
constexpr int kEntries = 50;

void add_field(pb::DescriptorProto& type, const std::string& name, int number, FieldDescriptorProto::Type kind,
               bool repeated = false, const std::string& type_name = {}) {
  FieldDescriptorProto& field = *type.add_field();
  field.set_name(name);
  field.set_number(number);
  field.set_type(kind);
  field.set_label(repeated ? FieldDescriptorProto::LABEL_REPEATED : FieldDescriptorProto::LABEL_OPTIONAL);
  if (!type_name.empty()) field.set_type_name(type_name);
}

// bench.Service/Get -> Answer {Wide wide; repeated Wide list; string text}; Wide has 100 strings and integers.
std::shared_ptr<const DescriptorStore> bench_store() {
  pb::FileDescriptorSet set;
  pb::FileDescriptorProto& file = *set.add_file();
  file.set_name("bench.proto");
  file.set_package("bench");
  file.set_syntax("proto3");
  pb::DescriptorProto& wide = *file.add_message_type();
  wide.set_name("Wide");
  for (int i = 1; i <= kFields; ++i) {
    add_field(wide, "field_" + std::to_string(i), i,
              i % 2 == 0 ? FieldDescriptorProto::TYPE_INT64 : FieldDescriptorProto::TYPE_STRING);
  }
  pb::DescriptorProto& answer = *file.add_message_type();
  answer.set_name("Answer");
  add_field(answer, "wide", 1, FieldDescriptorProto::TYPE_MESSAGE, false, ".bench.Wide");
  add_field(answer, "list", 2, FieldDescriptorProto::TYPE_MESSAGE, true, ".bench.Wide");
  add_field(answer, "text", 3, FieldDescriptorProto::TYPE_STRING);
  pb::ServiceDescriptorProto& service = *file.add_service();
  service.set_name("Service");
  pb::MethodDescriptorProto& method = *service.add_method();
  method.set_name("Get");
  method.set_input_type(".bench.Answer");
  method.set_output_type(".bench.Answer");
  auto store = DescriptorStore::open({{"bench.pb", set.SerializeAsString()}});
  if (!store) std::abort();
  return *store;
}

void fill(pb::Message& wide, int salt) {
  const pb::Reflection& r = *wide.GetReflection();
  for (int i = 1; i <= kFields; ++i) {
    const pb::FieldDescriptor* field = wide.GetDescriptor()->FindFieldByNumber(i);
    if (i % 2 == 0)
      r.SetInt64(&wide, field, i + salt);
    else
      r.SetString(&wide, field, "value " + std::to_string(i + salt));
  }
}

Observation answer(Side side, const std::string& bytes) {
  Observation out;
  out.side = side;
  out.messages.push_back({bytes, false});
  return out;
}

std::unique_ptr<pb::Message> new_answer(const DescriptorStore& store) {
  return store.new_message(store.find_type("bench.Answer"));
}
pb::Message* child(pb::Message& answer, const char* name, bool add) {
  const pb::FieldDescriptor* field = answer.GetDescriptor()->FindFieldByName(name);
  return add ? answer.GetReflection()->AddMessage(&answer, field)
             : answer.GetReflection()->MutableMessage(&answer, field);
}

std::vector<PathRule> rules(std::initializer_list<const char*> texts) {
  std::vector<PathRule> out;
  for (const char* text : texts) {
    PathRule rule;
    rule.path = *PathPattern::parse(text);
    out.push_back(std::move(rule));
  }
  return out;
}

void run(benchmark::State& state, const std::string& legacy_bytes, const std::string& new_bytes,
         const CompareSpec& spec, Verdict want) {
  static const auto store = bench_store();
  const Observation legacy = answer(Side::kLegacy, legacy_bytes);
  const Observation fresh = answer(Side::kNew, new_bytes);
  const std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  const std::uint64_t before = allocations.load();
  for (auto _ : state) {
    const Comparison got = diff_responses(legacy, fresh, "bench.Service", "Get", spec, store.get(), {}, now);
    if (got.verdict != want) state.SkipWithError("another verdict");
    benchmark::DoNotOptimize(&got);
  }
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(allocations.load() - before), benchmark::Counter::kAvgIterations);
  state.counters["bytes"] = static_cast<double>(legacy_bytes.size());
}

void EqualBytesOf1KB(benchmark::State& state) {
  const std::string bytes(1024, 'x');
  run(state, bytes, bytes, {}, Verdict::kMatch);
}
BENCHMARK(EqualBytesOf1KB);

std::string wide_answer(int salt) {
  static const auto store = bench_store();
  const auto message = new_answer(*store);
  fill(*child(*message, "wide", false), salt);
  return message->SerializeAsString();
}

// Two answers alike but for one field, which a rule ignores: what most shadowed calls cost.
void OneIgnoredFieldOf100(benchmark::State& state) {
  static const auto store = bench_store();
  const auto message = new_answer(*store);
  pb::Message* wide = child(*message, "wide", false);
  fill(*wide, 0);
  const std::string legacy = message->SerializeAsString();
  wide->GetReflection()->SetInt64(wide, wide->GetDescriptor()->FindFieldByNumber(50), -1);
  CompareSpec spec;
  spec.ignore = rules({"**.updated_at", "wide.field_1", "wide.field_50"});
  run(state, legacy, message->SerializeAsString(), spec, Verdict::kIgnored);
}
BENCHMARK(OneIgnoredFieldOf100);

void AllOf100FieldsDiffer(benchmark::State& state) {
  run(state, wide_answer(0), wide_answer(1), {}, Verdict::kMismatch);
}
BENCHMARK(AllOf100FieldsDiffer);

void AllOf100FieldsDifferUnderTenRules(benchmark::State& state) {
  CompareSpec spec;
  spec.ignore = rules({"**.updated_at", "wide.field_3", "*.field_4", "list.**.id", "**.note"});
  spec.critical = rules({"wide.field_5", "wide.premium.**"});
  spec.minor = rules({"wide.field_6", "**.notes"});
  spec.plain = rules({"wide.field_7"});
  run(state, wide_answer(0), wide_answer(1), spec, Verdict::kMismatch);
}
BENCHMARK(AllOf100FieldsDifferUnderTenRules);

std::string list_answer(bool backwards) {
  static const auto store = bench_store();
  const auto message = new_answer(*store);
  for (int i = 0; i < kEntries; ++i) fill(*child(*message, "list", true), backwards ? kEntries - i : i + 1);
  return message->SerializeAsString();
}

void FiftyUnorderedEntriesOf100Fields(benchmark::State& state) {
  CompareSpec spec;
  spec.unordered = rules({"list"});
  run(state, list_answer(false), list_answer(true), spec, Verdict::kIgnored);
}
BENCHMARK(FiftyUnorderedEntriesOf100Fields);

}  // namespace
}  // namespace ficus

BENCHMARK_MAIN();
