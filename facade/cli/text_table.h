// Text in columns, as wide as what stands in them. Internal to facade/cli/.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace ficus {

class TextTable {
 public:
  struct Cell {
    std::string text;          // fit for a terminal; what is measured
    std::string painted = "";  // the same with colours; empty: as it is
  };
  // From column `numbers_from` on, cells stand right: they are numbers.
  explicit TextTable(std::vector<std::string> head, std::size_t numbers_from = static_cast<std::size_t>(-1));
  // As many cells as the head has.
  void row(std::vector<Cell> cells);
  bool empty() const noexcept { return rows_.empty(); }
  // Two blanks between columns, none at the end of a line. `paint_head` colours the head's line.
  std::string print(const std::function<std::string(const std::string&)>& paint_head) const;

 private:
  std::string line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths) const;

  std::vector<std::string> head_;
  std::size_t numbers_from_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace ficus
