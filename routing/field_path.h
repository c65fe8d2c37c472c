// Paths of fields in messages: patterns as a policy writes them ("**.updated_at", "policy.premium.**",
// "policy.labels[key]") and concrete paths as a comparison reports them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routing/result.h"

namespace ficus {

// What protobuf takes for the name of a field, a method or a part of a package (language specification, "Letters and
// digits"), in any locale. Any thread; no allocation.
bool is_identifier(std::string_view text) noexcept;

// One step of a concrete path. Indices of repeated fields are no steps ("[] is implied"); a map entry's key is part
// of the step: {"labels", has_map_key, "eu"}.
struct FieldStep {
  std::string name;
  bool has_map_key = false;
  std::string map_key;
  bool operator==(const FieldStep&) const = default;
};
using FieldPath = std::vector<FieldStep>;

class PathPattern {
 public:
  struct Step {
    enum class Kind { kName, kAnyOne, kAnyNumber } kind = Kind::kName;  // name, `*`, `**`
    std::string name;
    bool has_map_key = false;  // false on a map field's step: any entry
    std::string map_key;
    bool operator==(const Step&) const = default;
  };

  // Error: a sentence saying what is wrong ("empty step", "'**' beside '**'", "unclosed '['", "not a field name").
  static Result<PathPattern, std::string> parse(std::string_view text);

  // Whether the pattern takes this very field. "premium.**" takes "premium" itself too (`**` is any number, none
  // included). O(pattern x path) at worst; no allocation. Any thread.
  bool matches(const FieldPath& path) const noexcept;

  // Whether it takes this field or a parent of it, that is, whether the field lies in what the pattern names. This is
  // what `ignore`, `plain`, `redact` and `severity` mean: a message named is named whole.
  bool covers(const FieldPath& path) const noexcept;

  const std::vector<Step>& steps() const { return steps_; }
  const std::string& text() const { return text_; }
  bool operator==(const PathPattern& that) const { return steps_ == that.steps_; }

 private:
  std::vector<Step> steps_;
  std::string text_;
};

// "policy.endorsements.premium.amount", "policy.labels[eu].note".
std::string to_string(const FieldPath& path);

}  // namespace ficus
