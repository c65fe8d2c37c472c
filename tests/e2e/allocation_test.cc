// That a call in the steady state asks for no memory: every allocation of the worker's thread of a real ficus is counted
// while calls with a tenant, a consumer, a rule, a share and a trace context go through it in cleartext.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/two_sided_fixture.h"
#include "tests/support/count_allocations.h"

namespace ficus::e2e {
namespace {

class AllocationTest : public TwoSidedTest {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer brings an allocator of its own";
    const std::string path = out_.path("counts");
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    ASSERT_EQ(::ftruncate(file, sizeof(AllocationCounts)), 0);
    void* mapped = ::mmap(nullptr, sizeof(AllocationCounts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    ASSERT_NE(mapped, MAP_FAILED);
    counts_ = static_cast<AllocationCounts*>(mapped);
    start(parts(), {.environment = {{"LD_PRELOAD", FICUS_COUNT_ALLOCATIONS}, {"FICUS_ALLOCATION_COUNTS", path}}});
  }
  ~AllocationTest() override {
    if (counts_ != nullptr) ::munmap(counts_, sizeof(AllocationCounts));
  }
  // Of the threads whose names begin so; nullopt if there is none that has allocated.
  std::optional<std::uint64_t> allocations_of(const std::string& name) const {
    std::optional<std::uint64_t> sum;
    for (int i = 0; i < std::min(counts_->threads.load(), kCountedThreads); ++i) {
      std::ifstream comm("/proc/" + std::to_string(ficus_->pid()) + "/task/" +
                         std::to_string(counts_->of[i].thread.load()) + "/comm");
      std::string of;
      std::getline(comm, of);
      if (of.starts_with(name)) sum = sum.value_or(0) + counts_->of[i].allocations.load();
    }
    return sum;
  }
  void make_calls(int count, const std::string& tenant) {
    for (int i = 0; i < count; ++i) {
      const UnaryReply reply = get(tenant, "P-" + std::to_string(i % 100),
                                   {{"x-consumer-id", "portal"},
                                    {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
      ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
    }
  }
  // The steady state is reached when pools, header tables, buffers and label sets have grown to what the calls need; how
  // many calls that takes hangs on what the client's encoder sends when. It must come, and in it nothing is allocated.
  void expect_none(const std::string& tenant) {
    constexpr int kCallsARound = 250, kRounds = 12, kQuietRounds = 2;
    int quiet = 0;
    std::string seen;
    for (int round = 0; round < kRounds && quiet < kQuietRounds; ++round) {
      const auto before = allocations_of("worker").value_or(0);
      ASSERT_NO_FATAL_FAILURE(make_calls(kCallsARound, tenant));
      const auto after = allocations_of("worker");
      ASSERT_TRUE(after) << "no thread of ficus is called worker: nothing was counted";
      seen += " " + std::to_string(*after - before);
      quiet = *after == before ? quiet + 1 : 0;
    }
    EXPECT_EQ(quiet, kQuietRounds) << "allocations in each round of " << kCallsARound << " calls:" << seen;
  }

  const TempDir out_;
  AllocationCounts* counts_ = nullptr;
};

TEST_F(AllocationTest, ANewConnectionIsSeenByTheCounter) {
  ASSERT_NO_FATAL_FAILURE(make_calls(1, "acme"));
  const auto before = allocations_of("worker");
  ASSERT_TRUE(before);
  channel_ = make_channel(ficus_->address());
  ASSERT_NO_FATAL_FAILURE(make_calls(1, "acme"));
  EXPECT_GT(allocations_of("worker"), before);
}

TEST_F(AllocationTest, AReadByARuleAllocatesNothing) { expect_none("acme"); }

TEST_F(AllocationTest, AReadWhoseKeyIsSoughtForACanaryAllocatesNothing) { expect_none("pilot"); }

TEST_F(AllocationTest, ACallThatNoRuleTakesAllocatesNothing) { expect_none("nobody"); }

}  // namespace
}  // namespace ficus::e2e
