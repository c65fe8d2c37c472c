#include "facade/findings/finding_schema.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "facade/base/unique_fd.h"
#include "tests/facade/findings/finding_fixture.h"

namespace ficus {
namespace {

using testing::HasSubstr;

class FindingSchemaTest : public FindingFixture {
 protected:
  StoreResult<std::unique_ptr<Database>> open_file(Migrations migrations = finding_migrations()) {
    return open_findings(options_.directory, options_.limits, migrations);
  }
  // The fault of opening, by its word; "ok".
  std::string opened(Migrations migrations = finding_migrations()) {
    const auto database = open_file(migrations);
    return database ? "ok" : std::string(word_of(database.error().fault));
  }
  static int mode_of(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : -1;
  }
};

TEST_F(FindingSchemaTest, MakesAPrivateFileInAPrivateDirectory) {
  const auto database = open_file();
  ASSERT_TRUE(database.has_value()) << database.error().text;
  EXPECT_EQ(mode_of(options_.directory), 0700);
  for (const char* suffix : {"", "-wal", "-shm"}) EXPECT_EQ(mode_of(file() + suffix), 0600) << suffix;
  EXPECT_EQ((*database)->integer("PRAGMA user_version"), 1);
}

TEST_F(FindingSchemaTest, BringsAFileBackToItsMode) {
  ASSERT_EQ(opened(), "ok");
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  EXPECT_EQ(opened(), "ok");
  EXPECT_EQ(mode_of(file()), 0600);
}

TEST_F(FindingSchemaTest, ANewerSchemaIsRefusedAndStaysAsItIs) {
  ASSERT_EQ(opened(), "ok");
  {
    const auto database = open_file();
    (*database)->run("PRAGMA user_version = 2");
  }
  const std::string before = bytes_of(file());
  const auto refused = open_file();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().fault, StoreFault::kNewer);
  EXPECT_THAT(refused.error().text, HasSubstr("version 2"));
  EXPECT_THAT(refused.error().text, HasSubstr("up to 1"));
  EXPECT_EQ(bytes_of(file()), before);
  const auto reader = open_findings_to_read(options_.directory, Database::Access::kReadOnly);
  ASSERT_FALSE(reader.has_value());
  EXPECT_EQ(reader.error().fault, StoreFault::kNewer);
}

TEST_F(FindingSchemaTest, AnotherProgramsDatabaseIsRefusedAndStaysAsItIs) {
  ASSERT_EQ(opened(), "ok");
  std::filesystem::remove(file());
  write(file(), "");
  {
    const auto database = Database::open(file(), Database::Access::kReadWrite, std::chrono::milliseconds(0));
    (*database)->run("CREATE TABLE guests(name TEXT)");
  }
  const std::string before = bytes_of(file());
  EXPECT_EQ(opened(), "foreign");
  EXPECT_EQ(bytes_of(file()), before);
}

constexpr const char* kFirst = "CREATE TABLE finding(id INTEGER PRIMARY KEY, count INTEGER)";
constexpr const char* kSecond = "ALTER TABLE finding ADD COLUMN note TEXT; UPDATE finding SET note = 'old'";
constexpr const char* kBroken = "ALTER TABLE finding ADD COLUMN other TEXT; INSERT INTO nowhere VALUES(1)";

TEST_F(FindingSchemaTest, AnOlderSchemaIsMigratedWithItsRows) {
  const char* const one[] = {kFirst};
  const char* const two[] = {kFirst, kSecond};
  {
    const auto database = open_file(one);
    ASSERT_TRUE(database.has_value()) << database.error().text;
    (*database)->run("INSERT INTO finding VALUES(1, 7)");
  }
  const auto database = open_file(two);
  ASSERT_TRUE(database.has_value()) << database.error().text;
  EXPECT_EQ((*database)->integer("PRAGMA user_version"), 2);
  EXPECT_EQ((*database)->integer("SELECT count FROM finding WHERE note = 'old'"), 7);
}

TEST_F(FindingSchemaTest, AMigrationThatFailsLeavesTheOlderSchema) {
  const char* const one[] = {kFirst};
  const char* const two[] = {kFirst, kBroken};
  ASSERT_EQ(opened(one), "ok");
  EXPECT_EQ(opened(two), "other");
  const auto database = open_file(one);
  ASSERT_TRUE(database.has_value()) << database.error().text;
  EXPECT_EQ((*database)->integer("SELECT count(*) FROM pragma_table_info('finding')"), 2);
}

TEST_F(FindingSchemaTest, DamageIsSaidAndNotTouched) {
  const struct {
    const char* name;
    std::string bytes;
    const char* want;
  } rows[] = {{"garbage", std::string(8192, 'x'), "corrupt"}, {"a text", "not a database\n", "corrupt"}};
  ASSERT_EQ(opened(), "ok");
  for (const auto& row : rows) {
    write(file(), row.bytes);
    EXPECT_EQ(opened(), row.want) << row.name;
    EXPECT_EQ(bytes_of(file()), row.bytes) << row.name;
  }
}

TEST_F(FindingSchemaTest, ACutOffFileIsCorrupt) {
  {
    const auto database = open_file();
    (*database)->run("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  const std::string whole = bytes_of(file());
  ASSERT_GT(whole.size(), 3u * 4096);
  for (const std::size_t size : {whole.size() - 4096, whole.size() / 2, std::size_t{5000}, std::size_t{100}}) {
    write(file(), whole.substr(0, size));
    EXPECT_EQ(opened(), "corrupt") << size;
  }
  write(file(), whole);
  EXPECT_EQ(opened(), "ok");
}

TEST_F(FindingSchemaTest, AnEmptyFileIsANewDatabase) {
  ASSERT_EQ(opened(), "ok");
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file() + suffix);
  write(file(), "");
  EXPECT_EQ(opened(), "ok");
}

TEST_F(FindingSchemaTest, WhatIsLeftOfADatabaseThatWasMovedAwayDamagesNoNewOne) {
  {
    const auto database = open_file();
    (*database)->run("INSERT INTO traffic VALUES('old', 'm', 1, 1)");
    std::filesystem::rename(file(), folder_ + "/moved.db");
  }
  ASSERT_TRUE(std::filesystem::exists(file() + "-wal"));
  const auto database = open_file();
  ASSERT_TRUE(database.has_value()) << database.error().text;
  EXPECT_EQ((*database)->integer("SELECT count(*) FROM traffic"), 0);
}

TEST_F(FindingSchemaTest, PlacesThatCannotHoldItAreSaid) {
  write(folder_ + "/plain", "x");
  options_.directory = folder_ + "/plain";
  EXPECT_EQ(opened(), "open_failed") << "a file for a directory";
  options_.directory = folder_ + "/plain/deeper";
  EXPECT_EQ(opened(), "open_failed");
  options_.directory = folder_ + "/no/such/parent";
  EXPECT_EQ(opened(), "open_failed");
  options_.directory = folder_ + "/state";
  std::filesystem::create_directories(file());
  const auto refused = open_file();
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text, HasSubstr("no regular file"));
}

TEST_F(FindingSchemaTest, ALockedDirectoryIsBusyAndNotWaitedForWithoutEnd) {
  ASSERT_EQ(opened(), "ok");
  const UniqueFd held(::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_EQ(opened(), "busy");
}

TEST_F(FindingSchemaTest, AReaderMakesNothing) {
  const auto none = open_findings_to_read(options_.directory, Database::Access::kReadOnly);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().fault, StoreFault::kCannotOpen);
  EXPECT_FALSE(std::filesystem::exists(options_.directory));
  ASSERT_EQ(opened(), "ok");
  const auto some = open_findings_to_read(options_.directory, Database::Access::kReadOnly);
  ASSERT_TRUE(some.has_value()) << some.error().text;
  (*some)->run("DELETE FROM finding");
  EXPECT_TRUE((*some)->failed());
}

TEST_F(FindingSchemaTest, ADatabaseKeepsItsFirstErrorAndDoesNothingUntilItIsTaken) {
  const auto database = findings_in_memory(options_.limits);
  ASSERT_TRUE(database.has_value());
  Database& db = **database;
  {
    Transaction transaction(db);
    db.run("INSERT INTO traffic VALUES('c', 'm', 1, 1)");
    db.run("INSERT INTO nowhere VALUES(1)");
    db.run("INSERT INTO traffic VALUES('c', 'n', 1, 1)");
    const auto done = transaction.commit();
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().text, HasSubstr("nowhere"));
  }
  EXPECT_FALSE(db.failed());
  EXPECT_EQ(db.integer("SELECT count(*) FROM traffic"), 0);
}

}  // namespace
}  // namespace ficus
