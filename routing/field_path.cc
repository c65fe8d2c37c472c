#include "routing/field_path.h"

#include <cstddef>

#include "routing/utf8.h"

namespace ficus {
namespace {

using Step = PathPattern::Step;

bool step_takes(const Step& step, const FieldStep& field) noexcept {
  if (step.kind == Step::Kind::kAnyOne) return true;
  if (step.name != field.name) return false;
  return !step.has_map_key || (field.has_map_key && step.map_key == field.map_key);
}

// Glob matching over steps: on a mismatch only the last `**` needs to take one step more, because whatever an earlier
// one could take, the last one can take too. `inside`: also true once the whole pattern took a parent of the path.
bool takes(const std::vector<Step>& steps, const FieldPath& path, bool inside) noexcept {
  std::size_t s = 0;
  std::size_t p = 0;
  bool star = false;
  std::size_t after_star = 0;
  std::size_t star_end = 0;
  while (p < path.size()) {
    if (s < steps.size() && steps[s].kind == Step::Kind::kAnyNumber) {
      star = true;
      after_star = ++s;
      star_end = p;
    } else if (s < steps.size() && step_takes(steps[s], path[p])) {
      ++s;
      ++p;
    } else if (inside && s == steps.size()) {
      return true;
    } else if (star) {
      s = after_star;
      p = ++star_end;
    } else {
      return false;
    }
  }
  while (s < steps.size() && steps[s].kind == Step::Kind::kAnyNumber) ++s;
  return s == steps.size();
}

Result<Step, std::string> parse_step(std::string_view text) {
  Step step;
  if (text.empty()) return fail(std::string("empty step"));
  if (text == "*") {
    step.kind = Step::Kind::kAnyOne;
    return step;
  }
  if (text == "**") {
    step.kind = Step::Kind::kAnyNumber;
    return step;
  }
  const std::size_t open = text.find('[');
  step.name = text.substr(0, open);
  if (open != std::string_view::npos) {
    const std::string_view key = text.substr(open + 1, text.size() - open - 2);
    if (key.empty()) return fail(std::string("'[]' is implied for repeated fields: leave it out"));
    if (!is_plain_text(key)) return fail(std::string("a map key with a control character"));
    step.has_map_key = true;
    step.map_key = key;
  }
  if (step.name.find('*') != std::string::npos) return fail(std::string("'*' and '**' are steps of their own"));
  if (!is_identifier(step.name)) return fail("\"" + step.name.substr(0, 64) + "\" is not a field name");
  return step;
}

}  // namespace

bool is_identifier(std::string_view text) noexcept {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

Result<PathPattern, std::string> PathPattern::parse(std::string_view text) {
  if (!is_plain_text(text)) return fail(std::string("a control character, or not UTF-8"));
  PathPattern pattern;
  pattern.text_ = text;
  for (std::size_t at = 0;;) {
    // A step ends at the next dot outside brackets; a map key ends at the first ']', dots and all.
    const std::size_t stop = text.find_first_of(".[", at);
    std::size_t end = stop;
    if (stop != std::string_view::npos && text[stop] == '[') {
      const std::size_t close = text.find(']', stop);
      if (close == std::string_view::npos) return fail(std::string("unclosed '['"));
      end = close + 1;
      if (end < text.size() && text[end] != '.') return fail(std::string("nothing but '.' may follow ']'"));
    }
    if (end == std::string_view::npos) end = text.size();
    Result<Step, std::string> step = parse_step(text.substr(at, end - at));
    if (!step) return fail(std::move(step).error());
    if (step->kind == Step::Kind::kAnyNumber && !pattern.steps_.empty() &&
        pattern.steps_.back().kind == Step::Kind::kAnyNumber) {
      return fail(std::string("'**' beside '**'"));
    }
    pattern.steps_.push_back(*std::move(step));
    if (end == text.size()) return pattern;
    at = end + 1;
  }
}

bool PathPattern::matches(const FieldPath& path) const noexcept { return takes(steps_, path, false); }
bool PathPattern::covers(const FieldPath& path) const noexcept { return takes(steps_, path, true); }

std::string to_string(const FieldPath& path) {
  std::string text;
  for (const FieldStep& step : path) {
    if (!text.empty()) text += '.';
    text += step.name;
    if (step.has_map_key) text += '[' + step.map_key + ']';
  }
  return text;
}

}  // namespace ficus
