#include <gtest/gtest.h>

#include "facade/net/listener.h"

namespace ficus {
namespace {

TEST(HostPortTest, ReadsNamesAndAddresses) {
  const std::tuple<const char*, const char*, int> rows[] = {
      {"127.0.0.1:8080", "127.0.0.1", 8080}, {"localhost:0", "localhost", 0}, {"[::1]:65535", "::1", 65535}};
  for (const auto& [text, host, port] : rows) {
    const auto parsed = parse_host_port(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
    EXPECT_EQ(to_string(*parsed), text);
  }
}

TEST(HostPortTest, RefusesWhatIsNoneAndSaysHowToWriteIt) {
  for (const char* bad : {"", "8080", "host", "host:", ":80", "host:65536", "host:-1", "host:8x", "::1:80", "[]:80"}) {
    const auto parsed = parse_host_port(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().find("HOST:PORT"), std::string::npos) << parsed.error();
  }
}

}  // namespace
}  // namespace ficus
