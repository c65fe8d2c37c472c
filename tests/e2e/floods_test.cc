// Every limit on what a client may send, hit through a real ficus: the attack is counted under the limit's name, the
// attacker gets what it deserves, a well-behaved client beside it sees no error, and memory stays within kGrowthBytes.
// Silent, idle and dead clients are manners_test's, too many connections serve_flags_test's, readers that stall for a
// while flow_control_test's; crashes and leaks hostile_test's.
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <variant>

#include "tests/e2e/hostile_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

// What an attack may add to ficus's memory at its peak: header_block_bytes (4 MiB), a megabyte of control output, 256
// streams' heads, and what the allocator keeps of it.
constexpr std::size_t kGrowthBytes = 16u << 20;

std::string u32(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((value >> shift) & 0xff);
  return bytes;
}

std::string request(std::uint32_t stream, std::uint8_t flags = kEndHeaders, const char* path = kPath) {
  return h2_frame(kHeaders, flags, stream, literals(grpc_request(path)));
}
std::string reset(std::uint32_t stream) { return h2_frame(kRstStream, kNoFlags, stream, u32(kCancel)); }
std::string window(std::uint32_t stream, std::uint32_t bytes) {
  return h2_frame(kWindowUpdate, kNoFlags, stream, u32(bytes));
}

std::string times(int count, const std::string& bytes) {
  std::string all;
  all.reserve(bytes.size() * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all += bytes;
  return all;
}
// One of each of the first `count` streams of a client.
std::string streams(std::uint32_t count, const std::function<std::string(std::uint32_t)>& of) {
  std::string all;
  for (std::uint32_t i = 0; i < count; ++i) all += of(2 * i + 1);
  return all;
}

// What the attacker gets, and in the end of it.
struct Goaway {
  std::uint32_t code;
  const char* debug;
};
struct Reset {  // of any stream; the connection goes on
  std::uint32_t code;
};
struct Status {  // of stream 1; the connection goes on
  const char* grpc_status;
};
using Deserves = std::variant<Goaway, Reset, Status>;

struct Attack {
  const char* name;
  const char* limit;  // ficus_limit_hits_total; nullptr: a breach of the protocol, ficus_protocol_errors_total
  Deserves deserves;
  std::string (*bytes)();  // after the preface and SETTINGS
};

// Well over each limit's burst and what comes back of it while the flood runs.
const Attack kAttacks[] = {
    // Calls of which the upstream hears, then resets faster than a slow machine opens calls.
    {"RapidReset", "stream_resets", Goaway{kEnhanceYourCalm, "stream_resets"},
     [] {
       return streams(3'000, [](std::uint32_t id) { return request(id) + reset(id); }) + times(14'000, reset(5'999));
     }},
    {"Pings", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(kPing, kNoFlags, 0, "12345678")); }},
    {"PingAnswersToNoPing", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(kPing, kAck, 0, "12345678")); }},
    {"Settings", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(kSettings, kNoFlags, 0, std::string("\0\4", 2) + u32(1000))); }},
    {"SettingsOfManyEntriesWithOpenStreams", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] {
       return streams(200, [](std::uint32_t id) { return request(id); }) +
              times(3'000,
                    h2_frame(kSettings, kNoFlags, 0,
                             times(50, std::string("\0\4", 2) + u32(1000) + std::string("\0\4", 2) + u32(2000))));
     }},
    {"HeaderTableSizes", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] {
       return times(3'000, h2_frame(kSettings, kNoFlags, 0, std::string("\0\1", 2) + u32(0)) +
                               h2_frame(kSettings, kNoFlags, 0, std::string("\0\1", 2) + u32(0xffffffff)));
     }},
    {"Priorities", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(kPriority, kNoFlags, 1, u32(3) + "\x10")); }},
    {"UnknownFrames", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(0xee, 0xff, 1, noise(100))); }},
    {"Goaways", "control_frames", Goaway{kEnhanceYourCalm, "control_frames"},
     [] { return times(6'000, h2_frame(kGoaway, kNoFlags, 0, std::string(8, '\0') + noise(1000))); }},
    {"EmptyData", "empty_frames", Goaway{kEnhanceYourCalm, "empty_frames"},
     [] { return request(1) + times(2'000, h2_frame(kData, kNoFlags, 1, {})); }},
    {"DataOfPaddingOnly", "empty_frames", Goaway{kEnhanceYourCalm, "empty_frames"},
     [] { return request(1) + times(2'000, h2_frame(kData, kPadded, 1, std::string("\2\0\0", 3))); }},
    {"WindowUpdates", "window_updates", Goaway{kEnhanceYourCalm, "window_updates"},
     [] { return request(1) + times(20'000, window(0, 1) + window(1, 1)); }},
    {"EmptyContinuations", "empty_frames", Goaway{kEnhanceYourCalm, "empty_frames"},
     [] {  // each list within continuation_frames
       return streams(10, [](std::uint32_t id) {
         return request(id, kNoFlags) + times(200, h2_frame(kContinuation, kNoFlags, id, {})) +
                h2_frame(kContinuation, kEndHeaders, id, {});
       });
     }},
    {"Continuations", "continuation_frames", Goaway{kEnhanceYourCalm, "continuation_frames"},
     [] {
       return request(1, kNoFlags) + times(300, h2_frame(kContinuation, kNoFlags, 1, literals({{"a", "b"}})));
     }},
    {"AHeaderBlockWithoutEnd", "header_block_bytes", Goaway{kEnhanceYourCalm, "header_block_bytes"},
     [] {
       const std::string full = literals({{"x-h", std::string(16376, 'h')}});
       return h2_frame(kHeaders, kNoFlags, 1, full) + times(256, h2_frame(kContinuation, kNoFlags, 1, full));
     }},
    {"AHeaderListTooLong", "header_list_bytes", Status{"8"},
     [] {
       const std::string some = literals({{"x-h", std::string(16000, 'h')}});
       return request(1, kNoFlags) + times(5, h2_frame(kContinuation, kNoFlags, 1, some)) +
              h2_frame(kContinuation, kEndHeaders, 1, {});
     }},
    {"MalformedRequests", "stream_errors", Goaway{kEnhanceYourCalm, "stream_errors"},
     [] { return streams(9'000, [](std::uint32_t id) { return h2_frame(kHeaders, kEndHeaders, id, "\x82"); }); }},
    {"WindowUpdatesOfNothing", "stream_errors", Goaway{kEnhanceYourCalm, "stream_errors"},
     [] { return request(1) + times(9'000, window(1, 0)); }},
    {"StreamsBeyondTheirNumber", "max_concurrent_streams", Reset{kRefusedStream},
     [] { return streams(400, [](std::uint32_t id) { return request(id); }); }},
    {"AFrameTooLong", "frame_bytes", Goaway{kFrameSizeError, "frame too large"},
     [] { return request(1) + h2_frame(kData, kNoFlags, 1, std::string(16385, 'x')); }},
    {"AWindowOverflowOfAStream", nullptr, Reset{kFlowControlError}, [] { return request(1) + window(1, 0x7fffffff); }},
    {"AWindowOverflowOfTheConnection", nullptr, Goaway{kFlowControlError, "a window beyond 2^31-1"},
     [] { return window(0, 0x7fffffff); }},
    {"AWindowUpdateOfNothingForTheConnection", nullptr, Goaway{kProtocolError, "WINDOW_UPDATE of nothing"},
     [] { return window(0, 0); }},
    {"AHeaderTableBeyondOurs", nullptr, Goaway{kCompressionError, "malformed header block"},
     // A table size update to 4097 (RFC 7541 6.3), a byte beyond what we offer.
     [] { return h2_frame(kHeaders, kEndHeaders, 1, "\x3f\xe2\x1f" + literals(grpc_request(kPath))); }},
    {"ManyHeaderTableSizesInOneBlock", nullptr, Goaway{kCompressionError, "malformed header block"},
     [] { return h2_frame(kHeaders, kEndHeaders, 1, times(1'000, "\x20") + literals(grpc_request(kPath))); }},
};

class Floods : public ::testing::Test {
 protected:
  void start(std::vector<std::string> flags) {
    ficus_ = start_ficus(pass_through_policy(upstream_.address()), {.flags = std::move(flags)});
    bystander_ = std::make_unique<Bystander>(ficus_->address());
    ASSERT_TRUE(bystander_->goes_on(50)) << "before any attack";
    memory_before_ = ficus_->resident_memory_bytes();
    ASSERT_EQ(errors(), 0);
  }
  double hits(const std::string& limit) { return ficus_->metrics().sum("ficus_limit_hits_total", {{"limit", limit}}); }
  double errors() { return ficus_->metrics().sum("ficus_protocol_errors_total", {{"peer", "client"}}); }
  bool counted(const std::string& limit, double times = 1) {
    return ficus_->wait_metric("ficus_limit_hits_total", {{"limit", limit}}, times);
  }
  void expect_others_unharmed() {
    EXPECT_TRUE(bystander_->goes_on(20)) << "after the attack";
    bystander_->stop();
    EXPECT_EQ(bystander_->failure(), "");
    if (!kSanitized) {
      EXPECT_LT(ficus_->peak_memory_bytes(), memory_before_ + kGrowthBytes);
    }
  }

  ScriptedUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::unique_ptr<Bystander> bystander_;
  std::size_t memory_before_ = 0;
};

class FloodsTest : public Floods, public ::testing::WithParamInterface<Attack> {};

// It neither answers nor gives window: nothing but the attack goes out.
RawH2::Options attacker() {
  RawH2::Options options;
  options.answer = options.give_window = options.keep_data = false;
  return options;
}

void expect_deserved(RawH2& peer, const Goaway& due) {
  ASSERT_TRUE(peer.wait_closed()) << "the attack goes on";
  const auto goaways = peer.state().goaways;
  ASSERT_EQ(goaways.size(), 1u);
  EXPECT_EQ(goaways[0].code, due.code);
  EXPECT_EQ(goaways[0].debug, due.debug);
}

void expect_connection_goes_on(RawH2& peer) {
  const std::size_t acks = peer.state().ping_acks;
  peer.send_ping();
  EXPECT_TRUE(peer.wait([&](const RawH2::State& s) { return s.ping_acks > acks; })) << "the connection was to go on";
  EXPECT_TRUE(peer.state().goaways.empty());
}

void expect_deserved(RawH2& peer, const Reset& due) {
  EXPECT_TRUE(peer.wait([&](const RawH2::State& s) {
    return std::any_of(s.streams.begin(), s.streams.end(),
                       [&](const auto& one) { return one.second.reset == due.code; });
  }));
  expect_connection_goes_on(peer);
}

void expect_deserved(RawH2& peer, const Status& due) {
  ASSERT_TRUE(peer.wait_over(1));
  const RawH2::Stream answer = peer.stream(1);
  ASSERT_FALSE(answer.blocks.empty());
  EXPECT_EQ(find_header(answer.blocks.back(), "grpc-status"), due.grpc_status);
  expect_connection_goes_on(peer);
}

TEST_P(FloodsTest, IsCountedAndEndedAndTouchesNobodyElse) {
  const Attack& attack = GetParam();
  // PINGs are judged by their number here, and not by time: that is manners_test's.
  ASSERT_NO_FATAL_FAILURE(start({"--min-ping-interval", "0", "--log-level", "debug"}));
  const double before = attack.limit != nullptr ? hits(attack.limit) : 0;
  const auto peer = RawH2::connect(ficus_->address(), attacker());
  ASSERT_TRUE(peer);
  peer->send_bytes(attack.bytes());  // may be cut short
  std::visit([&](const auto& due) { expect_deserved(*peer, due); }, attack.deserves);
  if (const auto* goaway = std::get_if<Goaway>(&attack.deserves)) {
    EXPECT_TRUE(ficus_->wait_log("client_broken_off"));
    EXPECT_TRUE(ficus_->wait_log("peer=127.0.0.1:"));
    EXPECT_TRUE(ficus_->wait_log(goaway->debug)) << "the log does not say why";
  }
  if (attack.limit != nullptr) {
    EXPECT_TRUE(counted(attack.limit, before + 1)) << ficus_->metrics().print("ficus_limit_hits_total");
  } else {
    EXPECT_TRUE(wait_until([&] { return errors() == 1; })) << ficus_->metrics().print("ficus_protocol_errors_total");
  }
  expect_others_unharmed();
}

INSTANTIATE_TEST_SUITE_P(Attack, FloodsTest, ::testing::ValuesIn(kAttacks),
                         [](const ::testing::TestParamInfo<Attack>& one) { return std::string(one.param.name); });

// ---- those that are not one burst of bytes, or that hit nothing: bounded by how they are kept

class LongFloodsTest : public Floods {};

// A request in which nothing is new to the header table after `first` was sent. Ficus answers it itself: its path is
// no gRPC method's.
struct Refused {
  std::string first = h2_frame(kHeaders, kEndHeaders | kEndStream, 1, literals(grpc_request("/x"), true));
  std::string next(std::uint32_t stream) const {
    return h2_frame(kHeaders, kEndHeaders | kEndStream, stream, "\xc3\xc2\xc1\xc0\xbf\xbe");
  }
};

TEST_F(LongFloodsTest, AnswersThatNobodyReadsAreBounded) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  const Socket peer = connect_loopback(ficus_->address());
  ASSERT_TRUE(peer);
  const int small = 4096;  // or the kernel holds megabytes for it
  ASSERT_EQ(::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  const Refused refused;
  bool taken = send_all(peer, kStart + refused.first);
  std::uint32_t stream = 3;
  while (taken && stream < 2'000'000) {
    std::string some;
    for (int i = 0; i < 1000; ++i, stream += 2) some += refused.next(stream);
    taken = send_all(peer, some);
  }
  EXPECT_FALSE(taken) << "a million answers are kept for one who reads none";
  EXPECT_TRUE(counted("control_output_bytes"));
  expect_others_unharmed();
}

TEST_F(LongFloodsTest, AHeaderTableThatIsTurnedOverByEachRequestStaysOfItsSize) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  const auto peer = RawH2::connect(ficus_->address(), attacker());
  ASSERT_TRUE(peer);
  constexpr std::uint32_t kRequests = 5'000;  // 20 MB of header fields, each to be kept
  for (std::uint32_t i = 0; i < kRequests; ++i) {
    HeaderList head = grpc_request("/x");
    head.emplace_back("x-" + std::to_string(i), std::string(4000, 'v'));
    ASSERT_TRUE(peer->send_frame(kHeaders, kEndHeaders | kEndStream, 2 * i + 1, literals(head, true)));
  }
  EXPECT_TRUE(peer->wait([](const RawH2::State& s) {
    return s.streams.size() == kRequests && s.streams.rbegin()->second.over();
  })) << peer->state().streams.size();
  expect_connection_goes_on(*peer);
  expect_others_unharmed();
}

TEST_F(LongFloodsTest, WindowGivenByteByByteIsWindow) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  RawH2::Options options = attacker();
  options.settings = {{kInitialWindowSize, 0}};
  const auto peer = RawH2::connect(ficus_->address(), options);
  ASSERT_TRUE(peer);
  const std::string message = grpc_frame(noise(20'000));
  peer->send_bytes(request(1) + h2_frame(kData, kNoFlags, 1, message.substr(0, 16'000)) +
                   h2_frame(kData, kEndStream, 1, message.substr(16'000)));
  // Once there is an answer to wait for it: window that nobody asked for is rationed.
  peer->send_bytes(window(1, 1));
  ASSERT_TRUE(peer->wait_data(1, 1));
  const std::string some = times(1'000, window(1, 1));
  for (std::size_t given = 1; given < message.size(); given += 1'000) ASSERT_TRUE(peer->send_bytes(some));
  EXPECT_TRUE(peer->wait_data(1, message.size())) << peer->stream(1).data_bytes;
  expect_connection_goes_on(*peer);
  expect_others_unharmed();
}

TEST_F(LongFloodsTest, ACrowdThatConnectsAndSaysNothingIsShownOut) {
  ASSERT_NO_FATAL_FAILURE(start({"--preface-timeout", "1s"}));
  constexpr std::size_t kCrowd = 500;
  std::vector<Socket> crowd;
  for (std::size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(connect_loopback(ficus_->address()));
    ASSERT_TRUE(crowd.back());
    send_all(crowd.back(), kStart.substr(0, i % 24));  // nothing, or some of the preface
  }
  EXPECT_TRUE(counted("preface_time", kCrowd)) << hits("preface_time");
  // The sockets are still open at their end.
  EXPECT_TRUE(wait_until([&] { return ficus_->metrics().sum("ficus_connections", {{"peer", "client"}}) == 1; }));
  expect_others_unharmed();
}

// A crowd that asks for large answers and gives no window for them: what the upstream said already has to be held.
TEST_F(LongFloodsTest, ACrowdThatTakesNoAnswersIsShownOutBeforeItFillsMemory) {
  constexpr std::size_t kHeldBytes = 32u << 20;
  constexpr std::size_t kAnswerBytes = 200'000;  // within a stream's window: the upstream is soon done with the call
  constexpr std::size_t kCrowd = 12, kCalls = 40;  // 96 MB in all
  ScriptedUpstream large(answer({std::string(kAnswerBytes, 'l')}));
  upstream_.stop();
  const std::string policy = pass_through_policy(large.address());
  ficus_ = start_ficus(policy, {.flags = {"--max-held-bytes", "32MiB"}});
  std::atomic<bool> stop{false};
  std::atomic<int> beside{0};
  std::string failure;
  std::thread bystander([&] {
    const auto channel = make_channel(ficus_->address());
    while (!stop) {
      const UnaryReply reply = call(channel, kPath, "beside", {.deadline = kPatience});
      if (!reply.status.ok() || reply.message().size() != kAnswerBytes) {
        failure = reply.status.error_message();
        break;
      }
      ++beside;
    }
  });
  EXPECT_TRUE(wait_until([&] { return beside > 20; }));
  memory_before_ = ficus_->resident_memory_bytes();
  RawH2::Options options = attacker();
  options.settings = {{kInitialWindowSize, 0}};
  std::vector<std::shared_ptr<RawH2>> crowd;
  for (std::size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(RawH2::connect(ficus_->address(), options));
    ASSERT_TRUE(crowd.back());
    for (std::size_t k = 0; k < kCalls; ++k) {
      const auto stream = static_cast<std::uint32_t>(2 * k + 1);
      crowd.back()->send_bytes(request(stream) + h2_frame(kData, kEndStream, stream, grpc_frame("m")));
    }
  }
  EXPECT_TRUE(counted("held_bytes", 8)) << hits("held_bytes") << " of " << kCrowd << ", 4 of which there is room for";
  const auto shown_out = [&] {
    return std::count_if(crowd.begin(), crowd.end(), [](const auto& one) {
      const auto state = one->state();
      return state.closed && state.goaways.size() == 1 && state.goaways[0].code == kEnhanceYourCalm &&
             state.goaways[0].debug == "held_bytes";
    });
  };
  EXPECT_TRUE(wait_until([&] { return shown_out() >= 8; })) << shown_out();
  const int before = beside;
  EXPECT_TRUE(wait_until([&] { return beside > before + 20; })) << "after the attack";
  stop = true;
  bystander.join();
  EXPECT_EQ(failure, "");
  EXPECT_LT(hits("held_bytes"), kCrowd) << "more were shown out than had to be";
  if (!kSanitized) {
    EXPECT_LT(ficus_->peak_memory_bytes(), memory_before_ + kHeldBytes + kGrowthBytes);
  }
}

// Bodies that come byte by byte, or never to their end: a call may last for days, so nobody is shown out, and what it
// costs is what came of it.
TEST_F(LongFloodsTest, SlowAndUnfinishedBodiesCostWhatCameOfThem) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  constexpr std::size_t kCrowd = 8;  // within max_concurrent_requests, less the eighth that is kept for others
  constexpr std::uint32_t kCalls = 100;
  const std::string message = grpc_frame(std::string(200, 's'));
  std::vector<std::shared_ptr<RawH2>> crowd;
  for (std::size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(RawH2::connect(ficus_->address()));
    ASSERT_TRUE(crowd.back());
    ASSERT_TRUE(crowd.back()->send_bytes(streams(kCalls, [](std::uint32_t id) { return request(id); })));
  }
  for (const char byte : message.substr(0, 150)) {  // no call's message is ever whole
    for (const auto& one : crowd) {
      ASSERT_TRUE(one->send_bytes(streams(
          kCalls, [&](std::uint32_t id) { return h2_frame(kData, kNoFlags, id, std::string(1, byte)); })));
    }
  }
  EXPECT_TRUE(bystander_->goes_on(20)) << "beside eight hundred calls that come byte by byte";
  // The first connection's finish, and are answered as others are.
  ASSERT_TRUE(crowd[0]->send_bytes(
      streams(kCalls, [&](std::uint32_t id) { return h2_frame(kData, kEndStream, id, message.substr(150)); })));
  EXPECT_TRUE(crowd[0]->wait([&](const RawH2::State& s) {
    return std::count_if(s.streams.begin(), s.streams.end(), [&](const auto& one) {
             return one.second.ended && one.second.data == message;
           }) == kCalls;
  }));
  for (const auto& one : crowd) expect_connection_goes_on(*one);
  expect_others_unharmed();
}

}  // namespace
}  // namespace ficus::e2e
