// Differences of two messages of one type, under rules per path. Reads legacy -> new.
//
// A walk of its own over protobuf's reflection, and not MessageDifferencer: there, "unordered" belongs to a field
// descriptor, so `policy.endorsements` would loosen every list of that field; entries matched as a set are not
// descended into, so nothing could be said of what was ignored inside them; matching is quadratic; and no deadline,
// element count or depth bounds it. Tests check this walk against MessageDifferencer where the two mean the same.
//
// How fields are compared: field_value.h (values, presence), tolerance.h, diff_context.h (Any). Lists entry by entry,
// or by a field of theirs; lists of different lengths are aligned by what they have in common. Maps by key. Unknown
// fields by number and wire value. Parts: message_diff.cc (messages, fields), list_diff.cc (lists), list_match.cc
// (which entries belong together).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "facade/compare/canonical.h"
#include "facade/compare/diff_context.h"
#include "facade/compare/path_cursor.h"

namespace ficus {

// What a comparison, or a part of it, found.
struct Findings {
  std::vector<Difference> differences;  // at most CompareLimits::differences
  std::uint64_t count = 0;              // of all
  Severity severity = Severity::kNone;  // of the gravest
  std::map<const PathRule*, std::uint64_t> swallowed;

  void swallow(const PathRule* rule) { ++swallowed[rule]; }
  void swallow_all(const Findings& part);
  void add(Findings&& part, std::size_t keep);
};

class MessageDiff {
 public:
  // `context` outlives it. After the budget stopped, findings are meaningless.
  MessageDiff(const DiffContext& context, Findings& findings)
      : context_(context),
        findings_(findings),
        canonical_(context, cursor_, Canonicalizer::Rules::kApply),
        exact_(context, cursor_, Canonicalizer::Rules::kNone),
        loose_(context, cursor_, Canonicalizer::Rules::kLoose) {}

  // The `index`th messages of two answers; of one type.
  void compare(const google::protobuf::Message& legacy, const google::protobuf::Message& fresh, std::uint32_t index);
  // The `index`th message, which only one answer has.
  void only_in(Side side, const google::protobuf::Message& message, std::uint32_t index);
  // The two values of a metadata name, taken apart; paths begin with metadata[name], which may be shown.
  void compare_metadata(const std::string& name, const google::protobuf::Message& legacy,
                        const google::protobuf::Message& fresh);

 private:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;
  // A list as both sides have it.
  struct Lists {
    const Message& legacy;
    const Message& fresh;
    const Field* field;
    int legacy_size;
    int fresh_size;
  };
  // A list's entries as canonical.h has them. `loose` and `places` are empty where no tolerance is given.
  struct Entries {
    std::vector<std::string> canonical, loose;
    std::vector<std::vector<double>> places;
  };
  // Entries of two lists that belong together, in legacy's order, and those that have no partner.
  struct Matching {
    std::vector<std::pair<int, int>> pairs;
    std::vector<int> legacy_rest, fresh_rest;
    bool too_many_left = false;  // to look for similar ones among them
    bool in_order() const;
    void sort();
  };

  void messages(const Message& legacy, const Message& fresh, Findings& out);
  void any(const OpenedAny& legacy, const OpenedAny& fresh, const Message& legacy_any, const Message& fresh_any,
           Findings& out);
  void field(const Message& legacy, const Message& fresh, const Field* field, Findings& out);
  void scalar(const Message& legacy, const Message& fresh, const Field* field, Findings& out);
  void message_field(const Message& legacy, const Message& fresh, const Field* field, Findings& out);
  void map(const Message& legacy, const Message& fresh, const Field* field, Findings& out);
  void unknown(const Message& legacy, const Message& fresh, Findings& out);

  void list(const Lists& lists, Findings& out);
  void any_order(const Lists& lists, const PathRule* rule, const Field* by, Findings& out);
  void entry(const Lists& lists, int legacy_index, int fresh_index, Findings& out);
  enum class Until { kEnd, kFirstDifference };
  Findings entry_by_entry(const Lists& lists, Until until);
  void matched(const Lists& lists, const Matching& matching, Findings& out);

  Entries entries_of(const Message& owner, const Field* field);
  bool alike(const Lists& lists, const Entries& legacy, const Entries& fresh, int i, int j);
  Matching match_any_order(const Lists& lists, const Entries& legacy, const Entries& fresh);
  Matching match_by_key(const Lists& lists, const Field* by, const Entries& legacy, const Entries& fresh);
  Matching match_in_order(const Lists& lists, const Entries& legacy, const Entries& fresh);
  void match_tolerant_classes(const Lists& lists, const Entries& legacy, const Entries& fresh, Matching& matching);
  void pair_similar(const Lists& lists, Matching& matching);

  // What the cursor stands at differs. The values are asked for only where the difference is kept.
  void one_sided(Side side, const Message& owner, int index, const Field* field, Findings& out);
  using FillValues = std::function<void(RawValue& in_legacy, RawValue& in_new)>;
  void report(DifferenceKind kind, Severity severity, bool plain, Findings& out, const FillValues& fill);
  Severity severity_here() const { return context_.rules.severity(cursor_.path()); }
  bool plain_here() const { return context_.rules.plain(cursor_.path()); }

  const DiffContext& context_;
  Findings& findings_;
  PathCursor cursor_;
  Canonicalizer canonical_;
  Canonicalizer exact_;
  Canonicalizer loose_;
  std::uint32_t message_index_ = 0;
  bool in_metadata_ = false;
};

}  // namespace ficus
