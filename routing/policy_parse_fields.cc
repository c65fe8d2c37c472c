#include "routing/policy_parse_fields.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

// "tenants", and ["with space"] where a dot or space in the key would make the path ambiguous.
void append_key(std::string& path, std::string_view key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (plain && !key.empty()) {
    if (!path.empty()) path += '.';
    path += key;
  } else {
    path += '[' + in_quotes(key) + ']';
  }
}

std::string hint_like(std::string_view like) {
  return like.empty() ? std::string() : "write it like " + std::string(like);
}

}  // namespace

// ---- Report ----

void Report::add(const DiagnosticCode& code, Mark mark, std::string yaml_path, std::string message, std::string hint) {
  if (code.code.front() != 'W') ++errors_;
  if (full()) {
    ++uncollected_;
    return;
  }
  Diagnostic diagnostic;
  diagnostic.code = code.code;
  diagnostic.level = code.code.front() == 'W' ? DiagnosticLevel::kWarning : DiagnosticLevel::kError;
  diagnostic.file = file_;
  diagnostic.mark = mark;
  diagnostic.yaml_path = std::move(yaml_path);
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  collected_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> Report::take() {
  std::vector<Diagnostic> all = std::move(collected_);
  collected_.clear();
  const auto key = [](const Diagnostic& d) { return std::tie(d.mark, d.code, d.message); };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  all.erase(std::unique(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) == key(b); }),
            all.end());
  if (all.size() <= kShown && uncollected_ == 0) return all;

  // Errors decide whether the policy is refused: no warning may push one out.
  std::stable_partition(all.begin(), all.end(), [](const auto& d) { return d.level == DiagnosticLevel::kError; });
  const std::size_t shown = std::min(all.size(), kShown);
  const std::size_t more = all.size() - shown + uncollected_;
  all.resize(shown);
  sort_by_mark(all);
  Diagnostic rest;
  rest.code = codes::kMoreDiagnostics.code;
  rest.level = has_error(all) ? DiagnosticLevel::kError : DiagnosticLevel::kWarning;
  rest.file = file_;
  rest.mark = all.back().mark;
  rest.message = "and " + std::to_string(more) + " more";
  rest.hint = "mend these first";
  all.push_back(std::move(rest));
  return all;
}

// ---- Value ----

Value::Value(const YamlTree& tree, Report& report) : tree_(&tree), report_(&report), node_(tree.root) {
  mark_ = node().mark;
}

Value::Value(const Value& parent, std::uint32_t node_index, std::string_view key, std::uint32_t index, Mark key_mark)
    : tree_(parent.tree_), report_(parent.report_), parent_(&parent), node_(node_index), key_(key), index_(index) {
  mark_ = node().mark;
  if (node().kind == YamlNode::Kind::kAlias) node_ = node().first;
  if (mark_.line == 0) mark_ = key_mark;
}

std::string Value::path() const {
  std::vector<const Value*> way;
  for (const Value* value = this; value->parent_ != nullptr; value = value->parent_) way.push_back(value);
  std::string path;
  for (auto step = way.rbegin(); step != way.rend(); ++step) {
    if ((*step)->key_.data() != nullptr) {
      append_key(path, (*step)->key_);
    } else {
      path += '[' + std::to_string((*step)->index_) + ']';
    }
  }
  return path;
}

void Value::complain(const DiagnosticCode& code, std::string message, std::string hint) const {
  report_->add(code, mark_, report_->full() ? std::string() : path(), std::move(message), std::move(hint));
}

void Value::complain_at(Mark mark, const ValueProblem& problem) const {
  report_->add(*problem.code, mark, report_->full() ? std::string() : path(), problem.message, problem.hint);
}

void Value::complain_kind(std::string_view wanted, std::string_view like) const {
  const char* const given = is_list() ? "a list" : is_mapping() ? "a mapping" : "a single value";
  const std::string what = key_.data() != nullptr ? in_quotes(key_) + " takes " : "here belongs ";
  complain(codes::kWrongKind, what + std::string(wanted) + ", and this is " + given, hint_like(like));
}

std::optional<std::string_view> Value::text() const {
  if (!is_text()) {
    complain_kind("a single value", key_.data() != nullptr ? std::string(key_) + ": VALUE" : "");
    return std::nullopt;
  }
  if (node().count == 0) {
    complain(codes::kEmpty, "this value is empty", "give it one, or leave the key out");
    return std::nullopt;
  }
  return tree_->text_of(node());
}

void Value::each_item(std::string_view like, const std::function<void(const Value&)>& each) const {
  if (!is_list()) return complain_kind("a list", like);
  const std::uint32_t count = node().count;
  if (count == 0) {
    return complain(codes::kEmpty, "this list is empty", "leave the key out, or name something");
  }
  for (std::uint32_t i = 0; i < count && !report_->full(); ++i) {
    const Value item(*this, link(i), std::string_view(), i, mark_);
    if (item.kind() == YamlNode::Kind::kNull) {
      item.complain(codes::kEmpty, "item " + std::to_string(i + 1) + " of this list has no value",
                    "take it out, or quote it if it is a text");
    } else {
      each(item);
    }
  }
}

bool Value::is_filled_mapping(std::string_view like) const {
  if (!is_mapping()) {
    complain_kind("a mapping", like);
    return false;
  }
  if (node().count == 0) {
    complain(codes::kEmpty, "this mapping is empty", "leave the key out, or give it a value");
    return false;
  }
  return true;
}

std::vector<std::optional<Text>> Value::judged_keys() const {
  std::vector<std::optional<Text>> keys;
  keys.reserve(node().count / 2);
  std::unordered_set<std::string_view> seen;
  for (std::uint32_t i = 0; i + 1 < node().count && !report_->full(); i += 2) {
    const Value key(*this, link(i), std::string_view(), 0, mark_);
    const auto complain_here = [&](const DiagnosticCode& code, std::string message, std::string hint) {
      report_->add(code, key.mark(), path(), std::move(message), std::move(hint));
    };
    keys.emplace_back();
    if (key.kind() == YamlNode::Kind::kNull) {
      complain_here(codes::kWrongKind, "a key must be a text", "quote it if it is meant");
    } else if (!key.is_text()) {
      complain_here(codes::kWrongKind, "a key must be a single text", "");
    } else {
      const std::string_view text = tree_->text_of(key.node());
      if (!seen.insert(text).second) {
        complain_here(codes::kDuplicateKey, "the key " + in_quotes(text) + " stands here a second time",
                      "keep one of them");
      } else {
        keys.back() = Text{std::string(text), key.mark()};
      }
    }
  }
  return keys;
}

void Value::each_entry(std::string_view like, const std::function<void(const Text&, const Value&)>& each) const {
  if (!is_filled_mapping(like)) return;
  const std::vector<std::optional<Text>> keys = judged_keys();
  for (std::uint32_t i = 0; i < keys.size() && !report_->full(); ++i) {
    if (!keys[i]) continue;
    const Value value(*this, link(2 * i + 1), keys[i]->value, 0, keys[i]->mark);
    if (value.kind() == YamlNode::Kind::kNull) {
      report_->add(codes::kEmpty, keys[i]->mark, value.path(), in_quotes(keys[i]->value) + " has no value",
                   "give it one, or take the key out");
    } else {
      each(*keys[i], value);
    }
  }
}

// ---- Fields ----

Fields::Fields(const Value& value, std::string_view like) : value_(value), is_mapping_(value.is_filled_mapping(like)) {
  if (!is_mapping_) return;
  const std::vector<std::optional<Text>> keys = value_.judged_keys();
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    last_key_ = {};
    if (!keys[i]) continue;
    // The tree's own text, which outlives `keys`.
    const Value key(value_, value_.link(2 * i), std::string_view(), 0, value_.mark());
    entries_.push_back({value_.tree_->text_of(key.node()), keys[i]->mark, value_.link(2 * i + 1), false});
    last_key_ = entries_.back().key;
  }
}

Fields::Entry* Fields::find(std::string_view key) {
  known_.push_back(key);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

bool Fields::has(std::string_view key) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
}

void Fields::complain_at_key(const DiagnosticCode& code, std::string_view key, std::string message,
                             std::string hint) const {
  for (const Entry& entry : entries_) {
    if (entry.key != key) continue;
    const Value value(value_, entry.node, entry.key, 0, entry.key_mark);
    value_.report_->add(code, entry.key_mark, value.path(), std::move(message), std::move(hint));
  }
}

std::optional<Value> Fields::get(std::string_view key) {
  Entry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  entry->taken = true;
  const Value value(value_, entry->node, entry->key, 0, entry->key_mark);
  if (value.kind() != YamlNode::Kind::kNull) return value;
  value_.report_->add(codes::kEmpty, entry->key_mark, value.path(), in_quotes(key) + " has no value",
                      "give it one, or take the key out");
  return std::nullopt;
}

std::optional<Value> Fields::need(std::string_view key) {
  if (is_mapping_ && !has(key)) {
    value_.complain(codes::kMissingKey, "the key " + in_quotes(key) + " is missing here",
                    "add it: " + std::string(key) + ": ...");
  }
  return get(key);
}

void Fields::not_yet(std::string_view key, std::string_view instead) {
  Entry* const entry = find(key);
  known_.pop_back();  // nobody should be led to it by a did-you-mean
  if (entry == nullptr) return;
  entry->taken = true;
  const Value value(value_, entry->node, entry->key, 0, entry->key_mark);
  value_.report_->add(codes::kNotSupportedYet, entry->key_mark, value.path(), in_quotes(key) + " is not supported yet",
                      std::string(instead));
}

std::optional<Value> Fields::get(const LanguageField& field) {
  if (field.built) return get(field.key);
  not_yet(field.key, field.instead);
  return std::nullopt;
}

void Fields::finish() {
  for (const Entry& entry : entries_) {
    if (entry.taken) continue;
    std::string hint = did_you_mean(entry.key, known_);
    if (entry.key == "<<") hint = "merge keys are not part of the language: write the keys out";
    if (entry.key.substr(0, 7) == "<<<<<<<") hint = "a merge stopped here: resolve the conflict";
    if (hint.empty()) {
      hint = "known here:";
      for (std::string_view word : known_) hint += (word == known_.front() ? " " : ", ") + std::string(word);
    }
    const Value value(value_, entry.node, entry.key, 0, entry.key_mark);
    value_.report_->add(codes::kUnknownKey, entry.key_mark, value_.report_->full() ? std::string() : value.path(),
                        "unknown key " + in_quotes(entry.key), std::move(hint));
  }
}

ValueProblem unknown_word(std::string_view text, const std::vector<std::string_view>& words) {
  std::string hint = did_you_mean(text, words);
  if (hint.empty()) {
    hint = "one of";
    for (std::string_view word : words) hint += (word == words.front() ? " " : ", ") + std::string(word);
  }
  return {&codes::kUnknownWord, in_quotes(text) + " may not stand here", std::move(hint)};
}

}  // namespace ficus::parsing
