#include "facade/control/json_writer.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

TEST(JsonWriterTest, PutsCommasWhereTheyBelong) {
  JsonWriter json;
  json.begin_object()
      .key("a")
      .number(1)
      .key("b")
      .begin_array()
      .text("x")
      .null()
      .boolean(true)
      .begin_object()
      .end_object()
      .begin_array()
      .end_array()
      .end_array();
  json.key("c").text("").end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":["x",null,true,{},[]],"c":""})");
}

TEST(JsonWriterTest, AnyBytesBecomeAValidString) {
  struct {
    const char* name;
    std::string text;
    const char* want;
  } const cases[] = {
      {"quote and backslash", "a\"b\\c", R"("a\"b\\c")"},
      {"control characters", std::string("\n\t\0\x1f\x7f", 5), R"("\n\u0009\u0000\u001f\u007f")"},
      {"UTF-8", "Zürich €😀", "\"Zürich €😀\""},
      {"not UTF-8", "a\xff\xe2\x82z", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(JsonWriter().text(c.text).take(), c.want);
  }
}

}  // namespace
}  // namespace ficus
