// The options of `ficus serve`.
#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "facade/cli/cli.h"
#include "facade/cli/flag_values.h"
#include "facade/net/dns_resolver.h"
#include "facade/net/listen_socket.h"
#include "facade/serve.h"

namespace ficus {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr milliseconds kDay = hours(24);
constexpr milliseconds kYear = 365 * kDay;

// What is wrong with an address; empty: nothing.
std::string judge_host_port(std::string_view text) {
  const auto parsed = parse_host_port(text);
  return parsed ? std::string() : parsed.error();
}

std::string judge_dns_server(std::string_view text) {
  const auto checked = DnsResolver::check({std::string(text)});
  return checked ? std::string() : checked.error();
}

CLI::Option* as_address(CLI::Option* option) {
  return option->check(flag_check(std::string(kHostPortForm), judge_host_port), "")->type_name("HOST:PORT");
}

void add_socket_options(CLI::App& command, ServeOptions& options) {
  as_address(
      command.add_option("--listen", options.sockets.listen,
                         "HOST:PORT for clients, over cleartext HTTP/2; port 0 picks a free one. May be repeated"))
      ->allow_extra_args(false);
  as_address(command.add_option("--tls-listen", options.sockets.tls_listen,
                                "HOST:PORT for clients, over TLS. May be repeated"))
      ->allow_extra_args(false);
  command.add_option("--tls-cert", options.tls.cert, "Certificate chain of --tls-listen (PEM)")->type_name("FILE");
  command.add_option("--tls-key", options.tls.key, "Its private key (PEM)")->type_name("FILE");
  command.add_option("--tls-client-ca", options.tls.client_ca, "Who may vouch for clients' certificates (PEM)")
      ->type_name("FILE");
  add_word_flag(
      command, "--tls-client", options.tls.client, "Whether clients show a certificate",
      {{"none", TlsClientMode::kNone}, {"optional", TlsClientMode::kOptional}, {"required", TlsClientMode::kRequired}});
  as_address(command.add_option("--admin", options.sockets.admin, "HOST:PORT for /metrics /readyz /livez /policy"))
      ->capture_default_str();
  add_control_flag(command, options.control,
                   "A Unix socket's path, for `ficus status` and other gRPC clients of this user or root");
  add_count_flag(command, "--max-connections", options.listener.max_connections,
                 "Clients' connections of the whole facade; beyond, they are closed at once", std::size_t{1},
                 std::size_t{10'000'000});
  add_size_flag(command, "--max-held-bytes", options.held_bytes,
                "What the whole facade holds of calls whose one end does not take what the other sends; beyond, the\n"
                "client that causes the most of it is closed",
                std::uint64_t{1} << 20, std::uint64_t{1} << 40);
}

void add_succession_options(CLI::App& command, ServeOptions& options) {
  command
      .add_option("--takeover", options.takeover,
                  "A Unix socket's path. Given to the running facade and to its successor, the successor takes over\n"
                  "without a lost call; if nothing runs there, the start is an ordinary one")
      ->type_name("PATH");
  add_time_flag(command, "--takeover-timeout", options.takeover_timeout,
                "How long a successor may take to get ready before this process goes on without it", kDay);
}

void add_manners(CLI::App& command, ClientManners& manners) {
  add_time_flag(command, "--client-idle-timeout", manners.idle_timeout,
                "A client's connection without a call for this long is told to go away; 0: never", kYear);
  add_time_flag(command, "--keepalive-interval", manners.keepalive_interval,
                "PING a client that has been silent for this long; 0: never", kYear);
  add_time_flag(command, "--keepalive-timeout", manners.keepalive_timeout, "How long its answer may take", kDay);
  add_time_flag(command, "--max-connection-age", manners.max_connection_age,
                "Tell a client's connection of this age (a tenth more or less) to go away; 0: never", kYear);
  add_time_flag(command, "--max-connection-age-grace", manners.max_connection_age_grace,
                "How long its calls may go on then; 0: to their end", kYear);
  add_time_flag(command, "--preface-timeout", manners.preface_timeout, "For a new connection to say that it is HTTP/2",
                kDay);
  add_time_flag(command, "--head-timeout", manners.head_timeout, "For the head of a request, from its first byte",
                kDay);
  add_time_flag(command, "--message-timeout", manners.message_timeout,
                "For a request's message, once begun, to get on; between messages a stream may be silent. 0: never",
                kDay);
  add_time_flag(command, "--min-ping-interval", manners.min_ping_interval,
                "A client that PINGs more often, with no data between, is closed; 0: not judged", kDay);
}

// What the single options cannot judge. Empty: nothing to complain of.
std::string check_together(const ServeOptions& options) {
  const bool tls = !options.sockets.tls_listen.empty();
  if (tls && (options.tls.cert.empty() || options.tls.key.empty()))
    return "--tls-listen needs --tls-cert and --tls-key";
  if (options.tls.client != TlsClientMode::kNone && options.tls.client_ca.empty()) {
    return "--tls-client needs --tls-client-ca, or there is nobody to vouch for a client's certificate";
  }
  if (options.tls.client == TlsClientMode::kNone && !options.tls.client_ca.empty()) {
    return "--tls-client-ca does nothing without --tls-client optional (or required)";
  }
  if (options.manners.keepalive_interval.count() != 0 && options.manners.keepalive_timeout.count() == 0) {
    return "--keepalive-timeout 0 would close every client at its first PING; --keepalive-interval 0 turns PINGs off";
  }
  if (options.manners.preface_timeout.count() == 0) return "--preface-timeout 0 would let no client in";
  if (options.manners.head_timeout.count() == 0) return "--head-timeout 0 would let no request in";
  if (!options.control.empty() && options.control == options.takeover) {
    return "--control and --takeover name the same path; each is a socket of its own";
  }
  if (options.takeover_timeout.count() == 0) return "--takeover-timeout 0 would let no successor in";
  return {};
}

}  // namespace

void add_serve_command(CLI::App& app, CommandContext& context) {
  auto* command = app.add_subcommand("serve", "Serve gRPC traffic by a policy");
  auto options = std::make_shared<ServeOptions>();
  command->add_option("--policy", options->policy, "The routing policy (YAML); reloaded when it changes and on SIGHUP")
      ->required();
  add_socket_options(*command, *options);
  add_count_flag(*command, "--workers", options->workers, "Event loops, one a core", 1u, 256u);
  add_count_flag(*command, "--compare-threads", options->compare_threads, "Threads that compare shadow answers", 1u,
                 64u);
  add_time_flag(*command, "--shadow-max-lag", options->shadow_max_lag,
                "No new shadows while an event loop runs later than this, and for a second after; 0: not judged", kDay);
  command->add_option("--mismatch-log", options->mismatch_log,
                      "Write mismatch traces here, one JSON object a line (mode 0600)");
  command->add_option("--redact-key", options->redact_key, "Key file for hashed values; made if absent (mode 0600)");
  command
      ->add_option("--dns-server", options->dns_server,
                   "ADDRESS:PORT of the DNS server to ask for upstreams' names, instead of /etc/resolv.conf's")
      ->check(flag_check("ADDRESS:PORT, for example 127.0.0.1:53 or [::1]:53", judge_dns_server), "")
      ->type_name("ADDRESS:PORT");
  command->add_option("--port-file", options->port_file, "Write the addresses bound here, as JSON, when ready");
  add_word_flag(
      *command, "--log-level", options->log_level, "The least that is written to the log",
      {{"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warn", LogLevel::kWarn}, {"error", LogLevel::kError}});
  add_time_flag(*command, "--drain-timeout", options->drain_timeout,
                "How long calls in flight may go on after SIGTERM, or after a takeover", kDay);
  add_succession_options(*command, *options);
  add_manners(*command, options->manners);
  command->footer(
      "Times are a number and ms, s, m, h or d: 500ms, 30s, 2h; alone, seconds.\n\n"
      "Examples:\n"
      "  ficus serve --policy policies/first-step.yaml --listen 127.0.0.1:8080\n"
      "  ficus serve --policy p.yaml --listen 0.0.0.0:8080 --admin 127.0.0.1:9901 --workers 4 \\\n"
      "      --mismatch-log mismatches.jsonl --redact-key redact.key --takeover /run/ficus/takeover.sock \\\n"
      "      --control /run/ficus/control.sock   # ficus status asks there\n"
      "  ficus serve --policy p.yaml --tls-listen 0.0.0.0:8443 --tls-cert server.pem --tls-key server.key \\\n"
      "      --tls-client required --tls-client-ca clients-ca.pem   # they say who they are: peer_san\n\n"
      "Signals: SIGHUP reads the policy again; SIGTERM and SIGINT drain and stop,\n"
      "a second one stops at once.\n"
      "Sockets that systemd passes (FileDescriptorName= listen, tls or admin) stand for the options of their kind.\n"
      "Exit codes: 0 stopped or replaced by a successor, every call ended by itself; 1 the policy was refused, also\n"
      "one that would give a write another owner than the running facade does; 2 wrong usage, the policy's file\n"
      "cannot be read, or it could not start or take over (the running facade goes on); 4 stopped or replaced, and\n"
      "the drain timeout cut calls off.");
  command->callback([command, options, &context] {
    options->sockets.admin_given = command->count("--admin") != 0;
    if (const std::string wrong = check_together(*options); !wrong.empty()) {
      context.err << "ficus serve: " << wrong << '\n';
      context.exit_code = kExitUsage;
      return;
    }
    set_log_level(options->log_level);
    context.exit_code = serve(*options);
  });
}

}  // namespace ficus
