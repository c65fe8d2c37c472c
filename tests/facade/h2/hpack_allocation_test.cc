// That the steady state asks malloc for nothing. A program of its own: it counts every malloc.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"
#include "tests/support/sanitizers.h"

#if !FICUS_SANITIZER_OWNS_MALLOC

namespace {
std::uint64_t allocations = 0;
}  // namespace

extern "C" void* __libc_malloc(std::size_t bytes) noexcept;
// operator new asks malloc too: both are counted here.
extern "C" void* malloc(std::size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}

namespace ficus {
namespace {

void append_string(std::string& block, std::string_view text) {
  block += static_cast<char>(text.size());
  block += text;
}
// A literal with incremental indexing.
void append_entry(std::string& block, std::string_view name, std::string_view value) {
  block += '\x40';
  append_string(block, name);
  append_string(block, value);
}

struct Relay {
  HpackDecoder decoder;
  HpackEncoder encoder;
  OutBlockPool pool;
  OutBuffer out{pool};

  // One call's head in, and out again as a relay changes it.
  void pass(std::string_view block) {
    HeaderBlock head;
    ASSERT_EQ(decoder.decode(block, true, 65536, head), HpackDecoder::Outcome::kOk);
    HeaderBlock copy = head.clone();
    copy.set("grpc-timeout", "99m");
    copy.add_copy("x-ficus-side", "legacy");
    copy.remove("te");
    out.clear();
    encoder.encode(copy, out);
  }
};

const std::string& first_head() {
  static const std::string kBlock = [] {
    std::string block = "\x83\x86";
    append_entry(block, ":path", "/insurance.Policies/Get");
    append_entry(block, ":authority", "policies.example:8443");
    append_entry(block, "content-type", "application/grpc");
    append_entry(block, "user-agent", "grpc-c++/1.51.1 grpc-c/29.0.0 (linux; chttp2)");
    append_entry(block, "te", "trailers");
    append_entry(block, "grpc-timeout", "100m");
    append_entry(block, "grpc-accept-encoding", "identity, deflate, gzip");
    return block;
  }();
  return kBlock;
}

TEST(HpackAllocationTest, TheCounterCounts) {
  const std::uint64_t before = allocations;
  delete new std::string(100, 'x');
  EXPECT_GE(allocations, before + 2);
}

TEST(HpackAllocationTest, AHeadThatTheTablesKnowAllocatesNothing) {
  Relay relay;
  relay.pass(first_head());
  const std::string_view again = "\x83\x86\xc4\xc3\xc2\xc1\xc0\xbf\xbe";
  for (int i = 0; i < 10; ++i) relay.pass(again);
  const std::uint64_t before = allocations;
  for (int i = 0; i < 1000; ++i) relay.pass(again);
  EXPECT_EQ(allocations, before);
}

TEST(HpackAllocationTest, ANewEntryWithEveryCallAllocatesNothing) {
  Relay relay;
  relay.pass(first_head());
  const auto head = [](int i) {
    std::string block = "\x83\x86";
    append_entry(block, "x-request-id", std::to_string(1'000'000 + i));
    append_entry(block, "traceparent",
                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033" + std::to_string(10 + i % 90) + "-01");
    return block;
  };
  std::vector<std::string> heads;
  for (int i = 0; i < 2000; ++i) heads.push_back(head(i));
  // Two rounds of the same ids: the second puts some into the encoder's table.
  for (int i = 0; i < 500; ++i)
    relay.pass(heads[static_cast<std::size_t>(i)]), relay.pass(heads[static_cast<std::size_t>(i)]);
  const std::uint64_t before = allocations;
  for (int i = 500; i < 2000; ++i)
    relay.pass(heads[static_cast<std::size_t>(i)]), relay.pass(heads[static_cast<std::size_t>(i)]);
  EXPECT_EQ(allocations, before);
}

TEST(HpackAllocationTest, HuffmanLiteralsAllocateNothing) {
  Relay relay;
  // ":authority: www.example.com", Huffman coded: with indexing, and without.
  const std::string block = std::string("\x83\x86\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 16) +
                            std::string("\x01\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 14);
  for (int i = 0; i < 300; ++i) relay.pass(block);
  const std::uint64_t before = allocations;
  for (int i = 0; i < 1000; ++i) relay.pass(block);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace ficus

#else
TEST(HpackAllocationTest, DISABLED_SanitizersReplaceMalloc) {}
#endif
