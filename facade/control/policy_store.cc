#include "facade/control/policy_store.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

#include "facade/base/check.h"
#include "facade/base/log.h"
#include "facade/control/asio.h"
#include "facade/control/file_watcher.h"
#include "facade/control/json_writer.h"
#include "facade/control/loader_codes.h"
#include "facade/control/policy_change.h"
#include "facade/metrics/families.h"
#include "routing/owner_servers.h"
#include "routing/owner_table.h"
#include "routing/policy_parse.h"

namespace ficus {
namespace {

using Clock = std::chrono::system_clock;

constexpr std::size_t kLoggedDiagnostics = 50;  // lines of one reload; the rest are counted
constexpr std::size_t kShownDiagnostics = 200;  // in describe_json()

// RFC 3339, UTC, seconds.
std::string rfc3339(Clock::time_point at) {
  const std::time_t seconds = Clock::to_time_t(at);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

void log_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  const std::size_t shown = std::min(diagnostics.size(), kLoggedDiagnostics);
  for (std::size_t i = 0; i < shown; ++i) {
    const Diagnostic& diagnostic = diagnostics[i];
    const LogLevel level = diagnostic.level == DiagnosticLevel::kError ? LogLevel::kError : LogLevel::kWarn;
    log_event(level, "policy_diagnostic", to_string(diagnostic),
              {{"code", diagnostic.code}, {"path", diagnostic.yaml_path}});
  }
  if (diagnostics.size() > shown) {
    log_event(LogLevel::kWarn, "policy_diagnostics_cut", "the rest is not logged; `ficus check FILE` prints every one",
              {{"not_shown", diagnostics.size() - shown}});
  }
}

void write_diagnostics(JsonWriter& json, std::string_view key, const std::vector<Diagnostic>& diagnostics) {
  json.key(key).begin_array();
  const std::size_t shown = std::min(diagnostics.size(), kShownDiagnostics);
  for (std::size_t i = 0; i < shown; ++i) {
    const Diagnostic& diagnostic = diagnostics[i];
    json.begin_object();
    json.key("level").text(diagnostic.level == DiagnosticLevel::kError ? "error" : "warning");
    json.key("code").text(diagnostic.code).key("file").text(diagnostic.file);
    json.key("line").number(diagnostic.mark.line).key("column").number(diagnostic.mark.column);
    json.key("path")
        .text(diagnostic.yaml_path)
        .key("message")
        .text(diagnostic.message)
        .key("hint")
        .text(diagnostic.hint);
    json.end_object();
  }
  json.end_array();
  if (diagnostics.size() > shown) json.key(std::string(key) + "_not_shown").number(diagnostics.size() - shown);
}

// The policy for other eyes: a value written straight into `metadata.set` may be a secret.
Policy without_values(Policy policy) {
  for (UpstreamSpec& upstream : policy.upstreams) {
    for (MetadataSet& set : upstream.metadata_set) {
      if (!set.from_file) set.value = "not-shown";
    }
  }
  return policy;
}

Diagnostic owner_move_diagnostic(const Policy& next, const OwnerDiff& diff) {
  const OwnerMove& first = diff.moves.front();
  Diagnostic diagnostic;
  diagnostic.code = codes::kOwnerMoveNeedsRestart.code;
  diagnostic.file = next.file;
  diagnostic.mark = next.ownership_epoch.mark;
  diagnostic.yaml_path = "ownership_epoch";
  diagnostic.message = "restart to move owners: " + first.method + " for " + first.tenant + " would move from " +
                       first.from + " to " + first.to;
  const std::size_t others = diff.moves.size() - 1 + diff.more;
  if (others != 0) diagnostic.message += ", and " + std::to_string(others) + " more";
  diagnostic.hint = "writes in flight would reach both owners; drain and restart this facade with the new policy";
  return diagnostic;
}

// A policy that has to know callers by what no client of this process shows: told here, since only this process knows
// its listeners, and at each load, since a reload may bring such a policy.
std::vector<Diagnostic> unknowable_callers(const Policy& policy) {
  std::vector<Diagnostic> found;
  const auto judge = [&](const std::vector<IdentitySource>& sources, const char* what) {
    const auto verified = [](const IdentitySource& source) { return source.verified(); };
    if (sources.empty() || !std::all_of(sources.begin(), sources.end(), verified)) return;
    Diagnostic diagnostic;
    diagnostic.code = codes::kCallersUnknowable.code;
    diagnostic.level = DiagnosticLevel::kWarning;
    diagnostic.file = policy.file;
    diagnostic.mark = sources.front().mark;
    diagnostic.yaml_path = std::string("identity.") + what + "[0]";
    diagnostic.message = std::string("only a client certificate says which ") + what +
                         " calls, and no listener of this process asks for one: no " + what + " is ever known";
    diagnostic.hint = "serve with --tls-listen and --tls-client required (or optional), or add a source of metadata";
    found.push_back(std::move(diagnostic));
  };
  judge(policy.identity.tenant, "tenant");
  judge(policy.identity.consumer, "consumer");
  return found;
}

// The same at a takeover: the other process serves writes by its policy until it has drained.
Diagnostic predecessor_owner_diagnostic(const Policy& next, const OwnerDiff& diff) {
  Diagnostic diagnostic = owner_move_diagnostic(next, diff);
  diagnostic.hint =
      "two owners at once: the facade that this one takes over from still serves by its policy; stop it (SIGTERM, it "
      "drains), then start this one";
  return diagnostic;
}

// Whether `next` may follow `before` with writes in flight: its owners are the same upstreams, and those the same
// servers. Errors if not; otherwise what to say of it.
std::vector<Diagnostic> judge_owners(const Policy& before, const Policy& next,
                                     Diagnostic (*moved)(const Policy&, const OwnerDiff&)) {
  const OwnerDiff diff = diff_owners(before, next);
  std::vector<Diagnostic> found = check_epoch(before, next, diff);
  if (!found.empty()) return found;
  if (diff.any()) return {moved(next, diff)};
  return check_owner_servers(before, next);
}

void append(std::vector<Diagnostic>& to, std::vector<Diagnostic> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

struct PolicyStore::Impl : std::enable_shared_from_this<PolicyStore::Impl> {
  Impl(asio::io_context& io, PolicyStoreOptions given, Publisher& to, Metrics& metrics)
      : control(io),
        options(std::move(given)),
        publisher(to),
        shard(metrics.add_shard()),
        predecessor(options.predecessor),
        watcher(io, {options.settle, options.poll, options.use_inotify}, [this] { reload_now("file_changed"); }) {
    // Zero is a value too: an alert on refused reloads needs the series before the first.
    for (const char* outcome : {"applied", "unchanged", "refused"}) shard.counter(families::kReloads, {outcome});
    shard.gauge(families::kPolicyReloadOk, {}).set(1);
  }

  asio::io_context& control;
  const PolicyStoreOptions options;
  Publisher& publisher;
  MetricsShard& shard;
  std::shared_ptr<const Policy> predecessor;  // of a process that serves beside us
  FileWatcher watcher;
  bool refused_for_predecessor = false;  // the last reload, for no other reason
  bool held = false;
  std::optional<std::string> held_trigger;  // of the reload that waits for release()
  bool watching = false;
  bool closed = false;
  std::vector<std::string> files;  // of the last load, good or bad
  std::vector<FileStamp> stamps;

  mutable std::mutex mutex;  // guards what state() reads
  PolicyInForce in_force;
  std::optional<PolicyReload> last_reload;

  LoadOptions load_options(std::uint64_t generation) const {
    LoadOptions load = options.load;
    if (options.today) load.today = options.today();
    load.generation = generation;
    return load;
  }

  Result<void, LoadFailure> load_first() {
    auto loaded = load_policy(options.path, load_options(options.load.generation));
    if (!loaded) return fail(std::move(loaded.error()));
    std::vector<Diagnostic> judged = beside_predecessor(loaded->table->policy());
    append(judged, std::move(loaded->warnings));
    if (has_error(judged)) {
      return fail(LoadFailure{std::move(judged), false, std::move(loaded->files), std::move(loaded->stamps)});
    }
    loaded->warnings = std::move(judged);
    log_diagnostics(loaded->warnings);
    warn_of_unknowable_callers(*loaded);
    log_event(LogLevel::kInfo, "policy_loaded", "the first policy is in force",
              {{"file", options.path},
               {"name", loaded->table->name()},
               {"generation", loaded->table->generation()},
               {"hash", loaded->table->hash()}});
    remember_files(loaded->files, loaded->stamps);
    publish(*std::move(loaded), [] {});
    return {};
  }

  // An event of its own beside the loader's diagnostics, to be found by its name: calls go astray without an error.
  void warn_of_unknowable_callers(LoadedPolicy& loaded) const {
    if (options.clients_show_certificates) return;
    for (Diagnostic& diagnostic : unknowable_callers(loaded.table->policy())) {
      const bool tenants = diagnostic.yaml_path.find("tenant") != std::string::npos;
      log_event(LogLevel::kWarn, tenants ? "tenants_unknowable" : "consumers_unknowable", to_string(diagnostic),
                {{"code", diagnostic.code}, {"path", diagnostic.yaml_path}});
      loaded.warnings.push_back(std::move(diagnostic));
    }
    sort_by_mark(loaded.warnings);
  }

  // What is to be said of `next` beside the predecessor; errors keep it from serving there.
  std::vector<Diagnostic> beside_predecessor(const Policy& next) const {
    if (predecessor == nullptr) return {};
    return judge_owners(*predecessor, next, predecessor_owner_diagnostic);
  }

  void remember_files(std::vector<std::string> now_files, std::vector<FileStamp> now_stamps) {
    files = std::move(now_files);
    stamps = std::move(now_stamps);
    if (watching) watcher.watch(files, stamps);
  }

  // `on_all_workers` runs on the control thread.
  void publish(LoadedPolicy loaded, std::function<void()> on_all_workers) {
    const auto table = loaded.table;
    {
      const std::lock_guard lock(mutex);
      in_force = {table, std::move(loaded.warnings), std::move(loaded.files), Clock::now(), false};
    }
    publisher.publish(table, [weak = weak_from_this(), &io = control, table, then = std::move(on_all_workers)] {
      asio::post(io, [weak, table, then] {
        const auto self = weak.lock();
        if (!self || self->closed) return;
        {
          const std::lock_guard lock(self->mutex);
          if (self->in_force.table == table) self->in_force.by_all_workers = true;
        }
        then();
      });
    });
  }

  void finish(std::string outcome, std::string_view trigger, std::vector<Diagnostic> diagnostics) {
    shard.counter(families::kReloads, {outcome}).add();
    shard.gauge(families::kPolicyReloadOk, {}).set(outcome == "refused" ? 0 : 1);
    const std::lock_guard lock(mutex);
    last_reload = PolicyReload{std::move(outcome), std::string(trigger), Clock::now(), std::move(diagnostics)};
  }

  void refuse(std::string_view trigger, std::vector<Diagnostic> diagnostics) {
    log_diagnostics(diagnostics);
    const RouteTable& stays = *in_force.table;
    log_event(LogLevel::kError, "policy_reload_refused",
              "the policy in force stays; mend the file, it is read again when it changes",
              {{"file", options.path},
               {"trigger", trigger},
               {"diagnostics", diagnostics.size()},
               {"generation", stays.generation()},
               {"hash", stays.hash()}});
    finish("refused", trigger, std::move(diagnostics));
  }

  // in_force is written on this thread only (and before it runs), so it is read here without the mutex.
  void reload_now(std::string_view trigger) {
    if (closed) return;
    FICUS_CHECK(in_force.table != nullptr) << "reload before load_first";
    if (held) {
      log_event(LogLevel::kInfo, "policy_reload_held", "a successor is starting; the policy is read again if it fails",
                {{"trigger", trigger}});
      held_trigger = trigger;
      return;
    }
    refused_for_predecessor = false;
    const auto current = in_force.table;
    auto loaded = load_policy(options.path, load_options(current->generation() + 1));
    if (!loaded) {
      remember_files(std::move(loaded.error().files), std::move(loaded.error().stamps));
      refuse(trigger, std::move(loaded.error().diagnostics));
      return;
    }
    remember_files(loaded->files, loaded->stamps);
    if (loaded->table->hash() == current->hash()) {
      log_event(LogLevel::kInfo, "policy_unchanged", "the files hold what is in force already",
                {{"trigger", trigger}, {"generation", current->generation()}, {"hash", current->hash()}});
      finish("unchanged", trigger, {});
      return;
    }
    const Policy& next = loaded->table->policy();
    std::vector<Diagnostic> judged = judge_owners(current->policy(), next, owner_move_diagnostic);
    if (!has_error(judged)) {
      std::vector<Diagnostic> beside = beside_predecessor(next);
      refused_for_predecessor = has_error(beside);
      if (refused_for_predecessor) judged = std::move(beside);  // its warnings alone are the first load's
    }
    append(judged, std::move(loaded->warnings));
    if (has_error(judged)) {
      refuse(trigger, std::move(judged));
      return;
    }
    loaded->warnings = std::move(judged);
    log_diagnostics(loaded->warnings);
    warn_of_unknowable_callers(*loaded);
    const auto table = loaded->table;
    const auto change = brief_change(current->policy(), next);
    finish("applied", trigger, {});
    publish(*std::move(loaded), [table, change, how = std::string(trigger)] {
      log_event(LogLevel::kInfo, "policy_applied", "new calls go by this policy on every worker",
                {{"trigger", how}, {"generation", table->generation()}, {"hash", table->hash()}, {"changed", change}});
    });
  }
};

PolicyStore::PolicyStore(asio::io_context& control, PolicyStoreOptions options, Publisher& publisher, Metrics& metrics)
    : impl_(std::make_shared<Impl>(control, std::move(options), publisher, metrics)) {}

PolicyStore::~PolicyStore() { impl_->closed = true; }

Result<void, LoadFailure> PolicyStore::load_first() { return impl_->load_first(); }

void PolicyStore::watch() {
  FICUS_CHECK(impl_->in_force.table != nullptr) << "watch before load_first";
  impl_->watching = true;
  impl_->watcher.watch(impl_->files, impl_->stamps);
}

void PolicyStore::predecessor_gone() {
  impl_->predecessor = nullptr;
  if (impl_->refused_for_predecessor) impl_->reload_now("predecessor_gone");
}

void PolicyStore::hold() { impl_->held = true; }

void PolicyStore::release() {
  impl_->held = false;
  if (const auto trigger = std::exchange(impl_->held_trigger, std::nullopt)) impl_->reload_now(*trigger);
}

void PolicyStore::reload() {
  asio::post(impl_->control, [weak = impl_->weak_from_this()] {
    if (const auto self = weak.lock()) self->reload_now("signal");
  });
}

PolicyState PolicyStore::state() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->in_force, impl_->last_reload};
}

std::string PolicyStore::describe_json() const {
  const auto [now, last] = state();
  JsonWriter json;
  json.begin_object();
  json.key("in_force");
  if (now.table == nullptr) {
    json.null();
  } else {
    const RouteTable& table = *now.table;
    json.begin_object();
    json.key("name").text(table.name()).key("hash").text(table.hash()).key("generation").number(table.generation());
    json.key("ownership_epoch").number(table.policy().ownership_epoch.value);
    json.key("since").text(rfc3339(now.since)).key("by_all_workers").boolean(now.by_all_workers);
    json.key("files").begin_array();
    for (const std::string& file : now.files) json.text(file);
    json.end_array();
    write_diagnostics(json, "warnings", now.warnings);
    json.key("policy").text(print_policy(without_values(table.policy())));
    json.end_object();
  }
  json.key("last_reload");
  if (!last) {
    json.null();
  } else {
    json.begin_object();
    json.key("outcome").text(last->outcome).key("trigger").text(last->trigger).key("at").text(rfc3339(last->at));
    write_diagnostics(json, "diagnostics", last->diagnostics);
    json.end_object();
  }
  json.end_object();
  return json.take() + "\n";
}

}  // namespace ficus
