// Where a walk over a message stands: the FieldPath that rules are matched against, and what a report adds to it.
// One walk, one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "facade/compare/comparison.h"

namespace ficus {

class PathCursor {
 public:
  // Goes one field down, and up again when it goes out of scope.
  class Step {
   public:
    // Extensions go by their short name, groups by their field's.
    Step(PathCursor& cursor, const google::protobuf::FieldDescriptor* field) : Step(cursor, field->name()) {}
    // An unknown field goes by its number.
    Step(PathCursor& cursor, std::string name) : cursor_(cursor) {
      cursor_.path_.push_back({std::move(name), false, {}});
      cursor_.details_.emplace_back();
    }
    ~Step() {
      cursor_.path_.pop_back();
      cursor_.details_.pop_back();
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    PathCursor& cursor_;
  };

  // Goes into an Any's payload: no step of the path, but one more message around it.
  class Payload {
   public:
    explicit Payload(PathCursor& cursor) : cursor_(cursor) { ++cursor_.payloads_; }
    ~Payload() { --cursor_.payloads_; }
    Payload(const Payload&) = delete;
    Payload& operator=(const Payload&) = delete;

   private:
    PathCursor& cursor_;
  };

  // The entry of a list, or of a map, that the walk is at within the deepest step.
  void at_index(std::int64_t index) { details_.back().index = index; }
  void at_key(const std::string& key, const std::string& type) {
    path_.back().has_map_key = true;
    path_.back().map_key = key;
    details_.back().key_type = type;
  }
  // At the list or map as a whole again.
  void at_whole() {
    path_.back().has_map_key = false;
    path_.back().map_key.clear();
    details_.back() = {};
  }

  const FieldPath& path() const { return path_; }
  const std::vector<StepDetail>& details() const { return details_; }
  // How many messages are around the one the walk is in.
  int depth() const { return static_cast<int>(path_.size()) + payloads_; }

 private:
  FieldPath path_;
  std::vector<StepDetail> details_;
  int payloads_ = 0;
};

}  // namespace ficus
