// The differ: a schema, two messages of it and rules, all made of the input's bytes
// (tests/facade/compare/differ_case.h). What must hold are the laws of differ_laws.h: a message matches itself, rules
// only remove differences, a permutation is ignored under `unordered`, sides can be exchanged, and the verdict is what
// the walk says.
//
// Input: any bytes; each is one decision, first those of the schema, then the rules, then the messages.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/facade/compare/differ_laws.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ficus::test;
  if (size > 4096) return 0;
  const DifferCase c = differ_case_of(std::string_view(reinterpret_cast<const char*>(data), size));
  for (auto* law :
       {self_match_broken, rules_add_differences, permutation_broken, swap_broken, canonical_broken, verdict_broken}) {
    const std::string broken = law(c);
    if (!broken.empty()) std::fprintf(stderr, "%s\n%s", broken.c_str(), describe(c).c_str());
    FUZZ_CHECK(broken.empty());
  }
  return 0;
}
