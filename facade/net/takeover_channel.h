// What a facade and its successor say to each other: one datagram a word on a Unix SOCK_SEQPACKET socket, descriptors
// attached (SCM_RIGHTS). README, "Replacing a running facade", tells the conversation:
//   successor  hello                     running  offer (sockets, policy in force) | refused
//   successor  ready                     running  yielded (accepts no more) | refused
//   successor  serving (accepts)         running  drains and exits; the connection's end says that it is gone
// A datagram begins "ficus-takeover VERSION WORD\n"; that line never changes, so that any two versions can refuse each
// other in words. Any thread; no state.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "facade/base/unique_fd.h"
#include "facade/net/listen_socket.h"
#include "routing/result.h"

namespace ficus {

inline constexpr unsigned kTakeoverVersion = 1;
// Of one facade; SCM_RIGHTS carries 253 at the most.
inline constexpr std::size_t kMaxTakeoverSockets = 128;
inline constexpr std::size_t kMaxTakeoverMessageBytes = 64 * 1024;

enum class TakeoverWord : std::uint8_t { kHello, kOffer, kReady, kYielded, kServing, kRefused };

struct TakeoverMessage {
  enum class What : std::uint8_t {
    kWord,          // `word`, `body`, `fds`
    kNotYet,        // nothing has come
    kGone,          // the peer closed, or is dead
    kOtherVersion,  // `version`; a refusal is understood in any version and comes as kWord
    kGarbage,       // no message of ours, or a truncated one
  } what = What::kGone;
  TakeoverWord word = TakeoverWord::kHello;
  unsigned version = 0;
  std::string body;  // of an offer: a line a descriptor; of a refusal: the sentence
  std::vector<UniqueFd> fds;
};

// False: the peer is gone or does not take it (errno says). Never blocks, never raises SIGPIPE.
bool send_takeover(int connection, TakeoverWord word, std::string_view body = {}, const std::vector<int>& fds = {});
// One message, without waiting.
TakeoverMessage receive_takeover(int connection);
// Waits until something came, the peer is gone, or the time is over (kNotYet).
TakeoverMessage receive_takeover(int connection, std::chrono::milliseconds limit);

// What is handed over: the sockets, and the policy in force as canonical YAML (as a sealed memory file: it may be
// megabytes, and nobody can change it under the reader).
struct TakeoverOffer {
  std::vector<ListenSocket> sockets;
  std::string policy;
};
// Sends an offer of sockets that stay ours as well. Error: a sentence.
Result<void, std::string> send_offer(int connection, const std::vector<const ListenSocket*>& sockets,
                                     std::string_view policy);
// Reads an offer's body and descriptors. Error: a sentence ("the offer names 2 sockets and carries 1").
Result<TakeoverOffer, std::string> read_offer(TakeoverMessage message);

}  // namespace ficus
