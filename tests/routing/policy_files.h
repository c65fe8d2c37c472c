// The policies under tests/testdata and policies/, for tests that hold for each of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ficus::test {

struct PolicyFile {
  std::string name;  // "unknown_keys.yaml"
  std::string text;
};

// Every *.yaml of a directory (not below it), by name. `directory` is relative to the source tree's root.
inline std::vector<PolicyFile> policy_files(const std::string& directory) {
  std::vector<PolicyFile> files;
  const std::filesystem::path path = std::filesystem::path(FICUS_SOURCE_DIR) / directory;
  if (!std::filesystem::exists(path)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    files.push_back({entry.path().filename().string(),
                     std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>())});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

}  // namespace ficus::test
