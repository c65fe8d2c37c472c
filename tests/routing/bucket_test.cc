#include "routing/bucket.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ficus {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

DigestKind kind_named(const std::string& name) {
  return name == "tenant" ? DigestKind::kTenant : name == "consumer" ? DigestKind::kConsumer : DigestKind::kKey;
}

TEST(BucketTest, AgreesWithVectorsMadeByTheReferenceLibrary) {
  std::ifstream file(FICUS_SOURCE_DIR "/routing/testdata/bucket.tsv");
  ASSERT_TRUE(file.is_open());
  int rows = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream columns(line);
    std::string kind, value, digest_hex, salt, purpose, seed_hex;
    std::uint32_t bucket = 0;
    columns >> kind >> value >> digest_hex >> salt >> purpose >> seed_hex >> bucket;
    ASSERT_TRUE(columns) << line;
    ++rows;
    const Digest digest = digest_of(kind_named(kind), from_hex(value));
    EXPECT_EQ(digest.value, std::stoull(digest_hex, nullptr, 16)) << line;
    const ShareSeed seed = share_seed_of(salt, purpose == "canary" ? SharePurpose::kCanary : SharePurpose::kShadow);
    EXPECT_EQ(seed.value, std::stoull(seed_hex, nullptr, 16)) << line;
    EXPECT_EQ(bucket_of(digest, seed), bucket) << line;
  }
  EXPECT_GT(rows, 250);
}

TEST(BucketTest, OneValueOfTwoKindsHasTwoDigests) {
  EXPECT_NE(digest_of(DigestKind::kTenant, "acme"), digest_of(DigestKind::kConsumer, "acme"));
  EXPECT_NE(digest_of(DigestKind::kTenant, "acme"), digest_of(DigestKind::kKey, "acme"));
}

TEST(BucketTest, KindAndValueCannotRunIntoOneAnother) {
  EXPECT_NE(digest_of(DigestKind::kKey, ""), digest_of(DigestKind::kKey, std::string_view("\0", 1)));
  EXPECT_NE(share_seed_of("a", SharePurpose::kCanary), share_seed_of(std::string_view("a\0", 2), SharePurpose::kCanary));
}

TEST(BucketTest, ShareOfZeroTakesNoBucketAndOfHundredTakesAll) {
  for (const std::uint32_t bucket : {0u, 1u, 499'999u, 999'999u}) {
    EXPECT_FALSE(in_share(bucket, Percent{0}));
    EXPECT_TRUE(in_share(bucket, Percent{Percent::kFull}));
  }
  EXPECT_TRUE(in_share(49'999, Percent{50'000}));
  EXPECT_FALSE(in_share(50'000, Percent{50'000}));
}

TEST(BucketTest, RaisingAShareNeverMovesAnyoneOutOfIt) {
  const ShareSeed seed = share_seed_of("policy-inquiry", SharePurpose::kCanary);
  for (int i = 0; i < 2'000; ++i) {
    const std::uint32_t bucket = bucket_of(digest_of(DigestKind::kKey, "P-" + std::to_string(i)), seed);
    bool was_in = false;
    for (std::uint32_t millionths = 0; millionths <= Percent::kFull; millionths += 12'500) {
      const bool now_in = in_share(bucket, Percent{millionths});
      EXPECT_TRUE(now_in || !was_in) << i << " at " << millionths;
      was_in = now_in;
    }
    EXPECT_TRUE(was_in);
  }
}

// The number of keys in a share of n keys lies within 5 standard deviations of what it should be. The keys are fixed,
// so this passes always or never.
TEST(BucketTest, SharesHoldAboutWhatTheySay) {
  constexpr int kKeys = 40'000;
  for (const char* salt : {"a", "policy-inquiry", "z"}) {
    const ShareSeed seed = share_seed_of(salt, SharePurpose::kCanary);
    for (const double percent : {0.5, 1.0, 5.0, 33.3, 50.0, 90.0}) {
      const Percent share{static_cast<std::uint32_t>(percent * 10'000)};
      int in = 0;
      for (int i = 0; i < kKeys; ++i) {
        in += in_share(bucket_of(digest_of(DigestKind::kKey, "P-" + std::to_string(i)), seed), share);
      }
      const double p = percent / 100;
      EXPECT_NEAR(in, kKeys * p, 5 * std::sqrt(kKeys * p * (1 - p))) << salt << " " << percent;
    }
  }
}

// Chi-square over the 10 x 10 table of (canary decile, shadow decile): 81 degrees of freedom, mean 81, standard
// deviation 12.7. If the two picks nested, as with one random number for both, it would be in the hundred thousands.
TEST(BucketTest, CanaryAndShadowAreIndependent) {
  constexpr int kKeys = 100'000;
  const ShareSeed canary = share_seed_of("policy-inquiry", SharePurpose::kCanary);
  const ShareSeed shadow = share_seed_of("policy-inquiry", SharePurpose::kShadow);
  std::vector<int> cells(100);
  for (int i = 0; i < kKeys; ++i) {
    const Digest digest = digest_of(DigestKind::kKey, "P-" + std::to_string(i));
    ++cells[bucket_of(digest, canary) / 100'000 * 10 + bucket_of(digest, shadow) / 100'000];
  }
  std::vector<double> row(10), column(10);
  for (int i = 0; i < 100; ++i) {
    row[static_cast<std::size_t>(i / 10)] += cells[static_cast<std::size_t>(i)];
    column[static_cast<std::size_t>(i % 10)] += cells[static_cast<std::size_t>(i)];
  }
  double chi_square = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const double expected = row[i / 10] * column[i % 10] / kKeys;
    chi_square += (cells[i] - expected) * (cells[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 81 + 5 * 12.7);
}

TEST(BucketTest, SaltReshuffles) {
  const ShareSeed a = share_seed_of("a", SharePurpose::kCanary);
  const ShareSeed b = share_seed_of("b", SharePurpose::kCanary);
  int both = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Digest digest = digest_of(DigestKind::kKey, "P-" + std::to_string(i));
    both += in_share(bucket_of(digest, a), Percent{100'000}) && in_share(bucket_of(digest, b), Percent{100'000});
  }
  EXPECT_NEAR(both, 200, 5 * std::sqrt(200.0));
}

}  // namespace
}  // namespace ficus
