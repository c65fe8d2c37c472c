// A comparison -> the trace that is written of it. Everything personal is hashed here, unless the policy names it
// plain: values, map keys in paths, grpc-messages, the business key. Pure.
#pragma once

#include "facade/compare/comparison.h"
#include "facade/shadow/compare_queue.h"
#include "facade/trace/redact.h"
#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

// A value shown plain is cut off after so many bytes, with "..." behind it.
inline constexpr std::size_t kMaxPlainBytes = 1024;

// Precondition: `job` has its table, both observations, and a method of the table. Tenant and consumer stand in the
// trace as they are: they are whom a policy's rules are about. Any thread; about 1 us a hashed value.
ficus::trace::v1::MismatchTrace build_trace(const CompareJob& job, const Comparison& comparison,
                                            const Redactor& redactor);

}  // namespace ficus
