#include "facade/compare/message_diff.h"

#include <algorithm>
#include <iterator>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include "facade/compare/field_value.h"
#include "facade/compare/survey.h"
#include "facade/compare/tolerance.h"

namespace ficus {

namespace pb = google::protobuf;

void Findings::swallow_all(const Findings& part) {
  for (const auto& [rule, n] : part.swallowed) swallowed[rule] += n;
}

void Findings::add(Findings&& part, std::size_t keep) {
  count += part.count;
  severity = std::max(severity, part.severity);
  swallow_all(part);
  const std::size_t room = keep > differences.size() ? keep - differences.size() : 0;
  const std::size_t taken = std::min(room, part.differences.size());
  std::move(part.differences.begin(), part.differences.begin() + static_cast<std::ptrdiff_t>(taken),
            std::back_inserter(differences));
}

void MessageDiff::report(DifferenceKind kind, Severity severity, bool plain, Findings& out, const FillValues& fill) {
  ++out.count;
  out.severity = std::max(out.severity, severity);
  if (out.differences.size() >= context_.limits.differences) return;
  Difference d;
  d.message_index = message_index_;
  d.path = cursor_.path();
  d.details = cursor_.details();
  // A map's key is a value of the map, and shown only where the entry as a whole is: `plain: ["**.amount"]` names no
  // holder.
  FieldPath prefix;
  for (std::size_t i = 0; i < d.path.size(); ++i) {
    prefix.push_back(d.path[i]);
    if (d.path[i].has_map_key) d.details[i].key_plain = (in_metadata_ && i == 0) || context_.rules.plain(prefix);
  }
  d.kind = kind;
  d.severity = severity;
  d.plain = plain;
  fill(d.legacy, d.new_);
  out.differences.push_back(std::move(d));
}

void MessageDiff::compare(const Message& legacy, const Message& fresh, std::uint32_t index) {
  message_index_ = index;
  if (const PathRule* rule = context_.rules.ignored(cursor_.path())) {  // `**`
    if (exact_.message(legacy) != exact_.message(fresh)) findings_.swallow(rule);
    return;
  }
  messages(legacy, fresh, findings_);
}

void MessageDiff::only_in(Side side, const Message& message, std::uint32_t index) {
  message_index_ = index;
  if (const PathRule* rule = context_.rules.ignored(cursor_.path())) {
    findings_.swallow(rule);
    return;
  }
  const Survey survey = survey_message(message, cursor_, context_);
  report(side == Side::kLegacy ? DifferenceKind::kMissing : DifferenceKind::kExtra, survey.severity, survey.plain,
         findings_, [&](RawValue& in_legacy, RawValue& in_new) {
           (side == Side::kLegacy ? in_legacy : in_new) = raw_message(message, survey.plain);
         });
}

void MessageDiff::compare_metadata(const std::string& name, const Message& legacy, const Message& fresh) {
  message_index_ = 0;
  const PathCursor::Step step(cursor_, "metadata");
  cursor_.at_key(name, "string");
  in_metadata_ = true;
  if (const PathRule* rule = context_.rules.ignored(cursor_.path())) {
    if (exact_.message(legacy) != exact_.message(fresh)) findings_.swallow(rule);
  } else {
    messages(legacy, fresh, findings_);
  }
  in_metadata_ = false;
}

void MessageDiff::messages(const Message& legacy, const Message& fresh, Findings& out) {
  if (!context_.budget.spend()) return;
  const auto legacy_any = open_any(legacy, cursor_.depth(), context_);
  const auto fresh_any = open_any(fresh, cursor_.depth(), context_);
  if (legacy_any || fresh_any) {
    const OpenedAny never_set;
    any(legacy_any ? *legacy_any : never_set, fresh_any ? *fresh_any : never_set, legacy, fresh, out);
    unknown(legacy, fresh, out);
    return;
  }
  if (const PathRule* rule = tolerated_times(legacy, fresh, cursor_, context_.rules)) {
    if (!times_equal(legacy, fresh)) out.swallow(rule);
    unknown(legacy, fresh, out);
    return;
  }
  std::vector<const Field*> in_legacy, in_fresh;
  legacy.GetReflection()->ListFields(legacy, &in_legacy);
  fresh.GetReflection()->ListFields(fresh, &in_fresh);
  // Both in the order of field numbers.
  for (std::size_t i = 0, j = 0; i < in_legacy.size() || j < in_fresh.size();) {
    const Field* f = nullptr;
    if (j == in_fresh.size() || (i < in_legacy.size() && in_legacy[i]->number() <= in_fresh[j]->number())) {
      f = in_legacy[i];
    } else {
      f = in_fresh[j];
    }
    if (i < in_legacy.size() && in_legacy[i] == f) ++i;
    if (j < in_fresh.size() && in_fresh[j] == f) ++j;
    if (!context_.budget.spend()) return;
    field(legacy, fresh, f, out);
  }
  unknown(legacy, fresh, out);
}

void MessageDiff::any(const OpenedAny& legacy, const OpenedAny& fresh, const Message& legacy_any,
                      const Message& fresh_any, Findings& out) {
  if (legacy.type_name != fresh.type_name) {
    report(DifferenceKind::kType, severity_here(), plain_here(), out, [&](RawValue& in_legacy, RawValue& in_new) {
      if (!legacy.url.empty()) in_legacy = {true, "string", legacy.url};
      if (!fresh.url.empty()) in_new = {true, "string", fresh.url};
    });
    return;
  }
  const pb::Descriptor* type = legacy_any.GetDescriptor();
  field(legacy_any, fresh_any, type->FindFieldByNumber(1), out);
  if (legacy.payload != nullptr && fresh.payload != nullptr) {
    const PathCursor::Payload inside(cursor_);
    messages(*legacy.payload, *fresh.payload, out);
  } else if (legacy.payload == nullptr && fresh.payload == nullptr) {
    field(legacy_any, fresh_any, type->FindFieldByNumber(2), out);
  } else {
    // One has fields and the other only bytes. No rule about what is below can make them alike: ignoring `value` would
    // make the bytes alike to every payload, and those not alike to one another.
    const bool plain = plain_here();
    report(DifferenceKind::kType, severity_here(), plain, out, [&](RawValue& in_legacy, RawValue& in_new) {
      in_legacy = raw_value(legacy_any, kSingular, type->FindFieldByNumber(2), plain);
      in_new = raw_value(fresh_any, kSingular, type->FindFieldByNumber(2), plain);
    });
  }
}

void MessageDiff::field(const Message& legacy, const Message& fresh, const Field* field, Findings& out) {
  const bool singular_scalar = !field->is_repeated() && field->cpp_type() != Field::CPPTYPE_MESSAGE;
  if (singular_scalar) {
    // By far the most common case, and the cheapest to settle: equal, without asking any rule.
    const bool by_presence = compares_presence(field, context_.rules.absent_equals_default());
    const bool alike = !by_presence ||
                       legacy.GetReflection()->HasField(legacy, field) == fresh.GetReflection()->HasField(fresh, field);
    if (alike && scalars_equal(legacy, kSingular, fresh, kSingular, field)) return;
  }
  const PathCursor::Step step(cursor_, field);
  if (const PathRule* rule = context_.rules.ignored(cursor_.path())) {
    if (exact_.field(legacy, field) != exact_.field(fresh, field)) out.swallow(rule);
  } else if (singular_scalar) {
    scalar(legacy, fresh, field, out);
  } else if (field->is_map()) {
    map(legacy, fresh, field, out);
  } else if (field->is_repeated()) {
    list({legacy, fresh, field, legacy.GetReflection()->FieldSize(legacy, field),
          fresh.GetReflection()->FieldSize(fresh, field)},
         out);
  } else {
    message_field(legacy, fresh, field, out);
  }
}

// Precondition: the two differ.
void MessageDiff::scalar(const Message& legacy, const Message& fresh, const Field* field, Findings& out) {
  const bool legacy_has = !field->has_presence() || legacy.GetReflection()->HasField(legacy, field);
  const bool fresh_has = !field->has_presence() || fresh.GetReflection()->HasField(fresh, field);
  if (legacy_has == fresh_has || !compares_presence(field, context_.rules.absent_equals_default())) {
    const PathRule* rule = tolerated_numbers(legacy, kSingular, fresh, kSingular, field, cursor_, context_.rules);
    if (rule != nullptr) return out.swallow(rule);
  }
  const DifferenceKind kind = legacy_has == fresh_has ? DifferenceKind::kValue
                              : legacy_has            ? DifferenceKind::kMissing
                                                      : DifferenceKind::kExtra;
  const bool plain = plain_here();
  report(kind, severity_here(), plain, out, [&](RawValue& in_legacy, RawValue& in_new) {
    if (legacy_has) in_legacy = raw_value(legacy, kSingular, field, plain);
    if (fresh_has) in_new = raw_value(fresh, kSingular, field, plain);
  });
}

void MessageDiff::message_field(const Message& legacy, const Message& fresh, const Field* field, Findings& out) {
  const pb::Reflection& reflection = *legacy.GetReflection();
  const bool legacy_has = reflection.HasField(legacy, field);
  const bool fresh_has = reflection.HasField(fresh, field);
  if (legacy_has != fresh_has) {
    const Message& owner = legacy_has ? legacy : fresh;
    const bool by_presence = compares_presence(field, context_.rules.absent_equals_default());
    if (by_presence || !canonical_.message(reflection.GetMessage(owner, field)).empty()) {
      one_sided(legacy_has ? Side::kLegacy : Side::kNew, owner, kSingular, field, out);
      return;
    }
    // Alike to an absent one; what was ignored in it is still counted, below.
  }
  messages(reflection.GetMessage(legacy, field), reflection.GetMessage(fresh, field), out);
}

void MessageDiff::one_sided(Side side, const Message& owner, int index, const Field* field, Findings& out) {
  Severity severity = Severity::kNone;
  bool plain = false;
  if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
    const pb::Reflection& reflection = *owner.GetReflection();
    const Message& message = index == kSingular ? reflection.GetMessage(owner, field)
                                                : reflection.GetRepeatedMessage(owner, field, index);
    const Survey survey = survey_message(message, cursor_, context_);
    severity = survey.severity;
    plain = survey.plain;
  } else {
    severity = severity_here();
    plain = plain_here();
  }
  report(side == Side::kLegacy ? DifferenceKind::kMissing : DifferenceKind::kExtra, severity, plain, out,
         [&](RawValue& in_legacy, RawValue& in_new) {
           (side == Side::kLegacy ? in_legacy : in_new) = raw_value(owner, index, field, plain);
         });
}

void MessageDiff::map(const Message& legacy, const Message& fresh, const Field* field, Findings& out) {
  const MapEntries in_legacy = map_entries(legacy, field);
  const MapEntries in_fresh = map_entries(fresh, field);
  const Field* value = map_value_field(field);
  const std::string key_type = value_type(map_key_field(field));
  auto i = in_legacy.begin();
  auto j = in_fresh.begin();
  while (i != in_legacy.end() || j != in_fresh.end()) {
    if (!context_.budget.spend()) break;
    const Message* legacy_entry = nullptr;
    const Message* fresh_entry = nullptr;
    const std::string& key =
        j == in_fresh.end() || (i != in_legacy.end() && i->first <= j->first) ? i->first : j->first;
    cursor_.at_key(key, key_type);
    const bool in_both = i != in_legacy.end() && j != in_fresh.end() && i->first == j->first;
    const bool from_legacy = i != in_legacy.end() && &key == &i->first;
    if (from_legacy) legacy_entry = (i++)->second;
    if (in_both || !from_legacy) fresh_entry = (j++)->second;

    const PathRule* rule = context_.rules.ignored(cursor_.path());
    if (legacy_entry == nullptr || fresh_entry == nullptr) {
      if (rule != nullptr) {
        out.swallow(rule);
      } else {
        one_sided(legacy_entry != nullptr ? Side::kLegacy : Side::kNew,
                  legacy_entry != nullptr ? *legacy_entry : *fresh_entry, kSingular, value, out);
      }
    } else if (value->cpp_type() == Field::CPPTYPE_MESSAGE) {
      const Message& a = legacy_entry->GetReflection()->GetMessage(*legacy_entry, value);
      const Message& b = fresh_entry->GetReflection()->GetMessage(*fresh_entry, value);
      if (rule == nullptr) {
        messages(a, b, out);
      } else if (exact_.message(a) != exact_.message(b)) {
        out.swallow(rule);
      }
    } else if (!scalars_equal(*legacy_entry, kSingular, *fresh_entry, kSingular, value)) {
      if (rule == nullptr) {
        rule = tolerated_numbers(*legacy_entry, kSingular, *fresh_entry, kSingular, value, cursor_, context_.rules);
      }
      if (rule != nullptr) {
        out.swallow(rule);
        continue;
      }
      const bool plain = plain_here();
      report(DifferenceKind::kValue, severity_here(), plain, out, [&](RawValue& a, RawValue& b) {
        a = raw_value(*legacy_entry, kSingular, value, plain);
        b = raw_value(*fresh_entry, kSingular, value, plain);
      });
    }
  }
  cursor_.at_whole();
}

void MessageDiff::unknown(const Message& legacy, const Message& fresh, Findings& out) {
  const pb::UnknownFieldSet& legacy_set = legacy.GetReflection()->GetUnknownFields(legacy);
  const pb::UnknownFieldSet& fresh_set = fresh.GetReflection()->GetUnknownFields(fresh);
  if (legacy_set.empty() && fresh_set.empty()) return;
  // What each side has, by number: {legacy's, new's}.
  std::map<int, std::pair<UnknownValues, UnknownValues>> by_number;
  for (auto& [number, values] : unknown_values(legacy_set)) by_number[number].first = values;
  for (auto& [number, values] : unknown_values(fresh_set)) by_number[number].second = values;
  for (const auto& [number, values] : by_number) {
    if (!context_.budget.spend()) return;
    // No structured binding: clang 14 lets no lambda capture one.
    const UnknownValues& in_legacy = values.first;
    const UnknownValues& in_fresh = values.second;
    if (in_legacy.canonical == in_fresh.canonical) continue;
    const PathCursor::Step step(cursor_, std::to_string(number));
    if (const PathRule* rule = context_.rules.ignored(cursor_.path())) {
      out.swallow(rule);
      continue;
    }
    const bool legacy_has = !in_legacy.canonical.empty();
    const bool fresh_has = !in_fresh.canonical.empty();
    const DifferenceKind kind = !fresh_has                        ? DifferenceKind::kMissing
                                : !legacy_has                     ? DifferenceKind::kExtra
                                : in_legacy.type != in_fresh.type ? DifferenceKind::kType
                                                                  : DifferenceKind::kValue;
    report(kind, severity_here(), plain_here(), out, [&](RawValue& a, RawValue& b) {
      if (legacy_has) a = {true, "unknown", in_legacy.wire};
      if (fresh_has) b = {true, "unknown", in_fresh.wire};
    });
  }
}

}  // namespace ficus
