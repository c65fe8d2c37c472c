// Bytes over an established connection: whole, in pieces, in both directions at once, to the end, and from hostile
// peers.
#include <poll.h>

#include <algorithm>
#include <random>

#include "tests/facade/net/tls_fixture.h"

namespace ficus {
namespace {

using e2e::server_wish;
using e2e::TestCa;

std::string random_bytes(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

class TlsStreamTest : public testing::Test {
 protected:
  const TestCa ca_;
  const ServerContext server_context_ = server_context(ca_.issue(server_wish()));
  const ClientContext client_context_ = client_context(ca_.certificate_pem());
  Wire wire_;
  TlsStream server_{*server_context_, wire_.server()};
  TlsStream client_{*client_context_, wire_.client(), name_of("localhost")};

  void connect() {
    const auto [s, c] = shake(wire_, server_, client_);
    ASSERT_EQ(s.result, TlsResult::kDone) << server_.error_class();
    ASSERT_EQ(c.result, TlsResult::kDone) << client_.error_class();
  }
  static bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }
};

// One direction: what is left to send, offered from a new address each time, as a queue that moves would.
struct Sender {
  std::string bytes;
  std::size_t sent = 0, waits_to_write = 0;
  template <class Stream>
  void step(Stream& stream) {
    if (sent == bytes.size()) return;
    const std::string moved(bytes, sent);
    const TlsOutcome outcome = stream.write(moved.data(), moved.size());
    ASSERT_NE(outcome.result, TlsResult::kFailed) << stream.error_class();
    if (outcome.result == TlsResult::kWantWrite) ++waits_to_write;
    sent += outcome.bytes;
  }
};

TEST_F(TlsStreamTest, AMessageArrivesAsItWasSent) {
  connect();
  ASSERT_EQ(client_.write("hello", 5).bytes, 5U);
  EXPECT_EQ(read_all(server_), "hello");
  ASSERT_EQ(server_.write("world", 5).bytes, 5U);
  EXPECT_EQ(read_all(client_), "world");
  EXPECT_EQ(server_.version(), "TLSv1.3");
  EXPECT_EQ(server_.cipher(), client_.cipher());
}

TEST_F(TlsStreamTest, MuchGoesBothWaysThroughANarrowWire) {
  connect();
  wire_.narrow();
  Sender up{random_bytes(2'000'003)}, down{random_bytes(1'500'001)};
  std::string at_server, at_client;
  std::array<char, 7001> buffer;
  for (int step = 0; step < kSteps && (at_server.size() < up.bytes.size() || at_client.size() < down.bytes.size());
       ++step) {
    up.step(client_);
    down.step(server_);
    TlsOutcome got = server_.read(buffer.data(), buffer.size());
    at_server.append(buffer.data(), got.bytes);
    got = client_.read(buffer.data(), buffer.size());
    at_client.append(buffer.data(), got.bytes);
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(at_server == up.bytes);
  EXPECT_TRUE(at_client == down.bytes);
  EXPECT_GT(up.waits_to_write, 10U) << "the wire was not narrow";
}

TEST_F(TlsStreamTest, AWriteThatWaitsSaysHowMuchItTook) {
  connect();
  wire_.narrow();
  const std::string bytes = random_bytes(1'000'000);
  const TlsOutcome first = client_.write(bytes.data(), bytes.size());
  ASSERT_EQ(first.result, TlsResult::kWantWrite);
  ASSERT_LT(first.bytes, bytes.size());
  const TlsOutcome again = client_.write(bytes.data() + first.bytes, bytes.size() - first.bytes);
  EXPECT_EQ(again.result, TlsResult::kWantWrite);
  EXPECT_EQ(again.bytes, 0U) << "nobody has read";
  Sender rest{bytes, first.bytes};
  std::string got;
  for (int step = 0; step < kSteps && got.size() < bytes.size(); ++step) {
    got += read_all(server_);
    rest.step(client_);
  }
  EXPECT_TRUE(got == bytes);
}

// Every byte by itself, in both directions, from the first one of the handshake.
TEST_F(TlsStreamTest, AnythingMayArriveOneByteAtATime) {
  Wire outer;  // the client's own wire; this one's far end is moved to the server's by hand
  TlsStream client(*client_context_, outer.client(), name_of("localhost"));
  const auto move_one = [](int from, int to) {
    char byte;
    return ::read(from, &byte, 1) == 1 && ::write(to, &byte, 1) == 1;
  };
  Sender up{random_bytes(3000)}, down{random_bytes(2000)};
  std::string at_server, at_client;
  TlsOutcome s{TlsResult::kWantRead, 0}, c{TlsResult::kWantRead, 0};
  std::array<char, 512> buffer;
  for (int step = 0; step < kSteps && (at_server.size() < up.bytes.size() || at_client.size() < down.bytes.size());
       ++step) {
    if (waits(c)) c = client.handshake();
    if (waits(s)) s = server_.handshake();
    ASSERT_NE(s.result, TlsResult::kFailed) << server_.error_class();
    ASSERT_NE(c.result, TlsResult::kFailed) << client.error_class();
    if (c.result == TlsResult::kDone) {
      up.step(client);
      const TlsOutcome got = client.read(buffer.data(), buffer.size());
      at_client.append(buffer.data(), got.bytes);
      EXPECT_TRUE(!waits(got) || !client.pending()) << "part of a record is nothing to read";
    }
    if (s.result == TlsResult::kDone) {
      down.step(server_);
      const TlsOutcome got = server_.read(buffer.data(), buffer.size());
      at_server.append(buffer.data(), got.bytes);
      EXPECT_TRUE(!waits(got) || !server_.pending());
    }
    move_one(outer.server(), wire_.client());
    move_one(wire_.client(), outer.server());
  }
  EXPECT_TRUE(at_server == up.bytes);
  EXPECT_TRUE(at_client == down.bytes);
}

TEST_F(TlsStreamTest, BytesThatCameWithTheHandshakeAreNotForgotten) {
  // The client's last flight and its first bytes lie in the socket together.
  TlsOutcome c{TlsResult::kWantRead, 0};
  for (int step = 0; step < kSteps && waits(c); ++step) {
    c = client_.handshake();
    if (waits(c)) server_.handshake();
  }
  ASSERT_EQ(c.result, TlsResult::kDone);
  ASSERT_EQ(client_.write("early", 5).result, TlsResult::kDone);
  ASSERT_EQ(server_.handshake().result, TlsResult::kDone);
  EXPECT_FALSE(readable(wire_.server())) << "all of it has been taken from the socket: polling would wait for ever";
  EXPECT_TRUE(server_.pending());
  EXPECT_EQ(read_all(server_), "early");
  EXPECT_FALSE(server_.pending());
}

TEST_F(TlsStreamTest, WhatDoesNotFitTheBufferIsPending) {
  connect();
  read_all(client_);
  const std::string bytes = random_bytes(1000);
  server_.write(bytes.data(), 600);
  server_.write(bytes.data() + 600, 400);
  std::array<char, 100> buffer;
  std::string got;
  for (int i = 0; i < 10; ++i) {
    const TlsOutcome outcome = client_.read(buffer.data(), buffer.size());
    ASSERT_EQ(outcome.result, TlsResult::kDone);
    got.append(buffer.data(), outcome.bytes);
    EXPECT_EQ(client_.pending(), i < 9) << i;
  }
  EXPECT_EQ(got, bytes);
  EXPECT_EQ(client_.read(buffer.data(), buffer.size()).result, TlsResult::kWantRead);
}

TEST_F(TlsStreamTest, SeveralRecordsFillOneBuffer) {
  connect();
  read_all(client_);
  for (int i = 0; i < 5; ++i) server_.write("0123456789", 10);
  std::array<char, 100> buffer;
  EXPECT_EQ(client_.read(buffer.data(), buffer.size()).bytes, 50U);
}

TEST_F(TlsStreamTest, NothingToWriteIsDone) {
  connect();
  EXPECT_EQ(client_.write("", 0).result, TlsResult::kDone);
  EXPECT_EQ(read_all(server_), "");
}

// ---- ends

TEST_F(TlsStreamTest, ACloseNotifyIsAnOrderlyEndAndReadingGoesOn) {
  connect();
  client_.write("last", 4);
  EXPECT_EQ(client_.close_notify().result, TlsResult::kDone);
  TlsOutcome end;
  EXPECT_EQ(read_all(server_, &end), "last");
  EXPECT_EQ(end.result, TlsResult::kClosed);
  EXPECT_TRUE(server_.closed_orderly());
  EXPECT_EQ(server_.error_class(), "");
  server_.write("answer", 6);
  EXPECT_EQ(server_.close_notify().result, TlsResult::kDone);
  EXPECT_EQ(read_all(client_, &end), "answer");
  EXPECT_EQ(end.result, TlsResult::kClosed);
  char byte;
  EXPECT_EQ(client_.read(&byte, 1).result, TlsResult::kClosed) << "an end stays";
}

TEST_F(TlsStreamTest, AnEndWithoutNotifyIsAnEndButNotAnOrderlyOne) {
  connect();
  read_all(client_);
  client_.write("last", 4);
  wire_.close_client();
  TlsOutcome end;
  EXPECT_EQ(read_all(server_, &end), "last");
  EXPECT_EQ(end.result, TlsResult::kClosed);
  EXPECT_FALSE(server_.closed_orderly());
}

TEST_F(TlsStreamTest, AResetIsAFailure) {
  connect();
  read_all(client_);
  server_.write("unread", 6);
  wire_.close_client();
  char byte;
  EXPECT_EQ(server_.read(&byte, 1).result, TlsResult::kFailed);
  EXPECT_EQ(server_.error_class(), tls_class::kReset);
}

// Where a TLS 1.3 server refuses our certificate, a reset may be all that we get.
TEST_F(TlsStreamTest, AClientIsToldThatAResetCameBeforeAnyByte) {
  connect();
  client_.write("unread", 6);
  wire_.close_server();
  char byte;
  EXPECT_EQ(client_.read(&byte, 1).result, TlsResult::kFailed);
  EXPECT_EQ(client_.error_class(), tls_class::kResetUnheard);
}

TEST_F(TlsStreamTest, AResetAfterBytesIsAnyReset) {
  connect();
  server_.write("settings", 8);
  ASSERT_EQ(read_all(client_), "settings");
  client_.write("unread", 6);
  wire_.close_server();
  char byte;
  EXPECT_EQ(client_.read(&byte, 1).result, TlsResult::kFailed);
  EXPECT_EQ(client_.error_class(), tls_class::kReset);
}

TEST_F(TlsStreamTest, WritingToNobodyFailsWithoutASignal) {
  connect();
  read_all(client_);
  wire_.close_client();
  EXPECT_EQ(server_.write("hello", 5).result, TlsResult::kFailed);
  EXPECT_EQ(server_.error_class(), tls_class::kReset);
  EXPECT_EQ(server_.close_notify().result, TlsResult::kDone);
}

TEST_F(TlsStreamTest, ADamagedRecordIsNotDelivered) {
  connect();
  read_all(client_);
  const std::string secret = "pay 10";
  server_.write(secret.data(), secret.size());
  std::array<char, 200> record;
  const ssize_t size = ::read(wire_.client(), record.data(), record.size());
  ASSERT_GT(size, 10);
  record[static_cast<std::size_t>(size) - 10] ^= 1;
  ASSERT_EQ(::write(wire_.server(), record.data(), static_cast<std::size_t>(size)), size);
  TlsOutcome end;
  EXPECT_EQ(read_all(client_, &end), "");
  EXPECT_EQ(end.result, TlsResult::kFailed);
  EXPECT_EQ(client_.error_class(), tls_class::kNotAuthentic);
  read_all(server_, &end);
  EXPECT_EQ(end.result, TlsResult::kFailed);
  EXPECT_EQ(server_.error_class(), "handshake refused: bad record mac") << "no byte had come from it yet";
}

// ---- hostile peers

TEST_F(TlsStreamTest, AFloodOfKeyUpdatesEndsTheConnection) {
  RawEnd client(RawEnd::Side::kClient, wire_.client(), [](SSL_CTX* context) { offer(context, "h2"); });
  ASSERT_EQ(shake(wire_, server_, client).first.result, TlsResult::kDone);
  const auto update = [&](unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
      ASSERT_EQ(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      ASSERT_EQ(client.handshake().result, TlsResult::kDone);
    }
  };
  // With a byte of data between, keys may change as often as they like.
  for (int round = 0; round < 3; ++round) {
    update(TlsStream::kIdleRecords - 1);
    client.write("x", 1);
    EXPECT_EQ(read_all(server_), "x");
  }
  update(3 * TlsStream::kIdleRecords);
  TlsOutcome end;
  read_all(server_, &end);
  EXPECT_EQ(end.result, TlsResult::kFailed);
  EXPECT_EQ(server_.error_class(), tls_class::kIdleRecords);
}

TEST_F(TlsStreamTest, AKeyUpdateThatWantsAnAnswerGetsOneWithTheNextWrite) {
  RawEnd client(RawEnd::Side::kClient, wire_.client(), [](SSL_CTX* context) { offer(context, "h2"); });
  ASSERT_EQ(shake(wire_, server_, client).first.result, TlsResult::kDone);
  ASSERT_EQ(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  client.write("new keys", 8);
  EXPECT_EQ(read_all(server_), "new keys");
  EXPECT_EQ(server_.write("too", 3).result, TlsResult::kDone);
  EXPECT_EQ(read_all(client), "too");
}

TEST_F(TlsStreamTest, RenegotiationIsNotHad) {
  RawEnd client(RawEnd::Side::kClient, wire_.client(), [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    offer(context, "h2");
  });
  ASSERT_EQ(shake(wire_, server_, client).first.result, TlsResult::kDone);
  ASSERT_EQ(SSL_renegotiate(client.ssl()), 1);
  client.handshake();
  char byte;
  TlsOutcome end = server_.read(&byte, 1);
  // The refusal is a warning that a client may live with; ours does not begin anew in any case.
  EXPECT_EQ(end.bytes, 0U);
  client.handshake();
  EXPECT_NE(client.error().find("renegotiation"), std::string::npos) << client.error();
}

TEST_F(TlsStreamTest, GarbageAfterTheHandshakeIsAProtocolError) {
  connect();
  ASSERT_EQ(::write(wire_.client(), "GET / HTTP/1.1\r\n\r\n", 18), 18);
  char byte;
  EXPECT_EQ(server_.read(&byte, 1).result, TlsResult::kFailed);
  EXPECT_EQ(server_.error_class(), tls_class::kProtocolError);
}

}  // namespace
}  // namespace ficus
