// Every diagnostic code with its sentence: the table "Diagnostics" of policies/README.md, which a test holds against
// this list. P001..P099, W001..: found while parsing, but for P014; P014, P100.., W100..: found by policy_check.h.
// A code is never reused.
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
  X(kBadHostName, "P040", "Not a host name or an address.")                                                          \
  X(kBadPeerSan, "P041", "Not a pattern of a SAN: printable text without spaces that holds one '*' and is not only it.") \
  X(kBadDecimal, "P042", "Not a number: digits, and a point and decimals where it has any.")                         \
  X(kMoreDiagnostics, "P099", "There are more diagnostics than are listed.")                                         \
  X(kListedTwice, "W001", "The list holds the value twice.")

// The checker's part.
#define FICUS_CHECKER_CODES(X)                                                                                       \
  X(kUnknownUpstream, "P014", "No upstream of that name.")                                                           \
  X(kUnknownCapability, "P101", "No capability of that name.")                                                       \
  X(kUnknownAttribute, "P102", "No attribute of that name.")                                                         \
  X(kUnknownGroup, "P103", "No tenant group of that name.")                                                          \
  X(kUnknownRule, "P104", "A test expects a rule that does not exist.")                                              \
  X(kUnknownKeyMethod, "P105", "key.methods names a method that the capability does not have.")                      \
  X(kMethodInTwoCapabilities, "P107", "A method stands in two capabilities.")                                        \
  X(kReadAndWrite, "P108", "A method is both a read and a write of a capability.")                                   \
  X(kMethodAlsoUnmanaged, "P109", "A method stands both in a capability and under `unmanaged`.")                     \
  X(kUnmanagedTwice, "P110", "A method stands twice under `unmanaged`.")                                             \
  X(kTwoStars, "P111", "Two stars take the rest of one service.")                                                    \
  X(kUnmanagedStar, "P112", "A star stands under `unmanaged`.")                                                      \
  X(kUnmanagedWithoutDefault, "P113", "`unmanaged` is used without a `default_upstream` to send its methods to.")    \
  X(kReadStarWithoutSchema, "P114", "A star stands under `reads` and no schema says which methods are reads.")       \
  X(kUnknownService, "P115", "The schemas have no such service.")                                                    \
  X(kUnknownMethod, "P116", "The schemas have the service, but not the method.")                                     \
  X(kServiceIncomplete, "P117", "New owns a write of a service some of whose methods the policy does not mention.")  \
  X(kReservedService, "P118", "Health, reflection and channelz belong to the default upstream, to no capability.")   \
  X(kKeyField, "P119", "The key cannot be read from a method's request.")                                            \
  X(kTenantsWithoutIdentity, "P120", "A rule asks for tenants, and `identity` has no `tenant`.")                     \
  X(kConsumersWithoutIdentity, "P121", "A rule asks for consumers, and `identity` has no `consumer`.")               \
  X(kOverrideUnverified, "P122", "An override trusts consumers, and no verified source yields them.")                \
  X(kVerifiedBehindUnverified, "P123", "A verified source stands behind an unverified one.")                         \
  X(kRuleNeverMatches, "P125", "A rule can never match: rules above take every call it asks for.")                   \
  X(kNarrowedWithoutReads, "P126", "A rule narrowed by consumers or match, in a capability without reads.")          \
  X(kTooManyRulesForTenant, "P127", "More than 64 rules of one capability take one tenant.")                         \
  X(kPercentMissing, "P130", "The stage has a percentage, the capability reads, and the rule does not say it.")      \
  X(kFixedStageOverridden, "P131", "A rule in stage `off` or `complete` overrides a fact of the stage.")             \
  X(kServeAndCanary, "P132", "`reads.serve` and `reads.canary` stand in one rule.")                                  \
  X(kDualWriteWithoutFacade, "P133", "Stage `dual_write` needs `replication: facade`.")                              \
  X(kCanaryByMissing, "P134", "A canary does not say what its share is counted by.")                                 \
  X(kByKeyWithoutKey, "P136", "A share is counted by key in a capability without a `key`.")                          \
  X(kReadsOfWritesOnly, "P137", "A rule says how reads are answered, and its capability has none.")                  \
  X(kShadowOnStaleLegacy, "P140", "Reads are shadowed on legacy where new owns the writes and nothing feeds legacy.")\
  X(kReadsFromStaleLegacy, "P141", "Legacy serves reads where new owns the writes and nothing feeds legacy.")        \
  X(kReplicationUnlike, "P142", "Capabilities of one `data` disagree on replication.")                               \
  X(kNarrowedOwner, "P143", "A rule narrowed by consumers or match gives a tenant's writes another owner.")          \
  X(kDataOwners, "P144", "Capabilities of one `data` give a tenant's writes to different owners.")                   \
  X(kFallbackToStaleLegacy, "P145", "`reads.fallback` asks legacy where new owns the writes.")                       \
  X(kDataSidesSwapped, "P146", "Capabilities of one `data` call an upstream legacy here and new there.")              \
  X(kNoSuchPath, "P150", "No read of the capability has such a field in its response.")                              \
  X(kNotRepeated, "P151", "The field is not repeated, so it has no order.")                                          \
  X(kBadKeyOfList, "P152", "The list's entries have no such field, or it is not a single value.")                    \
  X(kNotMeasured, "P153", "The field is not a number, or for a window not a Timestamp or Duration.")                 \
  X(kUnknownComparedMethod, "P154", "compare.methods names a method that is no read of the capability.")             \
  X(kTestFails, "P160", "A test of the policy fails.")                                                               \
  X(kTestRefused, "P161", "The call of a test is refused, and the test does not expect it.")                         \
  X(kEpochMustGrow, "P170", "The policy moves owners of writes, and its ownership_epoch is not one higher.")         \
  X(kEpochMustStay, "P171", "The policy moves no owner of a write, and its ownership_epoch is another.")             \
  X(kOwnerServersTaken, "P172", "An upstream that owns writes would lead only to servers that were the other side's.") \
  X(kReadIdempotent, "W100", "A read is marked IDEMPOTENT: it may have effects.")                                    \
  X(kWriteNoSideEffects, "W101", "A write is marked NO_SIDE_EFFECTS: it may be a read.")                             \
  X(kOwnerByUnverified, "W102", "Metadata that anyone can send decides who owns a write.")                           \
  X(kNoStaleness, "W103", "Reads are served by the side that does not own the writes, and no `staleness` bounds it.")\
  X(kKeyNeedsSchema, "W104", "A share is counted by a request field, and no schema tells where that is.")            \
  X(kShareBelowOne, "W105", "A share of so few tenants is on average less than one of them.")                        \
  X(kExpired, "W106", "`until` has passed.")                                                                         \
  X(kUnusedGroup, "W107", "No rule names the group.")                                                                \
  X(kUntestedOwner, "W108", "New owns a write, and no test says who should.")                                        \
  X(kNotJudged, "W109", "Too many cases to prove whether the rule ever matches.")                                    \
  X(kSameServers, "W110", "Legacy and new of a capability lead to the same servers.")                                \
  X(kOwnerServersMixed, "W111", "An upstream that owns writes would lead to some servers that were the other side's.") \
  X(kOwnerServersReplaced, "W112", "An upstream that owns writes would lead to none of its former servers.")

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
