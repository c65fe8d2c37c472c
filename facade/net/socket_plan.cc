#include "facade/net/socket_plan.h"

#include <algorithm>
#include <utility>

namespace ficus {
namespace {

std::string flag_of(const ListenSocket& socket) {
  return std::string(option_of(socket.kind)) + " " + to_string(socket.wanted);
}

std::string list(const std::vector<ListenSocket>& sockets, ListenKind kind) {
  std::string text;
  for (const ListenSocket& socket : sockets) {
    if (socket.kind != kind) continue;
    if (!text.empty()) text += ", ";
    text += to_string(socket.bound);
  }
  return text.empty() ? "none" : text;
}

bool has(const std::vector<ListenSocket>& sockets, ListenKind kind) {
  return std::any_of(sockets.begin(), sockets.end(), [&](const ListenSocket& s) { return s.kind == kind; });
}

// The addresses of one kind of flag that are still to be bound.
Result<void, std::string> add_flags(SocketPlan& plan, ListenKind kind, const std::vector<std::string>& texts,
                                    const std::vector<ListenSocket>& inherited) {
  const bool given_us = has(inherited, kind);
  for (const std::string& text : texts) {
    const auto address = parse_host_port(text);
    if (!address) {
      return fail(std::string(option_of(kind)) + " " + text + ": " + address.error() + "; give " +
                  std::string(kHostPortForm));
    }
    if (given_us) {
      const auto same = [&](const ListenSocket& s) { return s.kind == kind && s.bound == *address; };
      if (std::any_of(inherited.begin(), inherited.end(), same)) continue;
      return fail(std::string(option_of(kind)) + " " + text +
                  " is none of the sockets that the service manager passed (" + list(inherited, kind) +
                  "); leave the option out, or mend the socket unit");
    }
    const auto twice = [&](const ListenSocket& s) { return s.wanted == *address; };
    if (address->port != 0 && std::any_of(plan.sockets.begin(), plan.sockets.end(), twice)) {
      return fail(std::string(option_of(kind)) + " " + text + " stands twice");
    }
    plan.sockets.push_back({kind, *address, {}, {}});
  }
  return {};
}

}  // namespace

Result<SocketPlan, std::string> plan_sockets(const SocketFlags& flags, std::vector<ListenSocket> inherited) {
  SocketPlan plan;
  if (const auto added = add_flags(plan, ListenKind::kPlain, flags.listen, inherited); !added)
    return fail(added.error());
  if (const auto added = add_flags(plan, ListenKind::kTls, flags.tls_listen, inherited); !added) {
    return fail(added.error());
  }
  std::vector<std::string> admin;
  if (flags.admin_given || !has(inherited, ListenKind::kAdmin)) admin.push_back(flags.admin);
  if (const auto added = add_flags(plan, ListenKind::kAdmin, admin, inherited); !added) return fail(added.error());
  for (ListenSocket& socket : inherited) plan.sockets.push_back(std::move(socket));
  // The admin address last: a client's address in use is the more telling complaint.
  std::stable_partition(plan.sockets.begin(), plan.sockets.end(),
                        [](const ListenSocket& s) { return s.kind != ListenKind::kAdmin; });
  const auto admins = std::count_if(plan.sockets.begin(), plan.sockets.end(),
                                    [](const ListenSocket& s) { return s.kind == ListenKind::kAdmin; });
  if (admins != 1)
    return fail("there is one admin address, but " + std::to_string(admins) + " sockets were passed for it");
  if (plan.sockets.size() < 2) {
    return fail(std::string("nothing to serve on: give --listen HOST:PORT (or pass a socket named \"listen\")"));
  }
  return plan;
}

Result<SocketPlan, std::string> fill_from_predecessor(const SocketPlan& plan, std::vector<ListenSocket> offered) {
  const std::string what_to_do =
      "; start the successor with the same addresses, or stop the running facade first (SIGTERM)";
  SocketPlan filled;
  for (const ListenSocket& socket : plan.sockets) {
    const auto match = std::find_if(offered.begin(), offered.end(), [&](const ListenSocket& theirs) {
      return theirs.fd && theirs.kind == socket.kind &&
             (theirs.wanted == socket.wanted || theirs.bound == socket.wanted);
    });
    if (match == offered.end()) {
      return fail(flag_of(socket) + " is no address of the running facade (it has " + list(offered, socket.kind) + ")" +
                  what_to_do);
    }
    ListenSocket taken = std::move(*match);
    taken.wanted = socket.wanted;
    filled.sockets.push_back(std::move(taken));
  }
  const auto left = std::find_if(offered.begin(), offered.end(), [](const ListenSocket& s) { return bool(s.fd); });
  if (left != offered.end()) {
    return fail("the running facade serves " + flag_of(*left) + " too, which the successor was not given" + what_to_do);
  }
  return filled;
}

Result<void, std::string> open_plan(SocketPlan& plan) {
  for (ListenSocket& socket : plan.sockets) {
    if (socket.fd) continue;
    auto opened = open_listen_socket(socket.kind, socket.wanted);
    if (opened) {
      socket = *std::move(opened);
      continue;
    }
    // 9901 is Envoy's admin port too.
    if (socket.kind != ListenKind::kAdmin) return fail(opened.error());
    return fail("--admin: " + opened.error() + " (give another --admin HOST:PORT; port 0 picks a free one)");
  }
  return {};
}

}  // namespace ficus
