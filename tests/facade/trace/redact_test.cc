#include "facade/trace/redact.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace ficus {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() {
    std::string name = testing::TempDir() + "/ficus-redact-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~KeyFileTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/redact.key"; }
  void write(const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path()) << text;
    ::chmod(path().c_str(), mode);
  }

  std::string folder_;
};

const std::string kDigits(64, 'a');

TEST(RedactorTest, HashIsTypeLengthAndTheFirst64BitsOfHmacSha256) {
  Redactor::Key key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<unsigned char>(i);
  // printf 'string\0P-4711' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
  EXPECT_EQ(Redactor(key).hashed("string", "P-4711"), "string:6:ac7ae8c453122e89");
}

TEST(RedactorTest, HashTellsTypesValuesAndKeysApart) {
  Redactor::Key one{}, two{};
  two[31] = 1;
  const std::set<std::string> hashes = {
      Redactor(one).hashed("string", "12"), Redactor(one).hashed("int32", "12"),
      Redactor(one).hashed("string", "1"),  Redactor(one).hashed("string", ""),
      Redactor(two).hashed("string", "12"), Redactor(one).hashed("string", std::string("12\0", 3))};
  EXPECT_EQ(hashes.size(), 6u);
  EXPECT_EQ(Redactor(one).hashed("string", "12"), Redactor(one).hashed("string", "12"));
}

TEST(RedactorTest, EphemeralKeysDiffer) {
  EXPECT_NE(Redactor::ephemeral().hashed("string", "x"), Redactor::ephemeral().hashed("string", "x"));
}

TEST_F(KeyFileTest, AbsentFileIsMadePrivateAndReadBackTheSame) {
  const mode_t before = ::umask(0);
  const auto first = Redactor::open_key_file(path());
  ::umask(before);
  ASSERT_TRUE(first.has_value()) << first.error();
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(info.st_size, 65);
  const auto second = Redactor::open_key_file(path());
  ASSERT_TRUE(second.has_value()) << second.error();
  EXPECT_EQ(first->hashed("string", "x"), second->hashed("string", "x"));
  // Nothing is left beside it.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator{}), 1);
}

TEST_F(KeyFileTest, ThoseWhoStartTogetherAgreeOnOneKey) {
  std::vector<std::string> hashes(8);
  std::vector<std::thread> threads;
  for (std::string& hash : hashes) {
    threads.emplace_back([&] {
      const auto redactor = Redactor::open_key_file(path());
      hash = redactor ? redactor->hashed("string", "x") : redactor.error();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(hashes.begin(), hashes.end()).size(), 1u) << hashes[0];
  EXPECT_THAT(hashes[0], MatchesRegex("string:1:[0-9a-f]{16}"));
}

TEST_F(KeyFileTest, FileThatIsNoKeyIsRefusedWithASentence) {
  struct Case {
    const char* name;
    std::string text;
    mode_t mode;
    const char* want;
  };
  const Case cases[] = {
      {"well", kDigits + "\n", 0600, ""},
      {"without a newline", kDigits, 0400, ""},
      {"upper case", std::string(64, 'A') + "\n", 0600, ""},
      {"empty", "", 0600, "does not hold 64 hex digits"},
      {"too short", kDigits.substr(1) + "\n", 0600, "does not hold 64 hex digits"},
      {"too long", kDigits + "0\n", 0600, "does not hold 64 hex digits"},
      {"two lines", kDigits + "\n\n", 0600, "does not hold 64 hex digits"},
      {"not hex", kDigits.substr(1) + "g\n", 0600, "does not hold 64 hex digits"},
      {"readable by the group", kDigits + "\n", 0640, "chmod 600"},
      {"readable by all", kDigits + "\n", 0604, "chmod 600"},
  };
  for (const Case& c : cases) {
    std::filesystem::remove(path());
    write(c.text, c.mode);
    const auto got = Redactor::open_key_file(path());
    if (*c.want == '\0') {
      EXPECT_TRUE(got.has_value()) << c.name << ": " << got.error();
    } else {
      ASSERT_FALSE(got.has_value()) << c.name;
      EXPECT_THAT(got.error(), HasSubstr(c.want)) << c.name;
      EXPECT_THAT(got.error(), HasSubstr(path())) << c.name;
      EXPECT_THAT(got.error(), testing::Not(HasSubstr("aaaa"))) << c.name << ": a key stands in a message";
    }
  }
}

TEST_F(KeyFileTest, ReadingMakesNoFile) {
  const auto absent = Redactor::read_key_file(path());
  ASSERT_FALSE(absent.has_value());
  EXPECT_THAT(absent.error(), HasSubstr("No such file or directory"));
  EXPECT_THAT(absent.error(), HasSubstr(path()));
  EXPECT_FALSE(std::filesystem::exists(path()));

  const auto made = Redactor::open_key_file(path());
  ASSERT_TRUE(made.has_value()) << made.error();
  const auto read = Redactor::read_key_file(path());
  ASSERT_TRUE(read.has_value()) << read.error();
  EXPECT_EQ(read->hashed("string", "x"), made->hashed("string", "x"));
}

TEST_F(KeyFileTest, FolderThatIsNotThereIsNamed) {
  const auto got = Redactor::open_key_file(folder_ + "/none/redact.key");
  ASSERT_FALSE(got.has_value());
  EXPECT_THAT(got.error(), HasSubstr("No such file or directory"));
  EXPECT_FALSE(Redactor::open_key_file(folder_).has_value());  // a folder is no key
}

}  // namespace
}  // namespace ficus
