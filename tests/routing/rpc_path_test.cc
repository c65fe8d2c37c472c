#include "routing/rpc_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace ficus {
namespace {

TEST(RpcPathTest, SplitsServiceAndMethod) {
  struct Case {
    std::string_view path, service, method;
  };
  for (const Case& c : {
           Case{"/insurance.policy.v1.PolicyService/GetPolicy", "insurance.policy.v1.PolicyService", "GetPolicy"},
           Case{"/S/M", "S", "M"},
           Case{"/a.b-c_d~e/!$&'()*+,;=:@[]\\^`{|}\"<>", "a.b-c_d~e", "!$&'()*+,;=:@[]\\^`{|}\"<>"},
       }) {
    const auto parsed = parse_rpc_path(c.path);
    ASSERT_TRUE(parsed) << c.path;
    EXPECT_EQ(parsed->service, c.service);
    EXPECT_EQ(parsed->method, c.method);
    EXPECT_EQ(parsed->service.data(), c.path.data() + 1) << "borrows from the path";
  }
}

TEST(RpcPathTest, RefusesWhatIsNotExactlyServiceAndMethod) {
  const std::string_view malformed[] = {
      "", "/", "//", "///", "S/M", "/S", "/S/", "//M", "/S/M/", "/S/M/x", "//S/M", "/a/b/c", "S", "*",
      "/S/M?x=1", "/S/M#x", "/S/%4d", "/%53/M", "/S /M", "/S/M ", " /S/M", "/S/M\n", "/S\t/M", "/S/M\x7f", "/S/\x80",
      "/m\xc3\xbcller/M", "http://host/S/M",
  };
  for (const std::string_view path : malformed) EXPECT_FALSE(parse_rpc_path(path)) << path;
  EXPECT_FALSE(parse_rpc_path(std::string_view("/S/M\0", 5))) << "a zero byte";
  EXPECT_FALSE(parse_rpc_path(std::string_view("/\0/M", 4))) << "a zero byte";
}

TEST(RpcPathTest, WhatItTakesIsTheTwoPartsAndNothingElse) {
  std::mt19937 random(7);
  const std::string_view letters = "/aabbcc.d%?# \n\x80";
  int taken = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string path = random() % 4 == 0 ? "" : "/";
    for (auto n = random() % 8; n > 0; --n) path += letters[random() % letters.size()];
    const auto parsed = parse_rpc_path(path);
    if (!parsed) continue;
    ++taken;
    EXPECT_EQ("/" + std::string(parsed->service) + "/" + std::string(parsed->method), path);
    EXPECT_EQ(std::count(path.begin(), path.end(), '/'), 2) << path;
    EXPECT_EQ(path.find_first_of("%?# \n\x80"), std::string::npos) << path;
  }
  EXPECT_GT(taken, 100);
}

}  // namespace
}  // namespace ficus
