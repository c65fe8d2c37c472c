// Where mismatch traces go. Implementations: JsonlSink; tests' fakes; OTLP comes with the comparison work.
#pragma once

#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

class MismatchSink {
 public:
  virtual ~MismatchSink() = default;
  // Takes one redacted trace. Never throws, never blocks for long; a trace that cannot be kept is counted by the sink
  // (ficus_traces_total{outcome="dropped"}). Compare threads, several at a time.
  virtual void write(const ficus::trace::v1::MismatchTrace& trace) = 0;
  // Everything written so far has reached the file. Any thread.
  virtual void flush() = 0;
};

}  // namespace ficus
