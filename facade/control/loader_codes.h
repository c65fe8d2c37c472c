// The diagnostics that loading adds to those of routing/diagnostic_codes.h: what the files say and what the policy in
// force allows. P200.., W200..; they stand in the same table of policies/README.md. A code is never reused.
#pragma once

#include "routing/diagnostic_codes.h"

namespace ficus {

#define FICUS_LOADER_CODES(X)                                                                                          \
  X(kPolicyUnreadable, "P200", "The policy file cannot be read: missing, no permission, or not a regular file.")       \
  X(kNamedFileMissing, "P201", "A file that the policy names does not exist.")                                         \
  X(kNamedFileUnreadable, "P202", "A file that the policy names cannot be read or is not a regular file.")             \
  X(kNamedFileOutside, "P203", "A file that the policy names leads out of the policy's directory.")                    \
  X(kNamedFileTooLarge, "P204", "A file that the policy names is too large.")                                          \
  X(kChangedWhileRead, "P205", "The policy or a file it names kept changing while it was read.")                       \
  X(kBadSchema, "P206", "A schema is not a FileDescriptorSet that can be used.")                                       \
  X(kBadSecret, "P207", "A secret's file is empty, or holds what a metadata value cannot.")                            \
  X(kOwnerMoveNeedsRestart, "P208", "The policy moves the owner of a write, which takes a restart until hand-over exists.") \
  X(kBadTlsFiles, "P209", "The certificates and keys of an upstream's tls cannot be used.")                            \
  X(kSecretReadable, "W200", "A secret's file can be read by every user of the machine.")                           \
  X(kTlsDates, "W201", "A certificate of an upstream's tls, or every one of its ca_file, is out of its dates.")           \
  X(kCallersUnknowable, "W202", "Only a client certificate says who calls, and no listener of this process asks for one.")

namespace codes {
#define FICUS_DEFINE_CODE(constant, code, sentence) inline constexpr DiagnosticCode constant{code, sentence};
FICUS_LOADER_CODES(FICUS_DEFINE_CODE)
#undef FICUS_DEFINE_CODE
}  // namespace codes

#define FICUS_LIST_CODE(constant, code, sentence) codes::constant,
inline constexpr DiagnosticCode kLoaderDiagnosticCodes[] = {FICUS_LOADER_CODES(FICUS_LIST_CODE)};
#undef FICUS_LIST_CODE

}  // namespace ficus
