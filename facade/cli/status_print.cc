#include "facade/cli/status_print.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

#include "facade/cli/output.h"
#include "facade/cli/text_table.h"
#include "routing/vocabulary.h"

namespace ficus {
namespace {

namespace v1 = control::v1;
using google::protobuf::Timestamp;

constexpr int kShownEndpoints = 2;
constexpr std::size_t kShownHashDigits = 12;  // as many as git shows in a hurry: enough to compare two

// "2026-11-30 22:40:11 UTC"
std::string clock_text(const Timestamp& at) {
  const std::time_t seconds = static_cast<std::time_t>(at.seconds());
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc)};
}

// The two largest units: "45 s", "12 min", "3 h 12 min", "4 d 3 h".
std::string span_text(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  if (seconds < 60) return std::to_string(seconds) + " s";
  const std::int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (hours == 0) return std::to_string(minutes) + " min";
  const auto two = [](std::int64_t large, const char* unit, std::int64_t small, const char* small_unit) {
    return std::to_string(large) + unit + (small == 0 ? "" : " " + std::to_string(small) + small_unit);
  };
  return days == 0 ? two(hours, " h", minutes % 60, " min") : two(days, " d", hours % 24, " h");
}

std::string number_text(std::uint64_t number) { return std::to_string(number); }

// "12 deadline, 3 overflow"
std::string reasons_text(const google::protobuf::RepeatedPtrField<v1::ReasonCount>& reasons) {
  std::string text;
  for (const v1::ReasonCount& reason : reasons) {
    if (reason.count() == 0) continue;
    text += (text.empty() ? "" : ", ") + number_text(reason.count()) + " " + printable(reason.reason());
  }
  return text;
}

class StatusPrinter {
 public:
  StatusPrinter(const v1::GetStatusResponse& status, bool colour) : status_(status), paint_(colour) {}

  std::string run() && {
    head();
    alarms();
    facts();
    rules();
    shadows();
    upstreams();
    return std::move(out_);
  }

 private:
  std::string ago(const Timestamp& at) const { return span_text(status_.process().now().seconds() - at.seconds()); }

  void head() {
    const v1::Process& process = status_.process();
    const bool draining = process.state() == v1::Process::DRAINING;
    out_ += paint_.bold("ficus " + printable(process.version()) + ", pid " + std::to_string(process.pid())) + ": " +
            (draining ? paint_.yellow("draining, takes no new calls") : paint_.green("ready")) + ", up " +
            ago(process.started_at()) + "\n";
  }

  // ---- what is wrong ----

  void alarm(const std::string& what) { out_ += paint_.red("! " + what) + "\n"; }

  void alarms() {
    if (status_.last_reload().outcome() == v1::Reload::REFUSED) {
      alarm("the last reload was refused " + ago(status_.last_reload().at()) +
            " ago: the file and the policy in force differ");
    }
    for (const v1::Upstream& upstream : status_.upstreams()) {
      alarm_of_endpoints(upstream.name(), "", upstream.primary());
      alarm_of_endpoints(upstream.name(), " (for shadows)", upstream.shadow());
      if (upstream.connections() == 0 && upstream.connect_failures() != 0) {
        alarm("upstream " + printable(upstream.name()) + ": no connection is open, and " +
              counted(upstream.connect_failures(), "attempt", "attempts") + " failed");
      }
    }
    for (const v1::Capability& capability : status_.capabilities()) {
      const v1::ShadowCounts& shadows = capability.shadows();
      if (shadows.mismatch() == 0) continue;
      const std::string severities = reasons_text(shadows.mismatch_severities());
      alarm(printable(capability.name()) + ": " + counted(shadows.mismatch(), "mismatch", "mismatches") +
            (severities.empty() ? "" : " (" + severities + ")"));
    }
  }

  void alarm_of_endpoints(const std::string& name, std::string_view role, const v1::EndpointStates& states) {
    if (states.healthy() != 0 || states.unhealthy() + states.ejected() == 0) return;
    alarm("upstream " + printable(name) + std::string(role) + ": no endpoint is healthy");
  }

  static std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return number_text(count) + " " + std::string(count == 1 ? one : many);
  }

  // ---- what there is ----

  void line(std::string_view name, const std::string& text) {
    std::string padded(name);
    padded.resize(11, ' ');
    out_ += paint_.faint(padded) + text + "\n";
  }

  void facts() {
    const v1::PolicyInForce& policy = status_.policy();
    line("policy", paint_.bold(printable(policy.name())) + ", generation " + number_text(policy.generation()) + ", " +
                       printable(policy.hash()).substr(0, kShownHashDigits) + ", in force for " +
                       ago(policy.loaded_at()) + " (" + clock_text(policy.loaded_at()) + ")" +
                       (policy.by_all_workers() ? "" : ", not yet on every worker"));
    if (policy.warnings() != 0) {
      const std::string file = policy.files().empty() ? "FILE" : printable(policy.files(0));
      line("", paint_.yellow(counted(policy.warnings(), "warning", "warnings")) + "; `ficus check " + file +
                   "` shows what they say");
    }
    if (status_.has_last_reload()) reload(status_.last_reload());
    std::string listeners;
    for (const v1::Listener& listener : status_.listeners()) {
      listeners += (listeners.empty() ? "" : ", ") + std::string(kind_text(listener.kind())) + " " +
                   printable(listener.address());
    }
    line("listening", listeners);
    load();
  }

  void reload(const v1::Reload& reload) {
    const std::string when = ago(reload.at()) + " ago (" + printable(reload.trigger()) + ")";
    switch (reload.outcome()) {
      case v1::Reload::APPLIED:
        return line("reload", "applied " + when);
      case v1::Reload::UNCHANGED:
        return line("reload", "nothing had changed " + when);
      default:
        break;
    }
    line("reload", paint_.red("refused") + " " + when + "; the policy above stays in force");
    for (const v1::Diagnostic& diagnostic : reload.diagnostics()) {
      const bool error = diagnostic.level() == v1::Diagnostic::ERROR;
      const std::string label = (error ? "error[" : "warning[") + printable(diagnostic.code()) + "]";
      line("", printable(diagnostic.file()) + ":" + std::to_string(diagnostic.line()) + ":" +
                   std::to_string(diagnostic.column()) + ": " + (error ? paint_.red(label) : paint_.yellow(label)) +
                   ": " + printable(diagnostic.message()) +
                   (diagnostic.hint().empty() ? "" : " (" + printable(diagnostic.hint()) + ")"));
    }
    if (reload.diagnostics_more() != 0) line("", "and " + std::to_string(reload.diagnostics_more()) + " more");
  }

  static std::string_view kind_text(v1::Listener::Kind kind) {
    switch (kind) {
      case v1::Listener::CLEARTEXT:
        return "cleartext";
      case v1::Listener::TLS:
        return "TLS";
      case v1::Listener::ADMIN:
        return "admin";
      default:
        return "other";
    }
  }

  void load() {
    std::uint64_t connections = 0;
    for (const v1::Worker& worker : status_.workers()) connections += worker.client_connections();
    const v1::Load& load = status_.load();
    line("load", counted(connections, "client connection", "client connections") + " on " +
                     counted(static_cast<std::uint64_t>(status_.workers_size()), "worker", "workers") + ", " +
                     counted(load.primary_calls(), "call", "calls") + " and " +
                     counted(load.shadow_calls(), "shadow", "shadows") + " in flight, " +
                     counted(load.comparisons_waiting(), "comparison", "comparisons") + " waiting");
  }

  // ---- tables ----

  void rules() {
    TextTable table({"CAPABILITY", "RULE", "STAGE", "NEW SERVES", "SHADOWED", "WRITES OWNED BY"});
    for (const v1::Capability& capability : status_.capabilities()) {
      std::string name = printable(capability.name());
      if (capability.rules().empty()) table.row({{name}, {"(none: all to legacy)"}, {"-"}, {"-"}, {"-"}, {"-"}});
      for (const v1::Rule& rule : capability.rules()) {
        table.row({{std::exchange(name, "")},
                   {printable(rule.name())},
                   {printable(rule.stage())},
                   {share_text(rule.new_reads())},
                   {share_text(rule.shadowed_reads())},
                   {printable(rule.write_owner())}});
      }
    }
    add(table);
  }

  static std::string share_text(const v1::Share& share) {
    std::string text = to_string(Percent{share.percent_millionths()}) + " %";
    if (!share.by().empty()) text += " by " + printable(share.by());
    if (share.eligible() != 0) text += " (" + number_text(share.in()) + " of " + number_text(share.eligible()) + ")";
    return text;
  }

  static TextTable::Cell count(std::uint64_t number) { return {number_text(number)}; }
  // Of what should be 0.
  TextTable::Cell coloured(std::uint64_t number, std::string (Paint::*colour)(std::string_view) const) const {
    return {number_text(number), number == 0 ? std::string() : (paint_.*colour)(number_text(number))};
  }

  void shadows() {
    TextTable table({"SHADOWS OF", "BEGUN", "MATCH", "IGNORED", "NOISE", "LAG", "MISMATCH", "INCOMPARABLE", "ABANDONED",
                     "NOT BEGUN"},
                    1);
    std::string why;
    for (const v1::Capability& capability : status_.capabilities()) {
      const v1::ShadowCounts& shadows = capability.shadows();
      std::uint64_t not_begun = 0;
      for (const v1::ReasonCount& reason : shadows.not_shadowed()) not_begun += reason.count();
      if (shadows.begun() == 0 && not_begun == 0) continue;
      table.row({{printable(capability.name())},
                 count(shadows.begun()),
                 count(shadows.match()),
                 count(shadows.ignored()),
                 count(shadows.noise()),
                 count(shadows.lag()),
                 coloured(shadows.mismatch(), &Paint::red),
                 coloured(shadows.incomparable(), &Paint::yellow),
                 coloured(shadows.abandoned(), &Paint::yellow),
                 count(not_begun)});
      for (const auto& [what, reasons] :
           {std::pair("incomparable", &shadows.incomparable_reasons()),
            std::pair("abandoned", &shadows.abandoned_reasons()), std::pair("not begun", &shadows.not_shadowed())}) {
        const std::string text = reasons_text(*reasons);
        if (!text.empty()) why += "  " + printable(capability.name()) + ", " + what + ": " + text + "\n";
      }
    }
    add(table);
    out_ += why;
  }

  void upstreams() {
    TextTable table(
        {"UPSTREAM", "ENDPOINTS", "FOR CALLS", "FOR SHADOWS", "CONNECTIONS", "FAILED TO CONNECT", "CALLS FAILED"}, 4);
    for (const v1::Upstream& upstream : status_.upstreams()) {
      table.row({{printable(upstream.name())},
                 {endpoints_text(upstream)},
                 states(upstream.primary()),
                 states(upstream.shadow()),
                 {number_text(upstream.connections())},
                 coloured(upstream.connect_failures(), &Paint::yellow),
                 coloured(upstream.call_failures(), &Paint::yellow)});
    }
    add(table);
  }

  static std::string endpoints_text(const v1::Upstream& upstream) {
    std::string text = upstream.tls() ? "TLS " : "";
    const int shown = std::min(upstream.endpoints_size(), kShownEndpoints);
    for (int i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + printable(upstream.endpoints(i));
    if (upstream.endpoints_size() > shown)
      text += " and " + std::to_string(upstream.endpoints_size() - shown) + " more";
    return text;
  }

  // What one worker sees, on average.
  std::string per_worker(std::uint64_t sum) const {
    const auto workers = static_cast<std::uint64_t>(std::max(status_.workers_size(), 1));
    if (sum % workers == 0) return number_text(sum / workers);
    std::array<char, 32> text;
    const int length =
        std::snprintf(text.data(), text.size(), "%.1f", static_cast<double>(sum) / static_cast<double>(workers));
    return {text.data(), static_cast<std::size_t>(length)};
  }

  TextTable::Cell states(const v1::EndpointStates& states) const {
    std::string text;
    for (const auto& [state, sum] : {std::pair("healthy", states.healthy()), std::pair("unhealthy", states.unhealthy()),
                                     std::pair("ejected", states.ejected())}) {
      if (sum != 0) text += (text.empty() ? "" : ", ") + per_worker(sum) + " " + state;
    }
    if (text.empty()) return {"no address known"};
    if (states.healthy() == 0) return {text, paint_.red(text)};
    if (states.unhealthy() + states.ejected() != 0) return {text, paint_.yellow(text)};
    return {text};
  }

  void add(const TextTable& table) {
    if (table.empty()) return;
    out_ += "\n" + table.print([this](const std::string& t) { return paint_.faint(t); });
  }

  const v1::GetStatusResponse& status_;
  const Paint paint_;
  std::string out_;
};

}  // namespace

std::string status_text(const v1::GetStatusResponse& status, bool colour) {
  return StatusPrinter(status, colour).run();
}

std::string status_json(const v1::GetStatusResponse& status) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails only for an Any of an unknown type; there is none.
  (void)google::protobuf::util::MessageToJsonString(status, &json, options);
  return json;
}

}  // namespace ficus
