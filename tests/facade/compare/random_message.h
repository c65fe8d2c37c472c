// Random messages of any type, through reflection: few values of each kind, so that equal ones are common.
#pragma once

#include <memory>
#include <random>
#include <string>

#include <google/protobuf/message.h>

#include "facade/compare/descriptor_store.h"

namespace ficus::test {

struct RandomMessageOptions {
  bool real_oneofs = true;      // members of oneofs other than proto3's `optional`
  bool negative_zero = true;
  bool unknown_fields = true;
  int depth = 4;
};

class RandomMessages {
 public:
  RandomMessages(const DescriptorStore& store, std::uint32_t seed, RandomMessageOptions options = {})
      : store_(store), random_(seed), options_(options) {}

  std::unique_ptr<google::protobuf::Message> make(const std::string& type);
  // Changes a few fields, at any depth; possibly to what they were.
  void change(google::protobuf::Message& message);
  // Shuffles lists and maps' wire order.
  void shuffle(google::protobuf::Message& message);

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }
  std::mt19937& random() { return random_; }

 private:
  void fill(google::protobuf::Message& message, int depth);
  void set(google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field, int depth);
  void set_any(google::protobuf::Message& any, int depth);
  void add_unknown(google::protobuf::Message& message);

  const DescriptorStore& store_;
  std::mt19937 random_;
  RandomMessageOptions options_;
};

// The same message in another order of fields on the wire: fields of different numbers change places.
std::string reordered(const std::string& wire, std::mt19937& random);

}  // namespace ficus::test
