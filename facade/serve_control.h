// The control socket of a running facade: claimed before anything is loaded, opened to visitors when the facade serves,
// handed on at a takeover. Thread: the control loop's, or the main thread while that does not run.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "facade/base/unix_door.h"
#include "facade/control/asio.h"
#include "facade/control/control_server.h"
#include "facade/net/listen_socket.h"
#include "routing/result.h"

namespace ficus {

// A socket that is bound, as the control API names it.
ProcessFacts::Listener listener_facts(const ListenSocket& socket);

class ServeControl {
 public:
  ServeControl(asio::io_context& control, Metrics& metrics) : control_(control), metrics_(metrics) {}
  // The path becomes ours (who comes waits until serve()), or, if the process that we take over from (0: none) listens
  // there, stays its until then. Empty: nothing here does anything. Error: a sentence for a start that failed: another
  // process listens there, the path is too long, its directory is missing.
  Result<void, std::string> claim(const std::string& path, pid_t predecessor);
  // The facade serves, after a takeover or without one. From now on visitors are answered out of `sources`. What fails
  // now is logged and costs the control socket, not the traffic.
  void serve(ControlSources sources);
  // It takes no more calls. A successor may have the path by now; who is connected here is still answered.
  void drain();
  // Ends what is open; the path is removed if it is still ours. Before what `sources` speaks of is gone.
  void stop();

 private:
  asio::io_context& control_;
  Metrics& metrics_;
  std::string path_;
  pid_t predecessor_ = 0;
  UnixDoor door_;  // until serve()
  std::unique_ptr<ControlServer> server_;
};

}  // namespace ficus
