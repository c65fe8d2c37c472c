// What the section parsers read with: a Value (a node with the way to it), Fields (a mapping with known keys), and
// walks over lists and free mappings. Everything that is wrong goes to one Report; reading goes on.
// Values live on the stack and point to the value that holds them: a child never outlives its parent.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/built_fields.h"
#include "routing/diagnostic.h"
#include "routing/policy_parse_values.h"
#include "routing/policy_parse_yaml.h"

namespace ficus::parsing {

// Collects diagnostics, at most a few thousand of them; counts the rest.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  void add(const DiagnosticCode& code, Mark mark, std::string yaml_path, std::string message, std::string hint);
  // Whether more would only be counted: long loops over a hopeless file stop here.
  bool full() const { return collected_.size() >= kCollected; }
  // Errors so far, warnings not counted.
  std::size_t errors() const { return errors_; }

  // Sorted by place, without repeats (a value behind an anchor is read once for each alias), at most kShown; errors
  // are kept before warnings, and a last one says how many are left out.
  std::vector<Diagnostic> take();

  static constexpr std::size_t kCollected = 5000;
  static constexpr std::size_t kShown = 100;

 private:
  std::string file_;
  std::vector<Diagnostic> collected_;
  std::size_t uncollected_ = 0;
  std::size_t errors_ = 0;
};

class Value {
 public:
  // The document's root.
  Value(const YamlTree& tree, Report& report);

  YamlNode::Kind kind() const { return node().kind; }  // never kAlias
  Mark mark() const { return mark_; }                  // for an alias: where the alias stands
  std::string path() const;                            // "rules[3].reads.canary.percent"
  // Reports something about this value.
  void complain(const DiagnosticCode& code, std::string message, std::string hint = {}) const;
  void complain(const ValueProblem& problem) const { complain(*problem.code, problem.message, problem.hint); }
  // The same about a part of it, or about its key, that stands elsewhere.
  void complain_at(Mark mark, const ValueProblem& problem) const;

  // The text of a single value. Reports lists, mappings and empty texts.
  std::optional<std::string_view> text() const;
  // `parse` of the text, reporting what it reports.
  template <class Parse>
  auto read(Parse parse) const -> std::optional<typename decltype(parse(std::string_view()))::value_type>;

  // Calls `each` for every item of a list. Reports what is no list, an empty list, and items without a value.
  // `like` shows how it is written, for the hint.
  void each_item(std::string_view like, const std::function<void(const Value& item)>& each) const;
  // Calls `each` for every entry of a mapping whose keys are the user's. Reports what is no mapping, an empty one,
  // keys that are no text or stand twice, and keys without a value.
  void each_entry(std::string_view like, const std::function<void(const Text& key, const Value& value)>& each) const;
  bool is_list() const { return kind() == YamlNode::Kind::kSequence; }
  bool is_mapping() const { return kind() == YamlNode::Kind::kMapping; }
  bool is_text() const { return kind() == YamlNode::Kind::kScalar; }
  bool is_empty_text() const { return is_text() && node().count == 0; }  // "", which text() reports

 private:
  friend class Fields;
  Value(const Value& parent, std::uint32_t node, std::string_view key, std::uint32_t index, Mark key_mark);
  const YamlNode& node() const { return tree_->nodes[node_]; }
  std::uint32_t link(std::uint32_t i) const { return tree_->links[node().first + i]; }
  bool is_filled_mapping(std::string_view like) const;
  // The keys of this mapping, in order; absent where a key is no text. Reports those, and keys that stand twice (the
  // first stays).
  std::vector<std::optional<Text>> judged_keys() const;
  void complain_kind(std::string_view wanted, std::string_view like) const;

  const YamlTree* tree_;
  Report* report_;
  const Value* parent_ = nullptr;
  std::uint32_t node_;
  Mark mark_;
  std::string_view key_;     // in the parent's mapping; empty data() for an item
  std::uint32_t index_ = 0;  // in the parent's list
};

// A mapping with known keys. What is asked for is known; finish() reports all other keys.
class Fields {
 public:
  // `like` shows how such a mapping is written, for the hint when `value` is none.
  Fields(const Value& value, std::string_view like);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  ~Fields() { finish(); }

  // Absent: the key is missing, or has no value (which is reported).
  std::optional<Value> get(std::string_view key);
  // The same; a missing key is reported.
  std::optional<Value> need(std::string_view key);
  bool has(std::string_view key) const;
  // Reports the key, if given, as not built yet; `instead` says what to do.
  void not_yet(std::string_view key, std::string_view instead);
  // get() of a field that is built, not_yet() of another.
  std::optional<Value> get(const LanguageField& field);

  const Value& value() const { return value_; }
  bool is_mapping() const { return is_mapping_; }
  Mark mark() const { return value_.mark(); }
  // Reports something about a key itself. Precondition: has(key).
  void complain_at_key(const DiagnosticCode& code, std::string_view key, std::string message, std::string hint) const;
  // The last key of the mapping as written; empty if it is no text.
  std::string_view last_key() const { return last_key_; }

  // get() and need() with a parser: sets `out` when the value is good.
  template <class T, class Parse>
  void get(std::string_view key, std::optional<At<T>>& out, Parse parse);
  template <class T, class Parse>
  void get(const LanguageField& field, std::optional<At<T>>& out, Parse parse);
  template <class T, class Parse>
  void need(std::string_view key, At<T>& out, Parse parse);

 private:
  struct Entry {
    std::string_view key;
    Mark key_mark;
    std::uint32_t node;
    bool taken;
  };
  Entry* find(std::string_view key);
  void finish();

  Value value_;
  bool is_mapping_ = false;
  std::vector<Entry> entries_;
  std::vector<std::string_view> known_;
  std::string_view last_key_;
};

// A parser of one of several words, for Value::read and Fields::get: `from_text` is the vocabulary's, `words` are all
// it takes.
template <class T>
auto word_of(std::optional<T> (*from_text)(std::string_view), std::vector<std::string_view> words);

// What parse_word reports when `text` is none of `words`.
ValueProblem unknown_word(std::string_view text, const std::vector<std::string_view>& words);

// ---- templates ----
template <class Parse>
auto Value::read(Parse parse) const -> std::optional<typename decltype(parse(std::string_view()))::value_type> {
  const std::optional<std::string_view> given = text();
  if (!given) return std::nullopt;
  auto parsed = parse(*given);
  if (parsed) return *std::move(parsed);
  complain(parsed.error());
  return std::nullopt;
}

template <class T, class Parse>
void Fields::get(std::string_view key, std::optional<At<T>>& out, Parse parse) {
  const std::optional<Value> given = get(key);
  if (!given) return;
  if (auto parsed = given->read(parse)) out = At<T>{static_cast<T>(*std::move(parsed)), given->mark()};
}

template <class T, class Parse>
void Fields::get(const LanguageField& field, std::optional<At<T>>& out, Parse parse) {
  if (field.built) return get(field.key, out, parse);
  not_yet(field.key, field.instead);
}

template <class T, class Parse>
void Fields::need(std::string_view key, At<T>& out, Parse parse) {
  const std::optional<Value> given = need(key);
  if (!given) return;
  if (auto parsed = given->read(parse)) out = At<T>{static_cast<T>(*std::move(parsed)), given->mark()};
}

template <class T>
auto word_of(std::optional<T> (*from_text)(std::string_view), std::vector<std::string_view> words) {
  return [from_text, words = std::move(words)](std::string_view text) -> Parsed<T> {
    for (std::string_view word : words) {
      if (word == text) return *from_text(text);
    }
    return fail(unknown_word(text, words));
  };
}

}  // namespace ficus::parsing
