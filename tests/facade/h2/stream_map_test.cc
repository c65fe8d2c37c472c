#include "facade/h2/stream_map.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <vector>

#include "facade/h2/h2_stream.h"

namespace ficus {
namespace {

struct AStream : H2StreamBase {
  explicit AStream(ChunkPool& pool) : H2StreamBase(pool) {}
};

class StreamMapTest : public ::testing::Test {
 protected:
  H2StreamBase* stream() { return &streams_.emplace_back(pool_); }
  // What `map` visits, by how often.
  static std::map<const H2StreamBase*, int> visited(const StreamMap& map) {
    std::map<const H2StreamBase*, int> out;
    map.for_each([&](const H2StreamBase& stream) { ++out[&stream]; });
    return out;
  }
  ChunkPool pool_;
  std::deque<AStream> streams_;
  StreamMap map_;
};

TEST_F(StreamMapTest, AnEmptyMapHasNothingAndEndsNothing) {
  EXPECT_EQ(map_.find(1), nullptr);
  EXPECT_EQ(map_.any(), nullptr);
  map_.erase(1);
  EXPECT_EQ(map_.size(), 0U);
  EXPECT_TRUE(visited(map_).empty());
}

TEST_F(StreamMapTest, ErasingAnIdThatIsNotThereChangesNothing) {
  H2StreamBase* one = stream();
  map_.insert(1, one);
  map_.erase(3);
  map_.erase(0xFFFF'FFFF);
  EXPECT_EQ(map_.find(1), one);
  EXPECT_EQ(map_.size(), 1U);
}

TEST_F(StreamMapTest, AMapThatGaveItsMemoryBackTakesStreamsAgain) {
  for (std::uint32_t id = 1; id < 200; id += 2) map_.insert(id, stream());
  for (std::uint32_t id = 1; id < 200; id += 2) map_.erase(id);
  map_.release();
  EXPECT_EQ(map_.find(1), nullptr);
  H2StreamBase* last = stream();
  map_.insert(0x7FFF'FFFF, last);
  EXPECT_EQ(map_.find(0x7FFF'FFFF), last);
}

// Ids as a connection draws them (up by two, ended in any order), and ids of any kind.
TEST_F(StreamMapTest, WhateverIsInsertedAndErasedItHoldsWhatAnOrderedMapHolds) {
  std::mt19937 random(9113);
  for (int round = 0; round < 200; ++round) {
    StreamMap map;
    std::map<std::uint32_t, H2StreamBase*> model;
    std::uint32_t next = 1;
    const std::size_t most = 1 + random() % 300;
    const bool ascending = round % 2 == 0;
    for (int step = 0; step < 1500; ++step) {
      if (model.size() < most && (model.empty() || random() % 2 == 0)) {
        const std::uint32_t id = ascending ? next : 1 + (random() & 0x7FFF'FFFE);
        next += 2;
        if (model.contains(id)) continue;
        map.insert(id, model[id] = stream());
      } else {
        auto victim = model.lower_bound(static_cast<std::uint32_t>(random()) % (next + 1));
        if (victim == model.end()) victim = model.begin();
        map.erase(victim->first);
        EXPECT_EQ(map.find(victim->first), nullptr);
        model.erase(victim);
      }
      ASSERT_EQ(map.size(), model.size());
      EXPECT_EQ(map.any() == nullptr, model.empty());
    }
    for (const auto& [id, stream] : model) ASSERT_EQ(map.find(id), stream) << "round " << round << ", id " << id;
    const auto seen = visited(map);
    ASSERT_EQ(seen.size(), model.size());
    for (const auto& [id, stream] : model) ASSERT_TRUE(seen.contains(stream) && seen.at(stream) == 1) << "id " << id;
    streams_.clear();
  }
}

}  // namespace
}  // namespace ficus
