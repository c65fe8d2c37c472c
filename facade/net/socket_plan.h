// Which sockets a facade serves on, and where they come from: bound anew, inherited from the service manager, or handed
// over by a predecessor. Pure but for open_plan().
#pragma once

#include <string>
#include <vector>

#include "facade/net/listen_socket.h"
#include "routing/result.h"

namespace ficus {

// The command line's part.
struct SocketFlags {
  std::vector<std::string> listen;      // --listen
  std::vector<std::string> tls_listen;  // --tls-listen
  std::string admin;                    // --admin
  bool admin_given = false;             // by the command line, not by default
};

struct SocketPlan {
  std::vector<ListenSocket> sockets;  // those still to be bound have no descriptor; exactly one is admin, the last
};

// What the flags ask for, with inherited sockets in their places. Where sockets of a kind are inherited, they are all
// of that kind; a flag that names another address is an error. Error: a sentence: an address cannot be read or stands
// twice (port 0 may), nothing serves clients, several admin sockets.
Result<SocketPlan, std::string> plan_sockets(const SocketFlags& flags, std::vector<ListenSocket> inherited);

// The plan with the predecessor's sockets; inherited ones, which are the same, are closed. A socket of the plan is one
// of the predecessor's if its address is what that one was asked for, or where it is bound. Error: a sentence that
// names what differs: the successor must serve exactly what its predecessor did, or clients of an address would be
// lost.
Result<SocketPlan, std::string> fill_from_predecessor(const SocketPlan& plan, std::vector<ListenSocket> offered);

// Binds what has no descriptor yet. Error: a sentence.
Result<void, std::string> open_plan(SocketPlan& plan);

}  // namespace ficus
