// SQLite with its errors kept: every call is checked, the first failure sticks to the Database and turns all that
// follows into nothing until it is taken, so that a transaction reads from top to bottom and is judged once at its end.
// sqlite.cc alone includes sqlite3.h. Threads: one at a time per Database, and its statements with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "facade/findings/store_error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ficus {

class Database;

// A statement being run; reset when it goes out of scope. Text and blobs are copied.
class SqlStatement {
 public:
  SqlStatement(SqlStatement&& that) noexcept;
  ~SqlStatement();

  // Binds the next parameter.
  SqlStatement& bind(std::int64_t value);
  SqlStatement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  SqlStatement& bind(std::string_view text);
  SqlStatement& bind_blob(std::string_view bytes);
  SqlStatement& bind_null();

  // True: there is a row, and the functions below read it. False: done, or failed.
  bool step();
  // Steps to the end.
  void run();

  std::int64_t integer(int column) const;
  std::uint64_t unsigned_integer(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string bytes(int column) const;  // of text or a blob
  bool is_null(int column) const;

 private:
  friend class Database;
  SqlStatement(Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  Database& database_;
  sqlite3_stmt* statement_;  // null: the database has failed
  int bound_ = 0;
};

class Database {
 public:
  enum class Access { kReadWrite, kReadOnly };

  // Opens a file that is there; never makes one. Waits at most `patience` for others' locks. The write-ahead log stays
  // when the last connection closes: who closes a database that was moved away must not remove its successor's.
  static StoreResult<std::unique_ptr<Database>> open(const std::string& path, Access access,
                                                     std::chrono::milliseconds patience);
  static StoreResult<std::unique_ptr<Database>> in_memory();
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // `sql` is one statement; kept prepared under its text, so it should not hold values.
  SqlStatement statement(std::string_view sql);
  // Several statements without parameters or results.
  void run(const std::string& sql);
  // The first column of the first row, as an integer; 0 where there is none.
  std::int64_t integer(std::string_view sql);

  std::int64_t changes() const;   // rows of the last INSERT, UPDATE or DELETE
  std::int64_t last_row() const;  // of the last INSERT
  bool failed() const { return error_.has_value(); }
  // The first failure since the last call, if any; what comes next is run again.
  std::optional<StoreError> take_error();
  // A failure that SQLite does not know of: undoes the transaction as one of its own would.
  void refuse(StoreError error);

 private:
  friend class SqlStatement;
  struct Statements;
  explicit Database(sqlite3* handle);
  void fail_with(int code);

  sqlite3* handle_;
  std::unique_ptr<Statements> statements_;
  std::optional<StoreError> error_;
};

// BEGIN IMMEDIATE; rolled back when it goes out of scope without a commit that worked.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  // Error: the first failure since it began; then nothing of it was done.
  StoreResult<void> commit();

 private:
  Database& database_;
  bool open_;
};

}  // namespace ficus
