#include "facade/h2/byte_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace ficus {
namespace {

std::string drain(ByteQueue& queue, std::size_t most = ~std::size_t{0}) {
  std::string out;
  while (!queue.empty() && out.size() < most) {
    const std::string_view piece = queue.front(most - out.size());
    EXPECT_FALSE(piece.empty());
    out += piece;
    queue.pop(piece.size());
  }
  return out;
}

TEST(ByteQueueTest, GivesBackWhatWasPutInInOrder) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    ChunkPool pool;
    ByteQueue queue(pool);
    std::string put, got;
    for (int step = 0; step < 60; ++step) {
      std::string piece(random() % 40'000, static_cast<char>('a' + step % 26));
      queue.append(piece);
      put += piece;
      got += drain(queue, random() % 50'000);
      ASSERT_EQ(queue.size(), put.size() - got.size());
    }
    got += drain(queue);
    ASSERT_EQ(got, put);
    EXPECT_TRUE(queue.empty());
    EXPECT_TRUE(queue.front(10).empty());
  }
}

TEST(ByteQueueTest, WhatIsKeptCanBeReadAgain) {
  ChunkPool pool;
  ByteQueue queue(pool);
  queue.keep(64 * 1024);
  const std::string request(40'000, 'r');
  queue.append(request);
  EXPECT_EQ(drain(queue, 25'000).size(), 25'000u);
  ASSERT_TRUE(queue.complete());
  queue.rewind();
  EXPECT_EQ(drain(queue), request);
  queue.append("tail");
  ASSERT_TRUE(queue.complete());
  queue.rewind();
  EXPECT_EQ(drain(queue), request + "tail");
}

TEST(ByteQueueTest, KeepingEndsAboveItsLimit) {
  ChunkPool pool;
  ByteQueue queue(pool);
  queue.keep(64 * 1024);
  queue.append(std::string(60'000, 'a'));
  EXPECT_EQ(drain(queue).size(), 60'000u);
  EXPECT_TRUE(queue.complete());
  queue.append(std::string(10'000, 'b'));
  EXPECT_FALSE(queue.complete());
  EXPECT_EQ(drain(queue), std::string(10'000, 'b'));
}

TEST(ByteQueueTest, AnUnreadQueueIsCompleteWithoutKeeping) {
  ChunkPool pool;
  ByteQueue queue(pool);
  queue.append("x");
  EXPECT_TRUE(queue.complete());
  drain(queue);
  EXPECT_FALSE(queue.complete());
}

}  // namespace
}  // namespace ficus
