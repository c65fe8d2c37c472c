#include "facade/findings/sqlite.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include <sqlite3.h>

namespace ficus {
namespace {

StoreFault fault_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return StoreFault::kFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return StoreFault::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return StoreFault::kBusy;
    case SQLITE_READONLY:
      return StoreFault::kReadOnly;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return StoreFault::kCannotOpen;
    case SQLITE_IOERR:
      return StoreFault::kIo;
    default:
      return StoreFault::kOther;
  }
}

// SQLite calls a write that EFBIG or EDQUOT ended an I/O error; to a person it is a full disk.
bool no_space(int code, int system_error) {
  return (code & 0xff) == SQLITE_IOERR && (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG);
}

}  // namespace

std::string_view word_of(StoreFault fault) {
  switch (fault) {
    case StoreFault::kFull:
      return "disk_full";
    case StoreFault::kCorrupt:
      return "corrupt";
    case StoreFault::kBusy:
      return "busy";
    case StoreFault::kReadOnly:
      return "read_only";
    case StoreFault::kCannotOpen:
      return "open_failed";
    case StoreFault::kIo:
      return "io_error";
    case StoreFault::kNewer:
      return "newer_schema";
    case StoreFault::kForeign:
      return "foreign";
    case StoreFault::kOther:
      return "other";
    case StoreFault::kNotFound:
      return "not_found";
    case StoreFault::kAmbiguous:
      return "ambiguous";
    case StoreFault::kInvalid:
      return "invalid";
  }
  return "other";
}

struct Database::Statements {
  std::map<std::string, sqlite3_stmt*, std::less<>> by_text;
};

SqlStatement::SqlStatement(SqlStatement&& that) noexcept
    : database_(that.database_), statement_(std::exchange(that.statement_, nullptr)), bound_(that.bound_) {}

SqlStatement::~SqlStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);  // repeats the failure of the last step, which is kept already
  sqlite3_clear_bindings(statement_);
}

SqlStatement& SqlStatement::bind(std::int64_t value) {
  if (statement_ == nullptr || database_.failed()) return *this;
  if (const int code = sqlite3_bind_int64(statement_, ++bound_, value); code != SQLITE_OK) database_.fail_with(code);
  return *this;
}

SqlStatement& SqlStatement::bind(std::string_view text) {
  if (statement_ == nullptr || database_.failed()) return *this;
  // A null pointer would bind NULL.
  const int code = sqlite3_bind_text64(statement_, ++bound_, text.data() == nullptr ? "" : text.data(), text.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) database_.fail_with(code);
  return *this;
}

SqlStatement& SqlStatement::bind_blob(std::string_view bytes) {
  if (statement_ == nullptr || database_.failed()) return *this;
  const int code = sqlite3_bind_blob64(statement_, ++bound_, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(),
                                       SQLITE_TRANSIENT);
  if (code != SQLITE_OK) database_.fail_with(code);
  return *this;
}

SqlStatement& SqlStatement::bind_null() {
  if (statement_ == nullptr || database_.failed()) return *this;
  if (const int code = sqlite3_bind_null(statement_, ++bound_); code != SQLITE_OK) database_.fail_with(code);
  return *this;
}

bool SqlStatement::step() {
  if (statement_ == nullptr || database_.failed()) return false;
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail_with(code);
  return false;
}

void SqlStatement::run() {
  while (step()) {
  }
}

std::int64_t SqlStatement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string SqlStatement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr || size <= 0) return {};
  return std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

bool SqlStatement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Database::Database(sqlite3* handle) : handle_(handle), statements_(std::make_unique<Statements>()) {}

Database::~Database() {
  for (const auto& [text, statement] : statements_->by_text) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

StoreResult<std::unique_ptr<Database>> Database::open(const std::string& path, Access access,
                                                      std::chrono::milliseconds patience) {
  sqlite3* handle = nullptr;
  const int flags = (access == Access::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  // Even a failed open gives a handle, which holds the message and wants to be closed.
  auto database = std::unique_ptr<Database>(new Database(handle));
  if (code != SQLITE_OK) {
    database->fail_with(code);
    return fail(*database->take_error());
  }
  sqlite3_busy_timeout(handle, static_cast<int>(patience.count()));
  // What stands in a file is data, not orders: no schema of a stranger runs functions, none is edited by hand.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  int stays = 1;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &stays);
  return database;
}

StoreResult<std::unique_ptr<Database>> Database::in_memory() {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  auto database = std::unique_ptr<Database>(new Database(handle));
  if (code == SQLITE_OK) return database;
  database->fail_with(code);
  return fail(*database->take_error());
}

SqlStatement Database::statement(std::string_view sql) {
  if (failed()) return {*this, nullptr};
  auto found = statements_->by_text.find(sql);
  if (found == statements_->by_text.end()) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                        &made, nullptr);
    if (code != SQLITE_OK) {
      fail_with(code);
      return {*this, nullptr};
    }
    found = statements_->by_text.emplace(std::string(sql), made).first;
  }
  return {*this, found->second};
}

void Database::run(const std::string& sql) {
  if (failed()) return;
  errno = 0;
  if (const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr); code != SQLITE_OK)
    fail_with(code);
}

std::int64_t Database::integer(std::string_view sql) {
  SqlStatement row = statement(sql);
  return row.step() ? row.integer(0) : 0;
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }
std::int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_); }

std::optional<StoreError> Database::take_error() { return std::exchange(error_, std::nullopt); }

void Database::refuse(StoreError error) {
  if (!error_) error_ = std::move(error);
}

void Database::fail_with(int code) {
  if (error_) return;
  // sqlite3_system_errno knows nothing of what fails in a COMMIT, and does not forget what failed before.
  const int system_error = errno != 0 ? errno : handle_ == nullptr ? 0 : sqlite3_system_errno(handle_);
  StoreError error{no_space(code, system_error) ? StoreFault::kFull : fault_of(code), sqlite3_errstr(code)};
  const std::string details = handle_ == nullptr ? "" : sqlite3_errmsg(handle_);
  if (!details.empty() && details != error.text && sqlite3_errcode(handle_) != SQLITE_OK) error.text += ": " + details;
  const bool of_the_system = error.fault == StoreFault::kCannotOpen || error.fault == StoreFault::kIo ||
                             error.fault == StoreFault::kFull || error.fault == StoreFault::kReadOnly;
  if (of_the_system && system_error != 0) error.text += std::string(": ") + std::strerror(system_error);
  error_ = std::move(error);
}

Transaction::Transaction(Database& database) : database_(database), open_(!database.failed()) {
  database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  // SQLite may have rolled back by itself (a full disk), and then says that there is nothing to roll back.
  const std::optional<StoreError> first = database_.take_error();
  database_.run("ROLLBACK");
  database_.take_error();
  if (first) database_.refuse(*first);
}

StoreResult<void> Transaction::commit() {
  database_.run("COMMIT");
  if (!database_.failed()) {
    open_ = false;
    return {};
  }
  const StoreError error = *database_.take_error();
  database_.run("ROLLBACK");
  database_.take_error();
  open_ = false;
  return fail(error);
}

}  // namespace ficus
