// What a service manager gives a process it starts: listening sockets (sd_listen_fds(3)) and somewhere to say how it is
// (sd_notify(3)). Both protocols are a few environment variables; libsystemd is not needed.
// Main thread, at start: the environment is changed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "facade/net/listen_socket.h"
#include "routing/result.h"

namespace ficus {

// The sockets passed by LISTEN_FDS, if LISTEN_PID is this process; none otherwise. LISTEN_FDNAMES says what each is
// for: listen, tls or admin; without it each is "listen". The variables are unset, so that no child takes them for its
// own; the descriptors become close-on-exec. Error: a sentence: a descriptor is no listening TCP socket, a name is none
// of the three, the numbers of names and descriptors differ.
Result<std::vector<ListenSocket>, std::string> take_inherited_sockets();

// Says how the service is: "READY=1", "STOPPING=1". Nothing without NOTIFY_SOCKET; never blocks, failures are ignored,
// since a manager that does not listen must not stop the service. Any thread after the start.
void notify_service_manager(std::string_view state);

}  // namespace ficus
