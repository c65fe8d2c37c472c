#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace ficus::e2e {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "ficus-e2e-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory: " + pattern);
  root_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TempDir::path(std::string_view name) const {
  return name.empty() ? root_ : root_ + "/" + std::string(name);
}

void TempDir::write(std::string_view name, std::string_view text) const {
  const std::string target = path(name);
  const std::string draft = target + ".draft";
  {
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.good()) throw std::runtime_error("cannot write " + draft);
  }
  std::filesystem::rename(draft, target);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace ficus::e2e
