// `ficus compare LEGACY NEW --policy P --method M ...`: the verdict on two answers as serve would give it.
#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "facade/cli/answer_file.h"
#include "facade/cli/cli.h"
#include "facade/cli/comparison_print.h"
#include "facade/cli/flag_values.h"
#include "facade/cli/output.h"
#include "facade/compare/response_diff.h"
#include "facade/shadow/trace_builder.h"
#include "facade/trace/redact.h"
#include "facade/trace/trace_json.h"
#include "routing/spelling.h"

namespace ficus {
namespace {

// One side as the flags give it.
struct AnswerArguments {
  Side side;
  std::string file;
  GrpcCode status = GrpcCode::kOk;
  std::string_view encoding;  // "": identity
};

struct CompareArguments {
  AnswerArguments legacy{Side::kLegacy, {}}, fresh{Side::kNew, {}};
  std::string policy, method, capability;
  Side primary = Side::kLegacy;
  std::string redact_key;
  bool framed = false;
  bool json = false;
};

std::string flag(const AnswerArguments& answer, std::string_view what) {
  return "--" + std::string(to_string(answer.side)) + '-' + std::string(what);
}

// A side's answer as serve would have observed it. Error: a sentence.
Result<ObservationPtr, std::string> read_answer(const AnswerArguments& arguments, bool framed,
                                                const UpstreamInfo& upstream, std::istream* in) {
  auto messages = read_answer_file(arguments.file, framed ? AnswerFormat::kFramed : AnswerFormat::kBareMessage, in);
  if (!messages) return fail(std::move(messages.error()));
  auto answer = std::make_shared<Observation>();
  answer->side = arguments.side;
  answer->grpc_status = arguments.status;
  answer->grpc_encoding = arguments.encoding;
  answer->upstream = upstream.name;
  answer->messages = *std::move(messages);
  // An empty file is an empty message, except where there was no answer to write into it.
  if (!framed && arguments.status != GrpcCode::kOk && answer->messages.front().bytes.empty()) answer->messages.clear();
  for (std::size_t i = 0; i < answer->messages.size(); ++i) {
    const ObservedMessage& message = answer->messages[i];
    answer->message_bytes += message.bytes.size();
    if (message.compressed && arguments.encoding.empty()) {
      return fail(printable(arguments.file) + ": message " + std::to_string(i + 1) + " is compressed; say how with " +
                  flag(arguments, "encoding gzip") + " (the answer's grpc-encoding)");
    }
  }
  return ObservationPtr(std::move(answer));
}

// The method's entry in the table. Throws where the method is no read: nothing else is ever compared.
std::uint16_t find_read(const RouteTable& table, const CompareArguments& arguments, const CompareJob& job) {
  std::uint16_t found = kNoIndex;
  std::vector<std::string> reads;
  for (std::uint16_t i = 0; i < table.methods().size(); ++i) {
    const MethodEntry& entry = table.methods()[i];
    if (entry.kind == MethodKind::kRead && entry.capability != kNoIndex)
      reads.push_back(entry.service + '/' + entry.method);
    if (entry.service != job.service) continue;
    const bool exact = entry.method == job.method_name;
    if (exact || (entry.method == "*" && found == kNoIndex)) found = i;
    if (exact) break;
  }
  const std::string_view asked = arguments.method;
  if (found == kNoIndex) {
    const std::string name = job.service + '/' + job.method_name;
    throw_wrong_value(
        "--method", asked,
        {"a read of the policy", did_you_mean(name, std::vector<std::string_view>(reads.begin(), reads.end()))});
  }
  const MethodEntry& entry = table.methods()[found];
  if (entry.capability == kNoIndex) {
    throw_wrong_value("--method", asked, {"a read of the policy", "it is unmanaged: in no capability"});
  }
  const std::string& capability = table.capabilities()[entry.capability].name;
  if (entry.kind == MethodKind::kWrite) {
    throw_wrong_value(
        "--method", asked,
        {"a read of the policy", "it is a write of " + capability + ", and writes are never asked twice"});
  }
  if (!arguments.capability.empty() && arguments.capability != capability) {
    throw_wrong_value("--capability", arguments.capability, {capability, "the method belongs to that one"});
  }
  return found;
}

Result<Redactor, std::string> make_redactor(const std::string& key_file) {
  if (key_file.empty()) return Redactor::ephemeral();
  auto read = Redactor::read_key_file(key_file);
  if (!read) return fail(read.error() + "; give the file that `serve --redact-key` has");
  return read;
}

int exit_code_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMatch:
    case Verdict::kIgnored:
      return kExitOk;
    case Verdict::kNoise:
    case Verdict::kLag:
    case Verdict::kMismatch:
      return kExitProblems;
    case Verdict::kIncomparable:
    case Verdict::kAbandoned:
      return kExitNoVerdict;
  }
  return kExitNoVerdict;
}

int refuse(CommandContext& context, const std::string& sentence) {
  context.err << sentence << '\n';
  return kExitUsage;
}

void print(const CompareArguments& arguments, const Comparison& comparison, const CompareJob& job,
           const Redactor& redactor, CommandContext& context) {
  ficus::trace::v1::MismatchTrace trace = build_trace(job, comparison, redactor);
  trace.clear_time();  // of no call
  trace.clear_generation();
  if (arguments.json) {
    context.out << trace_json(trace).value_or("{}") << '\n';
  } else {
    context.out << to_text(trace, context.colour);
  }
  if (const std::string sentence = explain_reason(comparison.reason, arguments.framed); !sentence.empty()) {
    context.err << "note: " << sentence << '\n';
  }
  if (arguments.redact_key.empty() && !comparison.differences.empty()) {
    context.err << "note: values that the policy does not show plain are hashed under a key of this run; "
                   "--redact-key FILE gives the hashes of serve's traces\n";
  }
}

int run_compare(const CompareArguments& arguments, CommandContext& context) {
  // protobuf complains on stderr of every invalid UTF-8 string that it parses. The verdict says what is wrong.
  google::protobuf::SetLogHandler(nullptr);
  CompareJob job;
  auto method = read_flag_method(arguments.method);
  if (!method) throw_wrong_value("--method", arguments.method, method.error());
  std::tie(job.service, job.method_name) = *std::move(method);
  if (arguments.legacy.file == "-" && arguments.fresh.file == "-") {
    return refuse(context, "standard input can be one of the two answers, not both");
  }
  for (const AnswerArguments* answer : {&arguments.legacy, &arguments.fresh}) {
    if (!answer->encoding.empty() && !arguments.framed) {
      return refuse(context, flag(*answer, "encoding") + " is about gRPC frames; give --framed too");
    }
  }
  const auto redactor = make_redactor(arguments.redact_key);
  if (!redactor) return refuse(context, redactor.error());

  const auto loaded = load_for_command(arguments.policy, context);
  if (!loaded) {
    for (const Diagnostic& diagnostic : loaded.error().diagnostics)
      print_diagnostic(context.err, diagnostic, Paint(false));
    return kExitUsage;
  }
  job.table = loaded->table;
  job.descriptors = std::dynamic_pointer_cast<const DescriptorStore>(job.table->catalog());
  job.method = find_read(*job.table, arguments, job);
  const CapabilityInfo& capability = job.table->capabilities()[job.table->methods()[job.method].capability];

  const auto& upstreams = job.table->upstreams();
  auto legacy = read_answer(arguments.legacy, arguments.framed, upstreams[capability.legacy_upstream], context.in);
  if (!legacy) return refuse(context, legacy.error());
  auto fresh = read_answer(arguments.fresh, arguments.framed, upstreams[capability.new_upstream], context.in);
  if (!fresh) return refuse(context, fresh.error());
  const bool legacy_serves = arguments.primary == Side::kLegacy;
  job.primary = legacy_serves ? *legacy : *fresh;
  job.shadow = legacy_serves ? *fresh : *legacy;

  const Comparison comparison =
      diff_responses(*job.primary, *job.shadow, job.service, job.method_name, capability.compare, job.descriptors.get(),
                     CompareLimits{}, [] { return std::chrono::steady_clock::now(); });
  print(arguments, comparison, job, *redactor, context);
  if (!loaded->warnings.empty()) {
    context.err << printable(arguments.policy) << ": " << counted(loaded->warnings.size(), "warning")
                << "; `ficus check " << printable(arguments.policy) << "` shows what they say\n";
  }
  return exit_code_of(comparison.verdict);
}

GrpcCode read_status(const std::string& name, const std::string& text) {
  if (const auto code = parse_grpc_code(text)) return *code;
  std::vector<std::string_view> names;
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(GrpcCode::kUnauthenticated); ++i) {
    names.push_back(to_string(static_cast<GrpcCode>(i)));
  }
  throw_wrong_value(name, text, {"the name of a grpc-status, as OK or NOT_FOUND", did_you_mean(text, names)});
}

void add_answer_options(CLI::App& command, AnswerArguments& answer) {
  const std::string side(to_string(answer.side));
  const std::string status = flag(answer, "status");
  command
      .add_option_function<std::string>(
          status, [&answer, status](const std::string& text) { answer.status = read_status(status, text); },
          "The grpc-status of " + side + "'s answer [OK]")
      ->type_name("CODE");
  add_word_flag(command, flag(answer, "encoding"), answer.encoding,
                "The grpc-encoding of " + side + "'s answer, for compressed frames",
                {{"identity", ""}, {"gzip", "gzip"}, {"deflate", "deflate"}});
}

}  // namespace

void add_compare_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command = app.add_subcommand("compare", "Give the verdict on two answers, as serve would");
  command->add_option("LEGACY", arguments->legacy.file, "Legacy's answer; - for standard input")->required();
  command->add_option("NEW", arguments->fresh.file, "New's answer; - for standard input")->required();
  command->add_option("--policy", arguments->policy, "The policy with the rules")->required();
  command->add_option("--method", arguments->method, "The read: pkg.Service/Method, with or without a leading slash")
      ->required();
  command->add_option("--capability", arguments->capability, "Refuse unless the method belongs to this capability");
  command->add_flag("--framed", arguments->framed,
                    "The files hold gRPC's length-prefixed messages as on the wire, not one bare message");
  add_answer_options(*command, arguments->legacy);
  add_answer_options(*command, arguments->fresh);
  add_word_flag(*command, "--primary", arguments->primary, "The side that served the client",
                {{"legacy", Side::kLegacy}, {"new", Side::kNew}});
  command->add_option("--redact-key", arguments->redact_key,
                      "The key file of `serve --redact-key`: the same hashes as in its traces");
  command->add_flag("--json", arguments->json, "A trace as in serve's mismatch log instead of text");
  add_today_option(*command, context);
  command->footer(
      R"(Nothing is sent anywhere. The policy's compare rules and limits are those of serve. Values that the policy does not show
plain are hashed. An empty file is an empty message; where the status is not OK, it is no message.

Examples:
  ficus compare legacy.bin new.bin --policy policies/insurer.yaml --method insurance.policy.v1.PolicyService/GetPolicy
  ficus compare legacy.bin repriced.bin --policy policies/insurer.yaml \
      --method insurance.policy.v1.PolicyService/GetPolicy --redact-key redact.key    # exit 1
  ficus compare legacy.bin /dev/null --new-status NOT_FOUND --policy policies/insurer.yaml \
      --method insurance.policy.v1.PolicyService/GetPolicy --json    # exit 1
  ficus compare legacy.grpc - --framed --policy policies/insurer.yaml \
      --method insurance.policy.v1.PolicyService/GetPolicy <new.grpc
  ficus compare legacy.bin legacy.grpc --policy policies/insurer.yaml \
      --method insurance.policy.v1.PolicyService/GetPolicy    # exit 3, for want of --framed

Exit codes: 0 match or ignored, 1 mismatch, 2 wrong arguments, a file that cannot be read or a policy with errors,
3 incomparable or abandoned: there is nothing to say of the answers.)");
  command->callback([arguments, &context] { context.exit_code = run_compare(*arguments, context); });
}

}  // namespace ficus
