// Collects what one upstream answers into an Observation, within a budget. Thread: the worker's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "facade/compare/observation.h"
#include "facade/h2/header_block.h"
#include "facade/wire/grpc_frame.h"

namespace ficus {

// Bytes that shadows of one worker may hold in all; shared by its taps.
struct ShadowBudget {
  std::size_t bytes = 0;
  std::size_t limit = 0;  // limit "shadow_bytes"
};

class AnswerCapture : private GrpcFrameReader::Sink {
 public:
  // `budget` outlives the capture.
  explicit AnswerCapture(ShadowBudget& budget) : budget_(&budget) {}
  ~AnswerCapture() override { release(); }
  AnswerCapture(const AnswerCapture&) = delete;
  AnswerCapture& operator=(const AnswerCapture&) = delete;

  // At most this many bytes of messages and metadata are kept; set before the first byte.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
  // Metadata of these names is kept too, within the same limit; outlives the capture. Set before the head.
  void set_metadata(const std::vector<std::string>* names) noexcept { names_ = names; }
  void on_headers(const HeaderBlock& head, bool end_stream);
  // Keeps messages until the limit or the budget is reached; then drops all of them and only counts.
  void on_data(std::string_view bytes);
  // The answer ended in order.
  void on_end(const HeaderBlock* trailers);
  // It ended otherwise; `status` is what the facade makes of it.
  void fail(Observation::End end, GrpcCode status, std::string_view detail);

  bool done() const noexcept { return done_; }
  bool over_limit() const noexcept { return over_limit_; }
  // The budget's limit, not the call's own, was what ended keeping.
  bool over_budget() const noexcept { return over_budget_; }
  std::size_t held_bytes() const noexcept { return held_; }
  // What was seen; the caller adds side, times and the upstream's name. Call once, when done. `charge` is what the
  // caller owes the budget from now on, until it lets the messages go.
  Observation take(std::size_t& charge);
  // Drops what is held and gives the budget back.
  void release() noexcept;

 private:
  void on_message_begin(bool compressed, std::uint32_t length) override;
  void on_message_bytes(std::string_view piece) override;
  void on_message_end() override {}
  void keep_metadata(const HeaderBlock& block);
  // False: over a limit, and all that was held is dropped.
  bool charge(std::size_t bytes) noexcept;
  void give_up() noexcept;

  ShadowBudget* budget_;
  const std::vector<std::string>* names_ = nullptr;
  std::size_t limit_ = 0;
  std::size_t held_ = 0;
  GrpcFrameReader reader_;
  Observation seen_;
  std::string http_status_;
  bool done_ = false;
  bool over_limit_ = false;
  bool over_budget_ = false;
};

}  // namespace ficus
