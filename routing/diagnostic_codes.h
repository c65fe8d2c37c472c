// Every diagnostic code with its sentence: the table "Diagnostics" of policies/README.md, which a test holds against
// this list. P001..P099, W001..: found while parsing. P100.., W100..: found by policy_check.h. A code is never reused.
#pragma once

#include <string_view>

namespace ficus {

struct DiagnosticCode {
  std::string_view code;
  std::string_view sentence;
};

// X(constant, code, sentence): a list, so that constants and table cannot come apart.
#define FICUS_PARSER_CODES(X)                                                                                        \
  X(kTooLarge, "P001", "The file is larger than 64 MiB.")                                                            \
  X(kNotText, "P002", "The file is not UTF-8, or holds a control character or one that hides or reorders text.")     \
  X(kNoFinalNewline, "P003", "The file does not end with a newline: it may have been cut off.")                      \
  X(kNotYaml, "P004", "The file is not YAML at this place.")                                                         \
  X(kManyDocuments, "P005", "The file holds more than one YAML document.")                                           \
  X(kTooDeep, "P006", "Lists and mappings are nested too deep.")                                                     \
  X(kTooManyNodes, "P007", "The file holds too many values, aliases counted as often as they are used.")             \
  X(kAliasLoop, "P008", "An alias stands inside the very value it names.")                                           \
  X(kTag, "P009", "A YAML tag: values have the type their key asks for, and tags are not used.")                     \
  X(kUnknownKey, "P010", "The mapping has no such key.")                                                             \
  X(kDuplicateKey, "P011", "The key stands twice in one mapping.")                                                   \
  X(kMissingKey, "P012", "The mapping lacks a required key.")                                                        \
  X(kNotSupportedYet, "P013", "The field belongs to the language but is not built yet.")                             \
  X(kEmpty, "P015", "A key without a value, or an empty text, list or mapping.")                                     \
  X(kWrongKind, "P016", "A list, a mapping or a single value was expected, and this is another of the three.")       \
  X(kApiVersion, "P017", "apiVersion is not one that this build reads.")                                             \
  X(kEpochNotLast, "P018", "ownership_epoch is missing, or is not the last key of the file.")                        \
  X(kBadName, "P020", "Not a name: a letter or digit, then letters, digits, '-', '_' or '.', at most 64 in all.")    \
  X(kBadNamePattern, "P021", "Not a tenant, consumer or value, nor a prefix, or a form that may not stand here.")    \
  X(kBadMetadataName, "P022", "Not a metadata name, or one that may not be used here.")                              \
  X(kBadMetadataValue, "P023", "Not a metadata value: printable text without space at either end.")                  \
  X(kBadFileName, "P024", "Not the name of a file beside or below the policy.")                                      \
  X(kBadEndpoint, "P025", "Not an endpoint: host:port, or [IPv6 address]:port.")                                     \
  X(kBadNumber, "P026", "Not a whole number.")                                                                       \
  X(kBadDuration, "P027", "Not a duration: a whole number and ms, s or m.")                                          \
  X(kBadSize, "P028", "Not a size: a whole number and B, KiB or MiB.")                                               \
  X(kBadPercent, "P029", "Not a percentage: 0 to 100, at most four decimals, no sign.")                              \
  X(kBadDate, "P030", "Not a date: YYYY-MM-DD, and a day that exists.")                                              \
  X(kBadBool, "P031", "Neither true nor false.")                                                                     \
  X(kUnknownWord, "P032", "Not one of the words that may stand here.")                                               \
  X(kBadMethod, "P033", "Not a method or service name, or a form of it that may not stand here.")                    \
  X(kBadFieldPath, "P034", "Not a path of message fields.")                                                          \
  X(kExactlyOne, "P035", "Exactly one of several keys must be given, and none is, or several are.")                  \
  X(kTooMany, "P036", "More entries than the limit.")                                                                \
  X(kOutOfRange, "P037", "The value is outside its range.")                                                          \
  X(kBadText, "P038", "The text is too long, or holds a line break or a control character.")                         \
  X(kDuplicateName, "P039", "Two rules or two tests have one name.")                                                 \
  X(kMoreDiagnostics, "P099", "There are more diagnostics than are listed.")                                         \
  X(kListedTwice, "W001", "The list holds the value twice.")

// The checker's part.
#define FICUS_CHECKER_CODES(X)

namespace codes {
#define FICUS_DEFINE_CODE(constant, code, sentence) inline constexpr DiagnosticCode constant{code, sentence};
FICUS_PARSER_CODES(FICUS_DEFINE_CODE)
FICUS_CHECKER_CODES(FICUS_DEFINE_CODE)
#undef FICUS_DEFINE_CODE
}  // namespace codes

#define FICUS_LIST_CODE(constant, code, sentence) codes::constant,
inline constexpr DiagnosticCode kAllDiagnosticCodes[] = {FICUS_PARSER_CODES(FICUS_LIST_CODE)
                                                             FICUS_CHECKER_CODES(FICUS_LIST_CODE)};
#undef FICUS_LIST_CODE

}  // namespace ficus
