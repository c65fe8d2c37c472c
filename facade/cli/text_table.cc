#include "facade/cli/text_table.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "facade/base/check.h"

namespace ficus {
namespace {

// Characters, not bytes: names may be in any script. Wide ones count as one, which only costs alignment.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> head, std::size_t numbers_from)
    : head_(std::move(head)), numbers_from_(numbers_from) {}

void TextTable::row(std::vector<Cell> cells) {
  FICUS_CHECK(cells.size() == head_.size()) << "a row of " << cells.size() << " cells under " << head_.size();
  rows_.push_back(std::move(cells));
}

std::string TextTable::line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths) const {
  std::string out;
  std::size_t blanks = 0;  // owed to the cells so far; none at the end of a line
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = width_of(cells[i].text), room = widths[i] - width;
    if (i != 0) blanks += 2;
    if (i >= numbers_from_) blanks += room;
    if (width != 0) {
      out.append(std::exchange(blanks, 0), ' ').append(cells[i].painted.empty() ? cells[i].text : cells[i].painted);
    }
    if (i < numbers_from_) blanks += room;
  }
  return out;
}

std::string TextTable::print(const std::function<std::string(const std::string&)>& paint_head) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < head_.size(); ++i) {
    widths.push_back(width_of(head_[i]));
    for (const auto& cells : rows_) widths[i] = std::max(widths[i], width_of(cells[i].text));
  }
  std::vector<Cell> head;
  for (const std::string& text : head_) head.push_back({text});
  std::string out = paint_head(line(head, widths)) + "\n";
  for (const auto& cells : rows_) out += line(cells, widths) + "\n";
  return out;
}

}  // namespace ficus
