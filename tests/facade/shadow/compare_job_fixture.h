// A compiled policy over testing.Service (schema_fixture.h) and jobs for it.
#pragma once

#include <memory>
#include <string>

#include "facade/shadow/compare_queue.h"

namespace ficus::test {

// One capability "inquiry" with the reads Get and Watch, the given text under `compare:` (indented by six), and one
// rule "inquiry-acme".
std::shared_ptr<const RouteTable> inquiry_table(const std::string& compare);

// A call of Get; the answers in text format. legacy is primary.
CompareJob get_job(std::shared_ptr<const RouteTable> table, const std::string& legacy, const std::string& fresh);

}  // namespace ficus::test
