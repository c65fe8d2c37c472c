#include "routing/vocabulary.h"

#include <array>
#include <cstddef>

namespace ficus {
namespace {

// One table a type, in the order of its enumerators: both directions read it.
constexpr std::array<std::string_view, 2> kSides = {"legacy", "new"};
constexpr std::array<std::string_view, 7> kStages = {"off",  "dual_write", "shadow",  "canary",
                                                     "live", "rampdown",   "complete"};
constexpr std::array<std::string_view, 4> kShareBys = {"tenant", "consumer", "key", "request"};
constexpr std::array<std::string_view, 2> kBalances = {"least_request", "round_robin"};
constexpr std::array<std::string_view, 17> kGrpcCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

template <class E, std::size_t N>
std::optional<E> find_word(const std::array<std::string_view, N>& words, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == text) return static_cast<E>(i);
  }
  return std::nullopt;
}

// A value outside the enumeration (a cast from a number off the wire) has no word; it is shown, never read out of
// bounds.
template <class E, std::size_t N>
std::string_view word_of(const std::array<std::string_view, N>& words, E value) {
  const auto i = static_cast<std::size_t>(value);
  return i < N ? words[i] : std::string_view("?");
}

}  // namespace

std::string_view to_string(Side side) { return word_of(kSides, side); }
std::optional<Side> parse_side(std::string_view text) { return find_word<Side>(kSides, text); }

std::string_view to_string(Stage stage) { return word_of(kStages, stage); }
std::optional<Stage> parse_stage(std::string_view text) { return find_word<Stage>(kStages, text); }

std::string_view to_string(ShareBy by) { return word_of(kShareBys, by); }
std::optional<ShareBy> parse_share_by(std::string_view text) { return find_word<ShareBy>(kShareBys, text); }

std::string_view to_string(MethodKind kind) { return kind == MethodKind::kRead ? "read" : "write"; }

std::string_view to_string(Balance balance) { return word_of(kBalances, balance); }
std::optional<Balance> parse_balance(std::string_view text) { return find_word<Balance>(kBalances, text); }

std::string to_string(Percent percent) {
  constexpr std::uint32_t kOnePercent = Percent::kFull / 100;
  std::string text = std::to_string(percent.millionths / kOnePercent);
  std::uint32_t rest = percent.millionths % kOnePercent;
  if (rest == 0) return text;
  text += '.';
  for (std::uint32_t digit = kOnePercent / 10; rest != 0; digit /= 10) {
    text += static_cast<char>('0' + rest / digit);
    rest %= digit;
  }
  return text;
}

std::string_view to_string(GrpcCode code) { return word_of(kGrpcCodes, code); }
std::optional<GrpcCode> parse_grpc_code(std::string_view name) { return find_word<GrpcCode>(kGrpcCodes, name); }

std::string to_string(GrpcCodeSet codes) {
  std::string text;
  for (std::size_t i = 0; i < kGrpcCodes.size(); ++i) {
    if (codes.has(static_cast<GrpcCode>(i))) text.append(text.empty() ? "" : ", ").append(kGrpcCodes[i]);
  }
  return text.empty() ? "none" : text;
}

}  // namespace ficus
