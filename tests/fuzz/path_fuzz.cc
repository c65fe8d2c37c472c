// ":path" and field paths: any bytes. What must hold: a path that is taken is "/service/method" again, byte for byte,
// with nothing in it that a server could read otherwise; a pattern of fields that is taken says the same when read
// from its own text, and takes no field that it does not also cover.
#include <string>
#include <string_view>

#include "routing/field_path.h"
#include "routing/rpc_path.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace ficus;

void judge_rpc_path(std::string_view text) {
  const auto path = parse_rpc_path(text);
  if (!path) return;
  FUZZ_CHECK(!path->service.empty() && !path->method.empty());
  FUZZ_CHECK("/" + std::string(path->service) + "/" + std::string(path->method) == text);
  for (std::string_view part : {path->service, path->method}) {
    for (char c : part) FUZZ_CHECK(c > 0x20 && c < 0x7f && c != '/' && c != '?' && c != '#' && c != '%');
  }
}

void judge_pattern(std::string_view text) {
  const auto pattern = PathPattern::parse(text);
  if (!pattern) {
    FUZZ_CHECK(!pattern.error().empty());
    return;
  }
  FUZZ_CHECK(!pattern->steps().empty());
  FUZZ_CHECK(pattern->text() == text);
  const auto again = PathPattern::parse(pattern->text());
  FUZZ_CHECK(again && *again == *pattern);
  // A path that the pattern takes: each star as one step.
  FieldPath path;
  for (const PathPattern::Step& step : pattern->steps()) {
    const bool named = step.kind == PathPattern::Step::Kind::kName;
    path.push_back({named ? step.name : "star", named && step.has_map_key, named ? step.map_key : ""});
  }
  FUZZ_CHECK(pattern->matches(path) && pattern->covers(path));
  path.push_back({"below", false, ""});
  FUZZ_CHECK(pattern->covers(path));
  path.front().name += "x";
  if (pattern->matches(path)) FUZZ_CHECK(pattern->covers(path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  judge_rpc_path(text);
  judge_pattern(text);
  return 0;
}
