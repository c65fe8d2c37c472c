// "Did you mean": the word nearest to a misspelt one. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ficus {

// Letters to insert, delete, replace or swap with their neighbour to turn one word into the other (optimal string
// alignment). O(a x b): meant for words, not for texts.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, the first of equals; empty when none is near enough (a third of the word's length,
// at least one letter). Borrows from `candidates`. Words over 64 bytes are not tried.
std::string_view closest_word(std::string_view word, const std::vector<std::string_view>& candidates);

// `did you mean "policy-new"?`, or empty. For Diagnostic::hint.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

// `text` in double quotes for a message: control characters and invalid UTF-8 as \xNN, cut after 80 bytes.
std::string in_quotes(std::string_view text);

}  // namespace ficus
