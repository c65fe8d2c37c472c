// What header compression costs: a typical gRPC head in, out, and through. Prints time and allocations a block, and
// time a field.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"

namespace {
std::uint64_t allocations = 0;
}  // namespace

// Counts operator new's too: it asks malloc.
extern "C" void* __libc_malloc(std::size_t bytes) noexcept;
extern "C" void* malloc(std::size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}

namespace ficus {
namespace {

constexpr std::size_t kListLimit = 65536;

// Twelve fields, as a gRPC client with some metadata sends them.
HeaderBlock grpc_head() {
  HeaderBlock head;
  head.add_static(":method", "POST");
  head.add_static(":scheme", "http");
  head.add_static(":path", "/insurance.policy.v1.Policies/GetPolicy");
  head.add_static(":authority", "policies.example:8443");
  head.add_static("te", "trailers");
  head.add_static("content-type", "application/grpc");
  head.add_static("user-agent", "grpc-c++/1.51.1 grpc-c/29.0.0 (linux; chttp2)");
  head.add_static("grpc-accept-encoding", "identity, deflate, gzip");
  head.add_static("accept-encoding", "identity");
  head.add_static("x-tenant", "north");
  head.add_static("x-consumer", "portal");
  head.add_static("x-region", "eu-central-1");
  return head;
}

std::string_view text_of(const OutBuffer& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A decoder that knows the head, the block that names it, and the head as that decoder gives it.
struct Warm {
  HpackDecoder decoder;
  OutBlockPool pool;
  OutBuffer block{pool};

  Warm() {
    HpackEncoder encoder;
    const HeaderBlock head = grpc_head();
    for (int i = 0; i < 3; ++i) {
      block.clear();
      encoder.encode(head, block);
      read();
    }
  }
  HeaderBlock read() {
    HeaderBlock into;
    if (decoder.decode(text_of(block), true, kListLimit, into) != HpackDecoder::Outcome::kOk) std::abort();
    return into;
  }
};

void count(benchmark::State& state, std::uint64_t before, std::size_t fields) {
  const auto blocks = static_cast<double>(state.iterations());
  state.counters["allocations"] = static_cast<double>(allocations - before) / blocks;
  state.counters["per_field"] = benchmark::Counter(blocks * static_cast<double>(fields),
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_DecodeIndexed(benchmark::State& state) {
  Warm warm;
  const std::size_t fields = warm.read().fields().size();
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    HeaderBlock head = warm.read();
    benchmark::DoNotOptimize(head);
  }
  count(state, before, fields);
}
BENCHMARK(BM_DecodeIndexed);

// Fields that share a decoder's texts, as a relay passes them on.
void BM_EncodeShared(benchmark::State& state) {
  Warm warm;
  const HeaderBlock head = warm.read();
  HpackEncoder encoder;
  OutBlockPool pool;
  OutBuffer out(pool);
  for (int i = 0; i < 3; ++i) encoder.encode(head, out);
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    out.clear();
    encoder.encode(head, out);
    benchmark::DoNotOptimize(out.data());
  }
  count(state, before, head.fields().size());
}
BENCHMARK(BM_EncodeShared);

// Fields that we made: their hashes are worked out each time.
void BM_EncodeMade(benchmark::State& state) {
  const HeaderBlock head = grpc_head();
  HpackEncoder encoder;
  OutBlockPool pool;
  OutBuffer out(pool);
  for (int i = 0; i < 3; ++i) encoder.encode(head, out);
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    out.clear();
    encoder.encode(head, out);
    benchmark::DoNotOptimize(out.data());
  }
  count(state, before, head.fields().size());
}
BENCHMARK(BM_EncodeMade);

// In, copied, a value set, out.
void BM_Relay(benchmark::State& state) {
  Warm warm;
  HpackEncoder encoder;
  OutBlockPool pool;
  OutBuffer out(pool);
  for (int i = 0; i < 3; ++i) encoder.encode(warm.read(), out);
  const std::uint64_t before = allocations;
  for (auto _ : state) {
    const HeaderBlock head = warm.read();
    HeaderBlock on = head.clone();
    on.add_copy("grpc-timeout", "100m");
    out.clear();
    encoder.encode(on, out);
    benchmark::DoNotOptimize(out.data());
  }
  count(state, before, warm.read().fields().size() + 1);
}
BENCHMARK(BM_Relay);

// One literal that enters the table with each block, Huffman coded or not: :authority www.example.com.
void BM_DecodeNewEntry(benchmark::State& state) {
  const std::string block = state.range(0) != 0
                                ? std::string("\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 14)
                                : std::string("\x41\x0fwww.example.com");
  HpackDecoder decoder;
  const auto read = [&] {
    HeaderBlock into;
    if (decoder.decode(block, true, kListLimit, into) != HpackDecoder::Outcome::kOk) std::abort();
    benchmark::DoNotOptimize(into);
  };
  for (int i = 0; i < 1000; ++i) read();
  const std::uint64_t before = allocations;
  for (auto _ : state) read();
  count(state, before, 1);
}
BENCHMARK(BM_DecodeNewEntry)->ArgName("huffman")->Arg(0)->Arg(1);

}  // namespace
}  // namespace ficus

BENCHMARK_MAIN();
