#include "routing/policy_parse_yaml.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <streambuf>
#include <unordered_map>

#include "routing/spelling.h"
#include "routing/utf8.h"

namespace ficus::parsing {
namespace {

constexpr std::size_t kMaxProblems = 100;  // of one kind of loop; a hostile file must not fill memory with them
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Mark to_mark(const YAML::Mark& mark) {
  return {static_cast<std::uint32_t>(std::max(mark.line, 0)) + 1,
          static_cast<std::uint32_t>(std::max(mark.column, 0)) + 1};
}

// Lets yaml-cpp read the caller's text where it lies.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // streambuf's interface; a get area is never written
    setg(begin, begin, begin + text.size());
  }
};

// Thrown out of an event and caught in read_yaml: yaml-cpp has no other way to stop.
struct Stop {
  YamlProblem problem;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, const PolicyParseLimits& limits, YamlReading& reading)
      : text_(text), limits_(limits), reading_(reading), tree_(reading.tree) {}

  bool ended() const { return ended_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override { ended_ = true; }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    // In a mapping and for a null that is not written, yaml-cpp's mark is that of whatever comes next.
    const char next = static_cast<std::size_t>(mark.pos) < text_.size() ? text_[static_cast<std::size_t>(mark.pos)] : 0;
    const bool written = next == '~' || next == 'n' || next == 'N' || next == ',';
    if (written) node.mark = to_mark(mark);
    add_leaf(mark, node, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.mark = to_mark(mark);
    node.first = static_cast<std::uint32_t>(tree_.texts.size());
    node.count = static_cast<std::uint32_t>(value.size());
    tree_.texts += value;
    add_leaf(mark, node, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) {
      throw Stop{
          {&codes::kAliasLoop, to_mark(mark), "this alias stands inside the value it names", "write the value out"}};
    }
    YamlNode node;
    node.kind = YamlNode::Kind::kAlias;
    node.mark = to_mark(mark);
    node.first = found->second.node;
    count_nodes(mark, found->second.expanded);
    pending_.push_back(add_node(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(YamlNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(YamlNode::Kind::kMapping, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    std::uint32_t node;
    std::size_t first_pending;
    YAML::anchor_t anchor;
    std::size_t count_before;
  };
  struct Anchored {
    std::uint32_t node;
    std::size_t expanded;  // nodes, aliases inside counted as what they name
  };

  std::uint32_t add_node(const YamlNode& node) {
    tree_.nodes.push_back(node);
    return static_cast<std::uint32_t>(tree_.nodes.size() - 1);
  }

  void count_nodes(const YAML::Mark& mark, std::size_t more) {
    if (more > limits_.nodes - node_count_) {
      throw Stop{{&codes::kTooManyNodes, to_mark(mark),
                  "more than " + std::to_string(limits_.nodes) + " values, aliases counted as often as they are used",
                  "use tenant_groups instead of repeating lists"}};
    }
    node_count_ += more;
  }

  void add_leaf(const YAML::Mark& mark, const YamlNode& node, YAML::anchor_t anchor) {
    count_nodes(mark, 1);
    const std::uint32_t index = add_node(node);
    pending_.push_back(index);
    if (anchor != YAML::NullAnchor) anchored_[anchor] = {index, 1};
    if (open_.empty()) tree_.root = index;
  }

  void begin(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    if (open_.size() >= limits_.depth) {
      throw Stop{{&codes::kTooDeep, to_mark(mark),
                  "lists and mappings are nested more than " + std::to_string(limits_.depth) + " deep", ""}};
    }
    const std::size_t count_before = node_count_;
    count_nodes(mark, 1);
    YamlNode node;
    node.kind = kind;
    node.mark = to_mark(mark);
    const std::uint32_t index = add_node(node);
    pending_.push_back(index);
    if (open_.empty()) tree_.root = index;
    open_.push_back({index, pending_.size(), anchor, count_before});
  }

  void end() {
    const Open open = open_.back();
    open_.pop_back();
    YamlNode& node = tree_.nodes[open.node];
    node.first = static_cast<std::uint32_t>(tree_.links.size());
    node.count = static_cast<std::uint32_t>(pending_.size() - open.first_pending);
    tree_.links.insert(tree_.links.end(), pending_.begin() + static_cast<std::ptrdiff_t>(open.first_pending),
                       pending_.end());
    pending_.resize(open.first_pending);
    if (open.anchor != YAML::NullAnchor) anchored_[open.anchor] = {open.node, node_count_ - open.count_before};
  }

  // yaml-cpp names "no tag" '?', and a quoted scalar's '!'.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag == "?" || tag == "!" || tag.empty() || reading_.problems.size() >= kMaxProblems) return;
    reading_.problems.push_back({&codes::kTag, to_mark(mark), "a YAML tag, " + in_quotes(tag),
                                 "leave it out: the key says which type its value has"});
  }

  std::string_view text_;
  const PolicyParseLimits& limits_;
  YamlReading& reading_;
  YamlTree& tree_;
  std::vector<Open> open_;
  std::vector<std::uint32_t> pending_;  // nodes whose list or mapping is still open
  std::unordered_map<YAML::anchor_t, Anchored> anchored_;
  std::size_t node_count_ = 0;
  bool ended_ = false;
};

// Takes the one event that matters of a second document: that it is there.
class SecondDocument : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    throw Stop{{&codes::kManyDocuments, to_mark(mark), "a second YAML document begins here; a policy is one",
                "put each policy into a file of its own"}};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

Mark end_of(std::string_view text) {
  const auto lines = static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
  const std::size_t last = text.rfind('\n');
  const std::size_t begins = last == std::string_view::npos ? 0 : last + 1;
  return {lines + 1, static_cast<std::uint32_t>(text.size() - begins) + 1};
}

// Told by the mark with which editors begin such files.
bool is_utf16(std::string_view text) {
  return text.substr(0, 2) == "\xff\xfe" || text.substr(0, 2) == "\xfe\xff";
}

// False: not text at all, so that no YAML reader should see it. Judged before yaml-cpp, which replaces bad bytes and
// takes 0x04 for the end of the file.
bool judge_characters(std::string_view text, std::vector<YamlProblem>& problems) {
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos && !is_utf16(text)) {
    problems.push_back({&codes::kNotText, end_of(text.substr(0, zero)), "there is a zero byte here: this is no text",
                        "is it the file that you meant?"});
    return false;
  }
  bool is_text = true;
  Mark mark{1, 1};
  for (std::size_t at = 0; at < text.size() && problems.size() < kMaxProblems;) {
    const Utf8Char c = decode_utf8(text, at);
    if (c.bytes == 0) {
      // One complaint is enough: the file has another encoding, or is no text.
      problems.push_back({&codes::kNotText, mark, is_utf16(text) ? "this is UTF-16, not UTF-8" : "this is not UTF-8",
                          "save the file as UTF-8"});
      return false;
    }
    const bool line_end = c.code == '\n' || (c.code == '\r' && text.substr(at, 2) == "\r\n");
    if (!line_end && c.code != '\t' && hides_or_reorders(c.code)) {
      problems.push_back({&codes::kNotText, mark, "the character " + in_quotes(text.substr(at, c.bytes)),
                          "it shows nothing, or reorders what is shown: take it out"});
      is_text = false;
    }
    if (c.code == '%' && mark.column == 1) {
      problems.push_back(
          {&codes::kNotYaml, mark, "a line that begins with '%': YAML directives are not used", "take the line out"});
      is_text = false;
    }
    at += c.bytes;
    mark = c.code == '\n' ? Mark{mark.line + 1, 1} : Mark{mark.line, mark.column + static_cast<std::uint32_t>(c.bytes)};
  }
  return is_text;
}

// What to do about the syntax errors that people make most.
std::string syntax_hint(std::string_view text, const YAML::Exception& error) {
  const std::size_t at = std::min(static_cast<std::size_t>(std::max(error.mark.pos, 0)), text.size());
  const char here = at < text.size() ? text[at] : '\0';
  const char before = at > 0 ? text[at - 1] : '\0';
  const std::size_t line = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  for (const std::string_view mark : {"<<<<<<<", "=======", ">>>>>>>"}) {
    const bool here_or_above = text.substr(line, mark.size()) == mark ||
                               (line > 1 && text.substr(text.rfind('\n', line - 2) + 1, mark.size()) == mark);
    if (here_or_above) return "a merge stopped here: resolve the conflict";
  }
  const std::size_t indent_end = std::min(text.find_first_not_of(" \t", line), text.size());
  if (error.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW) return "close the list with ']'";
  if (error.msg == YAML::ErrorMsg::END_OF_MAP_FLOW) return "close the mapping with '}'";
  if (here == '*' || before == '*') return "a value that begins with '*' is quoted: '*'";
  if (text.substr(line, indent_end - line).find('\t') != std::string_view::npos) return "indent with spaces, not tabs";
  if (here == '@' || here == '`') return "quote the value";
  if (here == ':') return "quote a value that holds ': '";
  return {};
}

void parse_events(std::string_view text, const PolicyParseLimits& limits, YamlReading& reading) {
  ViewBuffer buffer(text);
  std::istream input(&buffer);
  try {
    YAML::Parser parser(input);
    TreeBuilder builder(text, limits, reading);
    parser.HandleNextDocument(builder);
    reading.complete = builder.ended();
    if (!reading.complete) {
      reading.problems.push_back(
          {&codes::kEmpty, {1, 1}, "the file holds no policy", "begin with apiVersion: ficus/v1"});
      return;
    }
    SecondDocument second;
    parser.HandleNextDocument(second);
  } catch (const Stop& stop) {
    reading.problems.push_back(stop.problem);
  } catch (const YAML::DeepRecursion& deep) {
    reading.problems.push_back({&codes::kTooDeep, to_mark(deep.mark), "lists and mappings are nested too deep", ""});
  } catch (const YAML::Exception& error) {
    const std::string shown = in_quotes(error.msg);
    reading.problems.push_back({&codes::kNotYaml, to_mark(error.mark), "not YAML: " + shown.substr(1, shown.size() - 2),
                                syntax_hint(text, error)});
  }
}

}  // namespace

YamlReading read_yaml(std::string_view text, const PolicyParseLimits& limits) {
  YamlReading reading;
  if (text.size() > limits.text_bytes) {
    reading.problems.push_back(
        {&codes::kTooLarge,
         {},
         "the file has " + std::to_string(text.size()) + " bytes, more than " + std::to_string(limits.text_bytes),
         "split the migration over several facades"});
    return reading;
  }
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  if (!text.empty() && text.back() != '\n') {
    reading.problems.push_back({&codes::kNoFinalNewline, end_of(text), "the file does not end with a newline",
                                "it may have been cut off; end the last line"});
  }
  if (judge_characters(text, reading.problems)) parse_events(text, limits, reading);
  return reading;
}

}  // namespace ficus::parsing
