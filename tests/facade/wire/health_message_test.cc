// The two messages of grpc.health.v1 by hand, against bytes written out from the encoding's rules.
#include "facade/wire/health_message.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

using namespace std::string_literals;

TEST(HealthMessageTest, ARequestForTheWholeServerIsEmpty) { EXPECT_EQ(encode_health_request(""), ""); }

TEST(HealthMessageTest, ARequestNamesItsServiceInFieldOne) {
  EXPECT_EQ(encode_health_request("a.B"), "\x0a\x03"s + "a.B");
  EXPECT_EQ(encode_health_request(std::string(200, 's')), "\x0a\xc8\x01"s + std::string(200, 's'));
}

TEST(HealthMessageTest, EachStatusIsRead) {
  const struct {
    const char* name;
    std::string bytes;
    std::optional<ServingStatus> want;
  } table[] = {
      {"nothing said is unknown", ""s, ServingStatus::kUnknown},
      {"serving", "\x08\x01"s, ServingStatus::kServing},
      {"not serving", "\x08\x02"s, ServingStatus::kNotServing},
      {"service unknown", "\x08\x03"s, ServingStatus::kServiceUnknown},
      {"one of the future", "\x08\x2a"s, static_cast<ServingStatus>(42)},
      {"a long varint", "\x08\x81\x80\x00"s, ServingStatus::kServing},
      {"the last of two", "\x08\x02\x08\x01"s, ServingStatus::kServing},
      {"unknown fields passed over",
       "\x12\x02xx\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08\x28\x05\x08\x01"s, ServingStatus::kServing},
      {"no value", "\x08"s, std::nullopt},
      {"a varint without end", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, std::nullopt},
      {"a field that ends early", "\x12\x05xx"s, std::nullopt},
      {"a length beyond everything", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, std::nullopt},
      {"field number 0", "\x00\x01"s, std::nullopt},
      {"a group", "\x0b"s, std::nullopt},
      {"fixed32 cut off", "\x1d\x01\x02"s, std::nullopt},
  };
  for (const auto& row : table) EXPECT_EQ(parse_health_response(row.bytes), row.want) << row.name;
}

}  // namespace
}  // namespace ficus
