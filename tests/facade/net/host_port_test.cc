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

TEST(HostPortTest, RefusesWhatIsNoneAndSaysWhatIsWrongWithIt) {
  const std::pair<const char*, const char*> rows[] = {{"", "it has no port"},
                                                      {"8080", "it has no port"},
                                                      {"host", "it has no port"},
                                                      {"host:", "its port is none from 0 to 65535"},
                                                      {":80", "it has no host"},
                                                      {"host:65536", "its port is none from 0 to 65535"},
                                                      {"host:-1", "its port is none from 0 to 65535"},
                                                      {"host:8x", "its port is none from 0 to 65535"},
                                                      {"::1:80", "an IPv6 address stands in brackets"},
                                                      {"[]:80", "it has no host"},
                                                      {"ho st:80", "it holds a blank"},
                                                      {"host:80 ", "it holds a blank"},
                                                      {"\thost:80", "it holds a blank"}};
  for (const auto& [bad, why] : rows) {
    const auto parsed = parse_host_port(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error(), why) << bad;
  }
}

}  // namespace
}  // namespace ficus
