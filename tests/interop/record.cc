#include "tests/interop/record.h"

#include <openssl/evp.h>

#include <cstdint>
#include <cstdio>
#include <mutex>

// Exported by libgrpc for gRPC's own interop peers; declared in no public header.
std::uint32_t grpc_call_test_only_get_message_flags(grpc_call* call);

namespace ficus::interop {
namespace {

// core: GRPC_WRITE_INTERNAL_COMPRESS (as it stood on the wire) and ..._TEST_ONLY_WAS_COMPRESSED (inflated since).
constexpr std::uint32_t kCompressedFlags = 0x80000000u | 0x40000000u;

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return hex({reinterpret_cast<const char*>(digest), size});
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;  // UTF-8 stands for itself
    }
  }
  return out + '"';
}

template <typename Items>
std::string joined(const Items& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ",") + item;
  return out;
}

}  // namespace

bool last_message_was_compressed(grpc_call* call) {
  return (grpc_call_test_only_get_message_flags(call) & kCompressedFlags) != 0;
}

void Record::add_message(const google::protobuf::MessageLite& message, bool compressed) {
  const std::string bytes = message.SerializeAsString();
  messages_.push_back("{\"bytes\":" + std::to_string(bytes.size()) + ",\"sha256\":\"" + sha256_hex(bytes) +
                      "\",\"compressed\":" + (compressed ? "true" : "false") + "}");
}

void Record::add_metadata(const std::string& where, const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  std::map<std::string, std::vector<std::string>> lists;  // a multimap keeps the order of equal keys
  for (const auto& [key, value] : metadata) {
    const std::string name(key.data(), key.size());
    const std::string_view bytes(value.data(), value.size());
    lists[name].push_back(quoted(name.size() > 4 && name.ends_with("-bin") ? hex(bytes) : std::string(bytes)));
  }
  std::vector<std::string> entries;
  for (const auto& [name, values] : lists) entries.push_back(quoted(name) + ":[" + joined(values) + "]");
  fields_[where] = "{" + joined(entries) + "}";
}

void Record::set(const std::string& name, std::string_view text) { fields_[name] = quoted(text); }

void Record::set_status(const grpc::Status& status) {
  set("code", static_cast<long long>(status.error_code()));
  set("detail", std::string_view(status.error_message()));
}

std::string Record::json() const {
  std::string out = "{\"kind\":" + quoted(kind_) + ",\"path\":" + quoted(path_);
  for (const auto& [name, value] : fields_) out += "," + quoted(name) + ":" + value;
  return out + ",\"messages\":[" + joined(messages_) + "]}";
}

void Record::write() const {
  static std::mutex one_line_at_a_time;
  const std::string line = json() + "\n";
  const std::lock_guard lock(one_line_at_a_time);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace ficus::interop
