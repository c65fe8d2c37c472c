#include "facade/net/takeover_client.h"

#include <utility>

namespace ficus {
namespace {

using What = TakeoverMessage::What;

std::string who(const PeerProcess& peer) { return "the running facade (pid " + std::to_string(peer.pid) + ")"; }

// What went wrong, where `message` is not the word that was waited for.
std::string complaint(const PeerProcess& peer, const TakeoverMessage& message) {
  switch (message.what) {
    case What::kNotYet:
      return who(peer) + " does not answer; it goes on as it is";
    case What::kGone:
      return who(peer) + " ended during the takeover; start again";
    case What::kOtherVersion:
      return who(peer) + " speaks version " + std::to_string(message.version) + " of the takeover, this one version " +
             std::to_string(kTakeoverVersion) + "; stop it (SIGTERM), then start this one";
    case What::kWord:
      if (message.word == TakeoverWord::kRefused) return who(peer) + " refused: " + message.body;
      break;
    case What::kGarbage:
      break;
  }
  return who(peer) + " said something that is no part of a takeover";
}

bool is(const TakeoverMessage& message, TakeoverWord word) {
  return message.what == What::kWord && message.word == word;
}

}  // namespace

Result<TakeoverClient, std::string> TakeoverClient::begin(UniqueFd connection, std::chrono::milliseconds limit) {
  TakeoverClient client;
  client.peer_ = peer_process(connection.get());
  if (!client.peer_.trusted()) {
    return fail("the process that listens there (pid " + std::to_string(client.peer_.pid) + ") runs as another user (" +
                std::to_string(client.peer_.uid) + ")");
  }
  send_takeover(connection.get(), TakeoverWord::kHello);  // if it fails, the answer says why
  TakeoverMessage answer = receive_takeover(connection.get(), limit);
  if (!is(answer, TakeoverWord::kOffer)) return fail(complaint(client.peer_, answer));
  auto offer = read_offer(std::move(answer));
  if (!offer) return fail(who(client.peer_) + ": " + offer.error());
  client.connection_ = std::move(connection);
  client.offer_ = *std::move(offer);
  return client;
}

Result<bool, std::string> TakeoverClient::ready(std::chrono::milliseconds limit) {
  // A refusal (it waits no longer) may lie there already; the end of file comes after it.
  send_takeover(connection_.get(), TakeoverWord::kReady);
  const TakeoverMessage answer = receive_takeover(connection_.get(), limit);
  if (answer.what == What::kGone) return false;
  if (is(answer, TakeoverWord::kYielded)) return true;
  return fail(complaint(peer_, answer));
}

Result<void, std::string> TakeoverClient::serving() {
  if (send_takeover(connection_.get(), TakeoverWord::kServing)) return {};
  const TakeoverMessage answer = receive_takeover(connection_.get());
  if (answer.what == What::kGone) return {};  // it died: nobody else serves
  return fail(complaint(peer_, answer));
}

void TakeoverClient::give_up(const std::string& why) {
  if (connection_) send_takeover(connection_.get(), TakeoverWord::kRefused, why);
}

}  // namespace ficus
