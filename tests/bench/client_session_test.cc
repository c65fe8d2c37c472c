// The bench's client as its servers see it: in conversation with the answering upstream, and with servers that lie.
#include "tests/bench/client_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bench/answer_session.h"

namespace ficus::bench {
namespace {

using namespace std::string_literals;

struct Heard : ClientSession::Listener {
  void on_head(ClientSession&, std::uint32_t id) override { heads.push_back(id); }
  void on_message(ClientSession&, std::uint32_t id) override { messages.push_back(id); }
  void on_end(ClientSession&, std::uint32_t id) override { ends.push_back(id); }
  std::vector<std::uint32_t> heads, messages, ends;
};

ClientOptions options_for(std::size_t answer_bytes) {
  ClientOptions options;
  options.head = {{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {":authority", "x"}};
  options.answer_bytes = answer_bytes;
  return options;
}

// Carries bytes both ways, `step` at a time, until both are quiet. False: one of them ended the connection.
bool converse(ClientSession& client, AnswerSession& server, std::size_t step = 1 << 20) {
  while (!client.output().empty() || !server.output().empty()) {
    const std::string up(client.output().substr(0, step));
    client.consume_output(up.size());
    if (!server.on_bytes(up)) return false;
    const std::string down(server.output().substr(0, step));
    server.consume_output(down.size());
    if (!down.empty() && !client.on_bytes(down)) return false;
  }
  return true;
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, const std::string& payload = "") {
  std::string out;
  put_frame_header(out, payload.size(), type, flags, id);
  return out + payload;
}

// HPACK literals, never indexed into a table.
std::string field(const std::string& name, const std::string& value) {
  return "\0"s + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}
const std::string kHead = field(":status", "200") + field("content-type", "application/grpc");
const std::string kOk = field("grpc-status", "0");

TEST(ClientSessionTest, HearsHeadMessageAndEndOfEachCallWhateverTheBytesPortions) {
  for (const std::size_t step : {1u, 7u, 1u << 20}) {
    const ClientOptions options = options_for(300);
    Heard heard;
    ClientSession client(options, heard);
    AnswerSession server({});
    for (int i = 0; i < 3; ++i) client.send(client.open(), grpc_message(300), true);
    ASSERT_TRUE(converse(client, server, step)) << client.error() << server.error();
    EXPECT_EQ(heard.heads, (std::vector<std::uint32_t>{1, 3, 5}));
    EXPECT_EQ(heard.messages, heard.heads);
    EXPECT_EQ(heard.ends, heard.heads);
    EXPECT_EQ(client.open_calls(), 0u);
    EXPECT_TRUE(client.settled());
    EXPECT_EQ(server.calls(), 3u);
  }
}

TEST(ClientSessionTest, LongStreamGoesBeyondTheFirstWindow) {
  const ClientOptions options = options_for(10'000);
  Heard heard;
  ClientSession client(options, heard);
  AnswerSession server({.when = AnswerWhen::kEachMessage});
  const std::uint32_t id = client.open();
  for (int i = 0; i < 20; ++i) client.send(id, grpc_message(10'000), i == 19);  // before any window was granted
  ASSERT_TRUE(converse(client, server)) << client.error() << server.error();
  EXPECT_EQ(heard.messages.size(), 20u);
  EXPECT_EQ(heard.ends.size(), 1u);
}

TEST(ClientSessionTest, ConnectionIsSettledAfterSettingsBothWaysAndEveryPing) {
  const ClientOptions options = options_for(0);
  Heard heard;
  ClientSession client(options, heard);
  client.ping();
  EXPECT_FALSE(client.settled());
  ASSERT_TRUE(client.on_bytes(frame(kSettings, 0, 0) + frame(kSettings, kAck, 0)));
  EXPECT_FALSE(client.settled()) << "its ping is still under way";
  ASSERT_TRUE(client.on_bytes(frame(kPing, kAck, 0, "12345678")));
  EXPECT_TRUE(client.settled());
}

TEST(ClientSessionTest, IsFullWithAsManyCallsOpenAsThePeerAllows) {
  const ClientOptions options = options_for(0);
  Heard heard;
  ClientSession client(options, heard);
  client.open();
  client.open();
  EXPECT_FALSE(client.full()) << "before the peer named a limit there is none";
  std::string limit;
  put_setting(limit, kSettingMaxStreams, 3);
  ASSERT_TRUE(client.on_bytes(frame(kSettings, 0, 0, limit)));
  EXPECT_FALSE(client.full());
  client.open();
  EXPECT_TRUE(client.full());
}

TEST(ClientSessionTest, AnswerThatIsNotAsItShouldBeEndsTheConnection) {
  const std::string head = frame(kHeaders, kEndHeaders, 1, kHead);
  const std::string message = frame(kData, 0, 1, grpc_message(5));
  const struct {
    const char* name;
    std::string bytes;
  } cases[] = {
      {"status 503", frame(kHeaders, kEndHeaders, 1, field(":status", "503"))},
      {"trailers only", frame(kHeaders, kEndHeaders | kEndStream, 1, kHead + field("grpc-status", "14"))},
      {"grpc-status 14", head + message + frame(kHeaders, kEndHeaders | kEndStream, 1, field("grpc-status", "14"))},
      {"no grpc-status", head + message + frame(kHeaders, kEndHeaders | kEndStream, 1, field("a", "b"))},
      {"no trailers", head + frame(kData, kEndStream, 1, grpc_message(5))},
      {"trailers without an end", head + message + frame(kHeaders, kEndHeaders, 1, kOk)},
      {"a message of another size", head + frame(kData, 0, 1, grpc_message(6))},
      {"a message cut off",
       head + frame(kData, 0, 1, grpc_message(5).substr(0, 9)) + frame(kHeaders, kEndHeaders | kEndStream, 1, kOk)},
      {"a compressed message", head + frame(kData, 0, 1, "\1\0\0\0\0"s)},
      {"DATA before the head", message},
      {"an answer to nobody", frame(kHeaders, kEndHeaders, 7, kHead)},
      {"a reset", frame(kRstStream, 0, 1, "\0\0\0\x07"s)},
      {"a GOAWAY", frame(kGoaway, 0, 0, "\0\0\0\0\0\0\0\0"s)},
      {"a push", frame(kPushPromise, kEndHeaders, 1, "\0\0\0\x02"s)},
      {"a header block that is no HPACK", frame(kHeaders, kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff")},
      {"a frame in an open header block", frame(kHeaders, 0, 1, kHead) + message},
  };
  for (const auto& c : cases) {
    const ClientOptions options = options_for(5);
    Heard heard;
    ClientSession client(options, heard);
    client.send(client.open(), grpc_message(5), true);
    EXPECT_FALSE(client.on_bytes(frame(kSettings, 0, 0) + c.bytes)) << c.name;
    EXPECT_FALSE(client.error().empty()) << c.name;
    EXPECT_TRUE(heard.ends.empty()) << c.name;
    EXPECT_FALSE(client.on_bytes(head)) << c.name << ": it went on after its end";
  }
}

TEST(ClientSessionTest, AnswerThatEndsBeforeItsRequestIsNoSuccess) {
  const ClientOptions options = options_for(5);
  Heard heard;
  ClientSession client(options, heard);
  client.send(client.open(), grpc_message(5), false);
  EXPECT_FALSE(client.on_bytes(frame(kHeaders, kEndHeaders, 1, kHead) + frame(kData, 0, 1, grpc_message(5)) +
                               frame(kHeaders, kEndHeaders | kEndStream, 1, kOk)));
}

TEST(ClientSessionTest, HeaderBlockInPiecesIsReadAsOne) {
  const ClientOptions options = options_for(5);
  Heard heard;
  ClientSession client(options, heard);
  client.send(client.open(), grpc_message(5), true);
  ASSERT_TRUE(client.on_bytes(frame(kHeaders, 0, 1, kHead.substr(0, 6)) +
                              frame(kContinuation, kEndHeaders, 1, kHead.substr(6)) +
                              frame(kData, 0, 1, grpc_message(5)) + frame(kHeaders, kEndStream, 1, kOk.substr(0, 3)) +
                              frame(kContinuation, kEndHeaders, 1, kOk.substr(3))))
      << client.error();
  EXPECT_EQ(heard.ends.size(), 1u);
}

}  // namespace
}  // namespace ficus::bench
