// That unary calls in the steady state ask malloc for nothing, on either side. A program of its own: it counts every
// malloc.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "facade/h2/h2_engine.h"
#include "tests/support/sanitizers.h"

#if !FICUS_SANITIZER_OWNS_MALLOC

namespace {
std::uint64_t allocations = 0;
}  // namespace

extern "C" void* __libc_malloc(std::size_t bytes) noexcept;
// operator new asks malloc too: both are counted here.
extern "C" void* malloc(std::size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}

namespace ficus {
namespace {

HeaderBlock list_of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  HeaderBlock block;
  for (const auto& [name, value] : fields) block.add_static(name, value);
  return block;
}

// A connection's end whose one stream stands in the same place for every call.
class End : public H2Engine::Owner {
 public:
  class Stream : public H2StreamBase, public StreamEvents {
   public:
    explicit Stream(End& end) : H2StreamBase(end.chunks_), end_(end) { events_ = this; }
    void on_headers(HeaderBlock&, bool) override {}
    void on_data(std::string_view bytes) override {
      consume(bytes.size());
      end_.received += bytes.size();
    }
    void on_end(HeaderBlock*) override {
      if (!end_.server_) return;
      end_.engine.send_head(*this, list_of({{":status", "200"}, {"content-type", "application/grpc"}}), false);
      send_data(end_.body);
      send_trailers(list_of({{"grpc-status", "0"}}));
    }
    void on_sent(std::size_t) override {}
    void on_headers_too_large() override {}
    void on_closed(StreamEnd, std::uint32_t, std::string_view) override {}
    void on_shutdown(const ForcedEnd&) override {}

   private:
    End& end_;
  };

  explicit End(H2Engine::Role role) : engine(role, limits_, *this, blocks_), server_(role == H2Engine::Role::kServer) {
    engine.start();
  }
  ~End() override {
    engine.detach_all([](H2StreamBase&) {});
  }
  void call() {
    Stream& stream = place();
    engine.open_stream(
        stream, list_of({{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {"te", "trailers"}}), false);
    stream.send_data(body);
    stream.send_end();
  }
  void give_to(End& other) {
    engine.flushed();
    engine.pump();
    OutBuffer& out = engine.out();
    ASSERT_TRUE(other.engine.receive({reinterpret_cast<const char*>(out.data()), out.size()}, {}));
    out.pop(out.size());
    out.release_if_empty();
    other.engine.reap();
  }

  H2StreamBase* on_new_stream() override { return &place(); }
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t) override {
    if (end == StreamEnd::kFinished) ++finished;
    stream.~H2StreamBase();
    used_ = false;
  }
  void on_settings() override {}
  void on_goaway(std::uint32_t, std::string_view) override {}
  void on_ping_ack(std::uint64_t) override {}
  void on_malformed_head() override {}
  void on_connection_error(H2Error, std::string_view) override {}
  void on_stream_error(H2Error) override {}
  void on_limit(std::string_view) override {}
  void on_output() override {}

 private:
  Stream& place() {
    EXPECT_FALSE(used_);
    used_ = true;
    return *new (storage_) Stream(*this);
  }
  H2Limits limits_;
  OutBlockPool blocks_;
  ChunkPool chunks_;
  alignas(Stream) unsigned char storage_[sizeof(Stream)];
  bool used_ = false;

 public:
  H2Engine engine;
  std::string body = std::string(3000, 'x');
  std::uint64_t received = 0;
  int finished = 0;

 private:
  const bool server_;
};

TEST(H2EngineAllocationTest, UnaryCallsInTheSteadyStateAllocateNothing) {
  End client(H2Engine::Role::kClient), server(H2Engine::Role::kServer);
  const auto call = [&] {
    client.call();
    client.give_to(server);
    server.give_to(client);
  };
  client.give_to(server);
  server.give_to(client);
  for (int i = 0; i < 2000; ++i) call();
  const std::uint64_t before = allocations;
  for (int i = 0; i < 1000; ++i) call();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(client.finished, 3000);
  EXPECT_EQ(server.finished, 3000);
  EXPECT_EQ(client.received, 3000u * 3000u);
}

TEST(H2EngineAllocationTest, TheCounterCounts) {
  const std::uint64_t before = allocations;
  delete new std::string(100, 'x');
  EXPECT_GE(allocations, before + 2);
}

}  // namespace
}  // namespace ficus

#else
TEST(H2EngineAllocationTest, DISABLED_SanitizersReplaceMalloc) {}
#endif
