#include "facade/control/status_report.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string_view>
#include <utility>

#include "facade/metrics/families.h"
#include "routing/route_table.h"

namespace ficus {
namespace {

namespace v1 = control::v1;
using SystemTime = std::chrono::system_clock::time_point;

void set_time(google::protobuf::Timestamp& to, SystemTime at) {
  const auto since_epoch = at.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  to.set_seconds(seconds.count());
  to.set_nanos(static_cast<std::int32_t>(std::chrono::nanoseconds(since_epoch - seconds).count()));
}

// A gauge may be read between two changes that belong together, so below zero.
std::uint64_t as_count(double value) { return value <= 0 ? 0 : static_cast<std::uint64_t>(value); }

// A family's series by some of its labels, so that each is looked up rather than searched for.
class Numbers {
 public:
  Numbers(const Metrics& metrics, const Family& family) : series_(metrics.read(family)) {
    for (const SeriesValue& series : series_) {
      const std::string_view first = series.labels.empty() ? std::string_view() : series.labels.front();
      by_first_[first].push_back(&series);
    }
  }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  // The sum over the series whose first labels are these.
  std::uint64_t sum(std::initializer_list<std::string_view> first) const {
    double total = 0;
    for (const SeriesValue* series : with_first(*first.begin())) {
      if (std::equal(first.begin(), first.end(), series->labels.begin())) total += series->value;
    }
    return as_count(total);
  }
  std::uint64_t all() const {
    double total = 0;
    for (const SeriesValue& series : series_) total += series.value;
    return as_count(total);
  }
  const std::vector<const SeriesValue*>& with_first(std::string_view label) const {
    static const std::vector<const SeriesValue*> kNone;
    const auto found = by_first_.find(label);
    return found == by_first_.end() ? kNone : found->second;
  }

 private:
  const std::vector<SeriesValue> series_;
  std::map<std::string_view, std::vector<const SeriesValue*>> by_first_;  // into series_
};

// Most first, then by name.
using Reasons = std::map<std::string, double>;
void add_reasons(const Reasons& reasons, google::protobuf::RepeatedPtrField<v1::ReasonCount>& to) {
  std::vector<std::pair<std::string, double>> sorted(reasons.begin(), reasons.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [reason, count] : sorted) {
    if (count <= 0) continue;
    v1::ReasonCount& added = *to.Add();
    added.set_reason(reason);
    added.set_count(as_count(count));
  }
}

v1::Listener::Kind kind_of(ProcessFacts::Listener::Kind kind) {
  switch (kind) {
    case ProcessFacts::Listener::Kind::kCleartext:
      return v1::Listener::CLEARTEXT;
    case ProcessFacts::Listener::Kind::kTls:
      return v1::Listener::TLS;
    case ProcessFacts::Listener::Kind::kAdmin:
      return v1::Listener::ADMIN;
  }
  return v1::Listener::KIND_UNSPECIFIED;
}

void report_process(const ProcessFacts& process, SystemTime now, v1::GetStatusResponse& status) {
  v1::Process& to = *status.mutable_process();
  to.set_version(process.version);
  to.set_pid(static_cast<std::uint32_t>(process.pid));
  to.set_state(process.draining ? v1::Process::DRAINING : v1::Process::READY);
  set_time(*to.mutable_started_at(), process.started);
  set_time(*to.mutable_now(), now);
  for (const ProcessFacts::Listener& listener : process.listeners) {
    v1::Listener& added = *status.add_listeners();
    added.set_kind(kind_of(listener.kind));
    added.set_address(listener.address);
  }
  for (std::size_t i = 0; i < process.worker_connections.size(); ++i) {
    v1::Worker& worker = *status.add_workers();
    worker.set_index(static_cast<std::uint32_t>(i));
    worker.set_client_connections(process.worker_connections[i]);
  }
}

void report_policy(const PolicyInForce& in_force, v1::PolicyInForce& to) {
  to.set_name(in_force.table->name());
  to.set_hash(in_force.table->hash());
  to.set_generation(in_force.table->generation());
  set_time(*to.mutable_loaded_at(), in_force.since);
  to.set_by_all_workers(in_force.by_all_workers);
  to.set_ownership_epoch(in_force.table->policy().ownership_epoch.value);
  for (const std::string& file : in_force.files) to.add_files(file);
  to.set_warnings(static_cast<std::uint32_t>(in_force.warnings.size()));
}

void report_diagnostic(const Diagnostic& diagnostic, v1::Diagnostic& to) {
  to.set_level(diagnostic.level == DiagnosticLevel::kError ? v1::Diagnostic::ERROR : v1::Diagnostic::WARNING);
  to.set_code(diagnostic.code);
  to.set_file(diagnostic.file);
  to.set_line(diagnostic.mark.line);
  to.set_column(diagnostic.mark.column);
  to.set_path(diagnostic.yaml_path);
  to.set_message(diagnostic.message);
  to.set_hint(diagnostic.hint);
}

void report_reload(const PolicyReload& reload, v1::Reload& to) {
  to.set_outcome(reload.outcome == "applied"     ? v1::Reload::APPLIED
                 : reload.outcome == "unchanged" ? v1::Reload::UNCHANGED
                                                 : v1::Reload::REFUSED);
  to.set_trigger(reload.trigger);
  set_time(*to.mutable_at(), reload.at);
  std::vector<const Diagnostic*> errors_first;
  for (const Diagnostic& diagnostic : reload.diagnostics) errors_first.push_back(&diagnostic);
  std::stable_partition(errors_first.begin(), errors_first.end(),
                        [](const Diagnostic* found) { return found->level == DiagnosticLevel::kError; });
  const std::size_t shown = std::min(errors_first.size(), kShownReloadDiagnostics);
  for (std::size_t i = 0; i < shown; ++i) report_diagnostic(*errors_first[i], *to.add_diagnostics());
  to.set_diagnostics_more(static_cast<std::uint32_t>(errors_first.size() - shown));
}

// ---- capabilities ----

class CapabilityReporter {
 public:
  explicit CapabilityReporter(const Metrics& metrics)
      : eligible_(metrics, families::kShareEligible),
        in_(metrics, families::kShareIn),
        begun_(metrics, families::kShadowBegun),
        verdicts_(metrics, families::kVerdicts),
        mismatches_(metrics, families::kMismatches),
        not_shadowed_(metrics, families::kNotShadowed) {}

  void report(const RouteTable& table, v1::GetStatusResponse& status) const {
    for (const CapabilityInfo& info : table.capabilities()) {
      v1::Capability& to = *status.add_capabilities();
      to.set_name(info.name);
      to.set_legacy_upstream(upstream_name(table, info.legacy_upstream));
      to.set_new_upstream(upstream_name(table, info.new_upstream));
      shadows(info.name, *to.mutable_shadows());
    }
    for (const RuleInfo& info : table.rules()) {
      rule(table.capabilities()[info.capability].name, info,
           *status.mutable_capabilities(info.capability)->add_rules());
    }
  }

 private:
  static std::string upstream_name(const RouteTable& table, std::uint16_t index) {
    return index == kNoIndex ? std::string() : table.upstreams()[index].name;
  }

  void share(const std::string& capability, const std::string& rule, std::string_view which, Percent percent,
             std::string_view by, v1::Share& to) const {
    to.set_percent_millionths(percent.millionths);
    if (percent.between()) to.set_by(std::string(by));
    to.set_eligible(eligible_.sum({capability, rule, which}));
    to.set_in(in_.sum({capability, rule, which}));
  }

  void rule(const std::string& capability, const RuleInfo& info, v1::Rule& to) const {
    const StageFacts& facts = info.facts;
    to.set_name(info.name);
    to.set_line(info.line);
    to.set_stage(std::string(to_string(info.stage)));
    share(capability, info.name, "canary", facts.new_share, facts.new_share_by ? to_string(*facts.new_share_by) : "",
          *to.mutable_new_reads());
    share(capability, info.name, "shadow", facts.shadow, to_string(facts.shadow_by), *to.mutable_shadowed_reads());
    to.set_write_owner(std::string(to_string(facts.owner)));
  }

  void shadows(const std::string& capability, v1::ShadowCounts& to) const {
    to.set_begun(begun_.sum({capability}));
    to.set_match(verdicts_.sum({capability, "match"}));
    to.set_ignored(verdicts_.sum({capability, "ignored"}));
    to.set_noise(verdicts_.sum({capability, "noise"}));
    to.set_lag(verdicts_.sum({capability, "lag"}));
    to.set_mismatch(verdicts_.sum({capability, "mismatch"}));
    to.set_incomparable(verdicts_.sum({capability, "incomparable"}));
    to.set_abandoned(verdicts_.sum({capability, "abandoned"}));
    for (const std::string_view severity : {"critical", "major", "minor"}) {
      v1::ReasonCount& count = *to.add_mismatch_severities();
      count.set_reason(std::string(severity));
      count.set_count(mismatches_.sum({capability, severity}));
    }
    add_reasons(verdict_reasons(capability, "incomparable"), *to.mutable_incomparable_reasons());
    add_reasons(verdict_reasons(capability, "abandoned"), *to.mutable_abandoned_reasons());
    Reasons skipped;
    for (const SeriesValue* series : not_shadowed_.with_first(capability)) skipped[series->labels[1]] += series->value;
    add_reasons(skipped, *to.mutable_not_shadowed());
  }

  Reasons verdict_reasons(const std::string& capability, std::string_view verdict) const {
    Reasons reasons;
    for (const SeriesValue* series : verdicts_.with_first(capability)) {
      if (series->labels[1] == verdict) reasons[series->labels[2]] += series->value;
    }
    return reasons;
  }

  const Numbers eligible_, in_, begun_, verdicts_, mismatches_, not_shadowed_;
};

// ---- upstreams ----

std::string shown(const EndpointSpec& endpoint) {
  const bool ipv6 = endpoint.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

void report_upstreams(const RouteTable& table, const Metrics& metrics, v1::GetStatusResponse& status) {
  const Numbers endpoints(metrics, families::kEndpoints), connections(metrics, families::kConnections),
      connect_failures(metrics, families::kConnectFailures), call_failures(metrics, families::kUpstreamFailures);
  for (const UpstreamInfo& info : table.upstreams()) {
    v1::Upstream& to = *status.add_upstreams();
    to.set_name(info.name);
    for (const EndpointSpec& endpoint : info.endpoints) to.add_endpoints(shown(endpoint));
    to.set_tls(info.tls.has_value());
    for (const auto& [role, states] : {std::pair(std::string_view("primary"), to.mutable_primary()),
                                       std::pair(std::string_view("shadow"), to.mutable_shadow())}) {
      states->set_healthy(endpoints.sum({info.name, role, "healthy"}));
      states->set_unhealthy(endpoints.sum({info.name, role, "unhealthy"}));
      states->set_ejected(endpoints.sum({info.name, role, "ejected"}));
    }
    to.set_connections(connections.sum({info.name}));
    to.set_connect_failures(connect_failures.sum({info.name}));
    to.set_call_failures(call_failures.sum({info.name}));
  }
}

}  // namespace

control::v1::GetStatusResponse report_status(const ProcessFacts& process, const PolicyState& policy,
                                             const Metrics& metrics, SystemTime now) {
  v1::GetStatusResponse status;
  report_process(process, now, status);
  report_policy(policy.in_force, *status.mutable_policy());
  if (policy.last_reload) report_reload(*policy.last_reload, *status.mutable_last_reload());
  const Numbers streams(metrics, families::kStreams);
  status.mutable_load()->set_primary_calls(streams.sum({"primary"}));
  status.mutable_load()->set_shadow_calls(streams.sum({"shadow"}));
  status.mutable_load()->set_comparisons_waiting(Numbers(metrics, families::kCompareQueue).all());
  CapabilityReporter(metrics).report(*policy.in_force.table, status);
  report_upstreams(*policy.in_force.table, metrics, status);
  return status;
}

}  // namespace ficus
