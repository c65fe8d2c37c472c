// The engine against nghttp2, as its server and as its client: random conversations, every byte of which must arrive.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <random>

#include "h2_engine_support.h"

namespace ficus::test {
namespace {

// nghttp2 insists on an authority.
const List kCall = {{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {":authority", "a"}};

struct Message {
  List head, trailers;
  std::string body;
};
struct Got {
  std::string head, trailers, body;
  bool ended = false, closed = false;
};

struct Random {
  explicit Random(unsigned seed) : bits(seed) {}
  std::size_t upto(std::size_t most) { return bits() % (most + 1); }
  std::string text(std::size_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>('a' + bits() % 26);
    return out;
  }
  Message message(List head) {
    for (std::size_t i = upto(6); i > 0; --i) head.emplace_back("x-" + text(1), text(upto(40)));
    if (upto(9) == 0) head.emplace_back("x-long", text(upto(30'000)));
    const std::size_t most[] = {0, 10, 5'000, 200'000};
    Message out{std::move(head), kTrailers, text(upto(most[upto(3)]))};
    for (std::size_t i = upto(3); i > 0; --i) out.trailers.emplace_back("t-" + text(1), text(upto(40)));
    return out;
  }
  std::mt19937 bits;
};

class Nghttp2 {
 public:
  explicit Nghttp2(bool server, std::uint32_t window) : server_(server) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(
        calls, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_bytes,
                  const std::uint8_t* value, std::size_t value_bytes, std::uint8_t, void* self) {
          Got& seen = of(self).got[frame->hd.stream_id];
          std::string& list = frame->headers.cat == NGHTTP2_HCAT_HEADERS ? seen.trailers : seen.head;
          if (!list.empty()) list += ' ';
          list.append(reinterpret_cast<const char*>(name), name_bytes).append("=");
          list.append(reinterpret_cast<const char*>(value), value_bytes);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        calls,
        [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t length, void* self) {
          of(self).got[id].body.append(reinterpret_cast<const char*>(bytes), length);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        calls, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          const bool can_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
          if (can_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) of(self).on_end(frame->hd.stream_id);
          EXPECT_NE(frame->hd.type, NGHTTP2_GOAWAY);
          EXPECT_NE(frame->hd.type, NGHTTP2_RST_STREAM);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        calls, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* self) {
          EXPECT_EQ(code, 0u);
          of(self).got[id].closed = true;
          return 0;
        });
    if (server) {
      nghttp2_session_server_new(&session_, calls, this);
    } else {
      nghttp2_session_client_new(&session_, calls, this);
    }
    nghttp2_session_callbacks_del(calls);
    const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                              {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, 2);
  }
  ~Nghttp2() { nghttp2_session_del(session_); }
  Nghttp2(const Nghttp2&) = delete;
  Nghttp2& operator=(const Nghttp2&) = delete;

  void request(const Message& message) {
    auto out = std::make_unique<Sending>(Sending{&message, 0});
    const auto list = fields(message.head);
    const nghttp2_data_provider provider{{.ptr = out.get()}, read};
    ASSERT_GT(nghttp2_submit_request(session_, nullptr, list.data(), list.size(), &provider, nullptr), 0);
    sending_.push_back(std::move(out));
  }
  std::string take() {
    std::string bytes;
    for (;;) {
      const std::uint8_t* at = nullptr;
      const ssize_t n = nghttp2_session_mem_send(session_, &at);
      EXPECT_GE(n, 0);
      if (n <= 0) return bytes;
      bytes.append(reinterpret_cast<const char*>(at), static_cast<std::size_t>(n));
    }
  }
  void feed(std::string_view bytes) {
    EXPECT_EQ(nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  std::map<std::int32_t, Got> got;
  std::map<std::int32_t, const Message*> answers;

 private:
  struct Sending {
    const Message* message;
    std::size_t at;
  };
  static Nghttp2& of(void* self) { return *static_cast<Nghttp2*>(self); }
  static std::vector<nghttp2_nv> fields(const List& list) {
    std::vector<nghttp2_nv> out;
    for (const auto& [name, value] : list) {
      out.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0});
    }
    return out;
  }
  static ssize_t read(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t room,
                      std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& out = *static_cast<Sending*>(source->ptr);
    const std::size_t n = std::min(room, out.message->body.size() - out.at);
    std::copy_n(out.message->body.data() + out.at, n, to);
    out.at += n;
    if (out.at == out.message->body.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto list = fields(out.message->trailers);
      nghttp2_submit_trailer(session, id, list.data(), list.size());
    }
    return static_cast<ssize_t>(n);
  }
  void on_end(std::int32_t id) {
    got[id].ended = true;
    if (!server_) return;
    auto out = std::make_unique<Sending>(Sending{answers.at(id), 0});
    const auto list = fields(out->message->head);
    const nghttp2_data_provider provider{{.ptr = out.get()}, read};
    nghttp2_submit_response(session_, id, list.data(), list.size(), &provider);
    sending_.push_back(std::move(out));
  }

  const bool server_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Sending>> sending_;
};

// Carries bytes to and fro, cut at random, until neither has more to say.
void converse(Side& side, Nghttp2& other, Random& random) {
  for (;;) {
    const std::string ours = side.take_bytes();
    const std::string theirs = other.take();
    if (ours.empty() && theirs.empty()) return;
    const auto cut = [&random](std::string_view bytes, const auto& take) {
      while (!bytes.empty()) {
        const std::size_t n = std::min(bytes.size(), 1 + random.upto(random.upto(1) == 0 ? 20 : 30'000));
        const std::string piece(bytes.substr(0, n));
        bytes.remove_prefix(n);
        take(piece);
      }
    };
    cut(ours, [&](const std::string& piece) { other.feed(piece); });
    cut(theirs, [&](const std::string& piece) { ASSERT_TRUE(side.feed(piece)); });
    if (testing::Test::HasFailure()) return;
  }
}

void send_body(Side::Stream& stream, const Message& message, Random& random) {
  for (std::string_view rest = message.body; !rest.empty();) {
    const std::size_t n = std::min(rest.size(), 1 + random.upto(20'000));
    stream.send_data(rest.substr(0, n));
    rest.remove_prefix(n);
  }
  stream.send_trailers(header_block(message.trailers));
}

void expect_got(Side& side, std::size_t index, const Message& message) {
  const std::string name = std::to_string(index + 1);
  EXPECT_EQ(side.at(index).received, message.body);
  EXPECT_NE(std::find(side.log.begin(), side.log.end(), name + " head " + text_of(header_block(message.head))),
            side.log.end());
  EXPECT_NE(std::find(side.log.begin(), side.log.end(), name + " end " + text_of(header_block(message.trailers))),
            side.log.end());
  EXPECT_NE(std::find(side.log.begin(), side.log.end(), name + " gone finished"), side.log.end());
}

void expect_got(const Got& got, const Message& message) {
  EXPECT_EQ(got.head, text_of(header_block(message.head)));
  EXPECT_EQ(got.body, message.body);
  EXPECT_EQ(got.trailers, text_of(header_block(message.trailers)));
  EXPECT_TRUE(got.ended && got.closed);
}

constexpr std::size_t kCalls = 12;
constexpr unsigned kConversations = 20;

TEST(H2EngineDifferentialTest, NghttpAsClientGetsAndGivesEveryByte) {
  for (unsigned seed = 0; seed < kConversations && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    H2Limits limits;
    limits.stream_window_bytes = static_cast<std::uint32_t>(1000 + random.upto(300'000));
    std::vector<Message> requests, responses;
    for (std::size_t i = 0; i < kCalls; ++i) {
      requests.push_back(random.message(kCall));
      responses.push_back(random.message(kResponse));
    }
    Side side(kServer, limits);
    Nghttp2 client(false, static_cast<std::uint32_t>(random.upto(100'000)) + 1);
    side.engine.start();
    side.on_end = [&](Side::Stream& stream) {
      const Message& message = responses[(stream.id() - 1) / 2];
      stream.head(message.head);
      send_body(stream, message, random);
    };
    for (const Message& message : requests) client.request(message);
    converse(side, client, random);
    ASSERT_EQ(side.made.size(), kCalls);
    for (std::size_t i = 0; i < kCalls; ++i) {
      expect_got(side, i, requests[i]);
      expect_got(client.got[static_cast<std::int32_t>(2 * i + 1)], responses[i]);
    }
  }
}

TEST(H2EngineDifferentialTest, NghttpAsServerGetsAndGivesEveryByte) {
  for (unsigned seed = 100; seed < 100 + kConversations && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    H2Limits limits;
    limits.stream_window_bytes = static_cast<std::uint32_t>(1000 + random.upto(300'000));
    std::vector<Message> requests, responses;
    for (std::size_t i = 0; i < kCalls; ++i) {
      requests.push_back(random.message(kCall));
      responses.push_back(random.message(kResponse));
    }
    Side side(kClient, limits);
    Nghttp2 server(true, static_cast<std::uint32_t>(random.upto(100'000)) + 1);
    side.engine.start();
    for (std::size_t i = 0; i < kCalls; ++i) server.answers[static_cast<std::int32_t>(2 * i + 1)] = &responses[i];
    for (const Message& message : requests) send_body(side.open(message.head), message, random);
    converse(side, server, random);
    for (std::size_t i = 0; i < kCalls; ++i) {
      expect_got(side, i, responses[i]);
      expect_got(server.got[static_cast<std::int32_t>(2 * i + 1)], requests[i]);
    }
  }
}

}  // namespace
}  // namespace ficus::test
