// An Explanation as JSON and as text.
#include <algorithm>

#include "facade/cli/explanation.h"
#include "facade/cli/output.h"
#include "facade/control/json_writer.h"

namespace ficus {
namespace {

// ---- JSON: fields that do not apply are null, never left out ----

void text_or_null(JsonWriter& json, std::string_view text) {
  if (text.empty()) {
    json.null();
  } else {
    json.text(text);
  }
}

void side_or_null(JsonWriter& json, std::optional<Side> side) { text_or_null(json, side ? to_string(*side) : ""); }

void share_head(JsonWriter& json, Percent percent, std::optional<ShareBy> by) {
  json.key("percent").decimal(to_string(percent));
  json.key("by");
  text_or_null(json, by ? to_string(*by) : "");
}

void share_fields(JsonWriter& json, const ExplainedShare& share) {
  share_head(json, share.percent, share.by);
  json.key("threshold").number(share.percent.millionths);
  json.key("bucket");
  share.bucket ? json.number(*share.bucket) : json.null();
}

void codes_array(JsonWriter& json, GrpcCodeSet codes) {
  json.begin_array();
  for (int number = 0; number <= 16; ++number) {
    if (codes.has(static_cast<GrpcCode>(number))) json.text(to_string(static_cast<GrpcCode>(number)));
  }
  json.end_array();
}

void facts_object(JsonWriter& json, const StageFacts& facts) {
  json.begin_object();
  json.key("reads.new_share").begin_object();
  share_head(json, facts.new_share, facts.new_share_by);
  json.end_object();
  json.key("reads.shadow").begin_object();
  share_head(json, facts.shadow, facts.shadow.none() ? std::nullopt : std::optional(facts.shadow_by));
  json.end_object();
  json.key("reads.fallback");
  if (facts.fallback.empty()) {
    json.null();
  } else {
    codes_array(json, facts.fallback);
  }
  json.key("writes.owner").text(to_string(facts.owner));
  json.key("writes.repeat").null();
  json.end_object();
}

// ---- text ----

std::string percent_text(Percent percent) { return to_string(percent) + " %"; }

std::string share_text(Percent percent, std::optional<ShareBy> by) {
  if (percent.none()) return "0 %";
  return percent_text(percent) + (by && percent.between() ? " by " + std::string(to_string(*by)) : "");
}

class TextPrinter {
 public:
  TextPrinter(const Explanation& said, const std::string& file, bool colour) : said_(said), file_(file), paint_(colour) {}

  std::string run() && {
    call();
    decision();
    if (said_.facts) facts();
    if (said_.retry) {
      line("retry", "on " + to_string(said_.retry->on) + ", " + std::to_string(said_.retry->attempts) +
                        " attempts in all, budget " + percent_text(said_.retry->budget));
    }
    if (said_.canary) shares();
    if (!said_.above.empty()) above();
    for (const std::string& note : said_.notes) line("note", paint_.yellow(note));
    return std::move(text_);
  }

 private:
  void line(std::string_view name, const std::string& value) {
    std::string label(name);
    label.resize(std::max<std::size_t>(label.size() + 1, 12), ' ');
    text_.append(name.empty() ? label : paint_.faint(label)).append(value).append("\n");
  }

  void call() {
    std::string what = paint_.bold(said_.call.service + "/" + said_.call.method);
    if (said_.kind == "unmanaged") {
      what += ", unmanaged";
    } else if (said_.capability.empty()) {
      what += ", in no capability";
    } else {
      what += ", a " + said_.kind + " of capability " + said_.capability;
    }
    line("call", what);
    if (said_.capability.empty()) return;
    line("", "tenant " + (said_.tenant.empty() ? "(none)" : said_.tenant) + ", consumer " +
                 (said_.consumer.empty() ? "(none)" : said_.consumer));
  }

  void decision() {
    if (said_.refusal) {
      line("decision", paint_.red("refused " + std::string(to_string(said_.refusal->code))) + ": " +
                           printable(said_.refusal->message));
    } else if (!said_.serve) {
      line("decision", "passed to the default upstream, " + paint_.bold(said_.upstream) + ", as it comes");
    } else {
      std::string what = said_.kind == "write" ? "goes to " : "served by ";
      what += paint_.bold(std::string(to_string(*said_.serve)) + " (" + said_.upstream + ")");
      if (said_.kind == "read") what += ", " + shadow_summary();
      line("decision", what);
      line("owner", std::string(to_string(*said_.owner)) + " owns the writes");
    }
    if (!said_.facts) return;
    if (said_.rule.empty()) {
      line("rule", "none: stage off, legacy for everything");
    } else {
      line("rule", paint_.bold(said_.rule) + " (" + file_ + ":" + std::to_string(said_.rule_line) + "), stage " +
                       std::string(to_string(said_.stage)));
    }
  }

  std::string shadow_summary() const {
    if (!said_.shadow_side || said_.shadow->in_share == false) return "not shadowed";
    const std::string where = "shadowed on " + std::string(to_string(*said_.shadow_side)) + " (" + said_.shadow_upstream + ")";
    if (said_.shadow->in_share) return where;
    return "perhaps " + where;
  }

  void facts() {
    const StageFacts& facts = *said_.facts;
    line("facts", "reads.new_share  " + share_text(facts.new_share, facts.new_share_by));
    line("", "reads.shadow     " + share_text(facts.shadow, facts.shadow_by));
    line("", "reads.fallback   " + (facts.fallback.empty() ? "none" : "legacy, where new answers " + to_string(facts.fallback)));
    line("", "writes.owner     " + std::string(to_string(facts.owner)));
    line("", "writes.repeat    none");
  }

  void shares() {
    line("shares", "canary  " + share_line(*said_.canary, "new serves", "legacy serves"));
    const char* out = said_.shadow_side || said_.shadow->percent.none() ? "no shadow" : "no shadow for this call";
    line("", "shadow  " + share_line(*said_.shadow, "shadowed", out));
  }

  std::string share_line(const ExplainedShare& share, const char* in, const char* out) const {
    if (share.bucket) {
      const bool hit = share.in_share.value_or(false);
      return "bucket " + std::to_string(*share.bucket) + (hit ? " < " : " >= ") + "threshold " +
             std::to_string(share.percent.millionths) + " (" + share_text(share.percent, share.by) + "): " + (hit ? in : out);
    }
    std::string text = share_text(share.percent, share.by);
    if (!share.percent.between()) return text + ": " + (share.in_share.value_or(false) ? in : out);
    text += ", threshold " + std::to_string(share.percent.millionths) + ": ";
    if (share.in_share) return text + out + (said_.forced ? ", forced" : "");
    if (share.by == ShareBy::kKey) return text + "settled by the key in the request, or the call's own draw without one";
    if (share.by == ShareBy::kRequest) return text + "settled by each call's own draw";
    return text + "the call has no " + std::string(to_string(*share.by)) + ", so its own draw settles it";
  }

  void above() {
    std::size_t width = 0;
    const auto name = [](const Explanation::Miss& miss) { return miss.rule + " (line " + std::to_string(miss.line) + ")"; };
    for (const Explanation::Miss& miss : said_.above) width = std::max(width, name(miss).size());
    bool first = true;
    for (const Explanation::Miss& miss : said_.above) {
      line(first ? "above" : "", name(miss) + std::string(width - name(miss).size() + 2, ' ') + miss.why);
      first = false;
    }
  }

  const Explanation& said_;
  const std::string& file_;
  const Paint paint_;
  std::string text_;
};

}  // namespace

std::string to_json(const Explanation& said) {
  JsonWriter json;
  json.begin_object();
  json.key("method").text(said.call.service + "/" + said.call.method);
  json.key("capability");
  text_or_null(json, said.capability);
  json.key("kind");
  text_or_null(json, said.kind);
  json.key("rule");
  if (said.rule.empty()) {
    json.null();
  } else {
    json.begin_object().key("name").text(said.rule).key("line").number(said.rule_line).end_object();
  }
  json.key("refused");
  if (said.refusal) {
    json.begin_object().key("code").text(to_string(said.refusal->code)).key("why").text(said.refusal->message).end_object();
  } else {
    json.null();
  }
  json.key("serve");
  side_or_null(json, said.serve);
  json.key("upstream");
  text_or_null(json, said.upstream);
  json.key("owner");
  side_or_null(json, said.owner);
  json.key("unkeyed").boolean(said.unkeyed);
  json.key("canary");
  if (said.canary) {
    json.begin_object();
    share_fields(json, *said.canary);
    json.end_object();
  } else {
    json.null();
  }
  json.key("shadow");
  if (said.shadow) {
    json.begin_object().key("side");
    side_or_null(json, said.shadow_side);
    share_fields(json, *said.shadow);
    json.key("in_share");
    said.shadow->in_share ? json.boolean(*said.shadow->in_share) : json.null();
    json.end_object();
  } else {
    json.null();
  }
  json.key("facts");
  if (said.facts) {
    facts_object(json, *said.facts);
  } else {
    json.null();
  }
  json.key("retry");
  if (said.retry) {
    json.begin_object().key("on");
    codes_array(json, said.retry->on);
    json.key("attempts").number(said.retry->attempts);
    json.key("budget_percent").decimal(to_string(said.retry->budget));
    json.end_object();
  } else {
    json.null();
  }
  json.key("above").begin_array();
  for (const Explanation::Miss& miss : said.above) {
    json.begin_object().key("rule").text(miss.rule).key("why").text(miss.why).end_object();
  }
  json.end_array().end_object();
  return json.take();
}

std::string to_text(const Explanation& said, const std::string& file, bool colour) {
  return TextPrinter(said, file, colour).run();
}

}  // namespace ficus
