#include "facade/shadow/answer_capture.h"

#include <algorithm>
#include <utility>

#include "facade/wire/grpc_status.h"

namespace ficus {
namespace {

// A status stands in the trailers, or, in a trailers-only answer, in the head. Without one it is what HTTP says.
void read_status(const HeaderBlock& block, Observation& seen, std::string_view http_status) {
  const auto status = block.find("grpc-status");
  if (status) {
    seen.grpc_status = parse_grpc_status(status);
    if (const auto message = block.find("grpc-message")) seen.grpc_message = decode_grpc_message(*message);
  } else {
    seen.grpc_status = http_status == "200" ? GrpcCode::kUnknown : grpc_code_of_http(http_status);
  }
}

// What one message costs beside its bytes, so that a flood of empty ones is bounded too.
constexpr std::size_t kMessageOverheadBytes = sizeof(ObservedMessage);

}  // namespace

void AnswerCapture::on_headers(const HeaderBlock& head, bool end_stream) {
  if (done_) return;
  http_status_ = head.find(":status").value_or("");
  seen_.grpc_encoding = head.find("grpc-encoding").value_or("");
  keep_metadata(head);
  if (end_stream) {
    if (over_limit_) seen_.end = Observation::End::kOverLimit;
    read_status(head, seen_, http_status_);
    done_ = true;
  }
}

void AnswerCapture::on_data(std::string_view bytes) {
  if (done_) return;
  if (!reader_.feed(bytes, *this)) {
    give_up();
    fail(Observation::End::kFailed, GrpcCode::kInternal, "malformed message framing");
  }
}

void AnswerCapture::on_end(const HeaderBlock* trailers) {
  if (done_) return;
  static const HeaderBlock kNone;
  read_status(trailers != nullptr ? *trailers : kNone, seen_, http_status_);
  if (trailers != nullptr) keep_metadata(*trailers);
  seen_.end = over_limit_ ? Observation::End::kOverLimit : Observation::End::kAnswered;
  // Cut off inside a message, and yet ended in order: no gRPC answer.
  if (!reader_.at_boundary() && !over_limit_) {
    fail(Observation::End::kFailed, GrpcCode::kInternal, "answer ends inside a message");
  }
  done_ = true;
}

void AnswerCapture::fail(Observation::End end, GrpcCode status, std::string_view detail) {
  if (done_) return;
  seen_.end = end;
  seen_.grpc_status = status;
  seen_.detail = detail;
  done_ = true;
}

void AnswerCapture::on_message_begin(bool compressed, std::uint32_t length) {
  seen_.message_bytes += length;
  if (over_limit_ || !charge(length + kMessageOverheadBytes)) return;
  ObservedMessage& message = seen_.messages.emplace_back();
  message.compressed = compressed;
  // A lying length must not allocate what never comes.
  message.bytes.reserve(std::min<std::size_t>(length, 64 * 1024));
}

void AnswerCapture::keep_metadata(const HeaderBlock& block) {
  if (names_ == nullptr || names_->empty()) return;
  for (const HeaderBlock::Field& field : block.fields()) {
    if (field.hidden || std::find(names_->begin(), names_->end(), field.name) == names_->end()) continue;
    if (over_limit_ || !charge(field.name.size() + field.value.size() + sizeof(ObservedMetadata))) return;
    seen_.metadata.push_back({std::string(field.name), std::string(field.value)});
  }
}

bool AnswerCapture::charge(std::size_t bytes) noexcept {
  const bool over_budget = budget_->bytes + bytes > budget_->limit;
  if (held_ + bytes > limit_ || over_budget) {
    over_limit_ = true;
    over_budget_ = held_ + bytes <= limit_;
    give_up();
    return false;
  }
  held_ += bytes;
  budget_->bytes += bytes;
  return true;
}

void AnswerCapture::on_message_bytes(std::string_view piece) {
  if (!over_limit_) seen_.messages.back().bytes.append(piece);
}

void AnswerCapture::give_up() noexcept {
  seen_.messages.clear();
  seen_.messages.shrink_to_fit();
  seen_.metadata.clear();
  seen_.metadata.shrink_to_fit();
  budget_->bytes -= held_;
  held_ = 0;
}

void AnswerCapture::release() noexcept { give_up(); }

Observation AnswerCapture::take(std::size_t& charge) {
  Observation seen = std::move(seen_);
  seen_ = Observation{};
  charge = std::exchange(held_, 0);
  return seen;
}

}  // namespace ficus
