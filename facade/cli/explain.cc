// `ficus explain FILE --method M ...`: the policy's answer for one call, without making it.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "facade/cli/cli.h"
#include "facade/cli/explanation.h"
#include "facade/cli/flag_values.h"
#include "facade/cli/output.h"
#include "routing/peer_san.h"

namespace ficus {
namespace {

struct ExplainArguments {
  std::string file;
  std::string method;
  std::optional<std::string> tenant, consumer, key;
  std::vector<std::string> metadata;
  std::vector<std::string> peer_sans;
  bool json = false;
};

void read_method(const std::string& text, ExplainedCall& call) {
  auto read = read_flag_method(text);
  if (!read) throw_wrong_value("--method", text, read.error());
  std::tie(call.service, call.method) = *std::move(read);
}

void read_metadata(const std::string& text, ExplainedCall& call) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw_wrong_value("--metadata", text, {"name=value", ""});
  }
  std::string name = text.substr(0, equals);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  call.metadata.emplace_back(std::move(name), text.substr(equals + 1));
}

// What no certificate could put into RpcHead::peer_sans must not be explained as if it could.
void read_peer_san(const std::string& text, ExplainedCall& call) {
  if (!admissible_peer_san(san_kind_shown(text), text)) {
    throw_wrong_value("--peer-san", text, {"a URI, DNS name or email address", ""});
  }
  call.peer_sans.push_back(text);
}

int run_explain(const ExplainArguments& arguments, CommandContext& context) {
  ExplainedCall call;
  read_method(arguments.method, call);
  for (const std::string& entry : arguments.metadata) read_metadata(entry, call);
  for (const std::string& san : arguments.peer_sans) read_peer_san(san, call);
  call.tenant = arguments.tenant;
  call.consumer = arguments.consumer;
  call.key = arguments.key;

  const auto loaded = load_for_command(arguments.file, context);
  if (!loaded) {
    // Whoever asked for JSON reads it from `out`: there is none.
    for (const Diagnostic& diagnostic : loaded.error().diagnostics) {
      print_diagnostic(arguments.json ? context.err : context.out, diagnostic, Paint(context.colour && !arguments.json));
    }
    return loaded.error().unreadable ? kExitUsage : kExitProblems;
  }
  const Explanation explanation = explain(*loaded->table, call);
  if (arguments.json) {
    context.out << to_json(explanation) << '\n';
    for (const std::string& note : explanation.notes) context.err << "note: " << note << '\n';
  } else {
    context.out << to_text(explanation, arguments.file, context.colour);
  }
  if (!loaded->warnings.empty()) {
    context.err << arguments.file << ": " << counted(loaded->warnings.size(), "warning") << "; `ficus check "
                << arguments.file << "` shows what they say\n";
  }
  return kExitOk;
}

}  // namespace

void add_explain_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<ExplainArguments>();
  CLI::App* command = app.add_subcommand("explain", "Say where a call would go by a policy, and why");
  command->add_option("FILE", arguments->file, "The policy")->required();
  command->add_option("--method", arguments->method, "pkg.Service/Method, with or without a leading slash")->required();
  command->add_option("--tenant", arguments->tenant, "What `identity.tenant` yields; else it is sought in the metadata");
  command->add_option("--consumer", arguments->consumer, "What `identity.consumer` yields; else sought likewise");
  command->add_option("--key", arguments->key, "What the capability's `key` yields");
  command->add_option("--metadata", arguments->metadata, "One name=value of the call; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command->add_option("--peer-san", arguments->peer_sans,
                      "One SAN of the client's verified certificate; may be repeated")
      ->type_name("SAN")
      ->allow_extra_args(false);
  command->add_flag("--json", arguments->json, "One JSON object instead of text");
  add_today_option(*command, context);
  command->footer(R"(Nothing is sent anywhere. What hangs on a call's own random number (a shadow by request) is shown as open.

Examples:
  ficus explain policies/insurer.yaml --method insurance.policy.v1.PolicyService/GetPolicy --tenant acme
  ficus explain policies/insurer.yaml --method insurance.policy.v1.PolicyService/GetPolicy \
      --metadata x-tenant-id=globex --metadata x-product=personal-auto --key P-0001234
  ficus explain policies/insurer.yaml --method insurance.policy.v1.PolicyService/EndorseAddress --tenant acme --json

Exit codes: 0 explained (a refusal is an answer too), 1 the policy has errors, 2 wrong arguments or a file that cannot be read.)");
  command->callback([arguments, &context] { context.exit_code = run_explain(*arguments, context); });
}

}  // namespace ficus
