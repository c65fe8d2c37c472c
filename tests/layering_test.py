#!/usr/bin/python3
"""Who may know whom: holds every #include and every link list against the arrows below.

    layering_test.py [ROOT]      prints each violation and exits 1, or says how much it looked at

ALLOWED is the whole rule. An arrow that is missing there is missing on purpose: before adding
one, see whether a value could be an argument instead. Each exception names one header and says why.
"""
import pathlib
import re
import sys

# Leaves: no knowledge of any other folder of ours, so anybody may use them.
LEAVES = {"facade/base", "facade/metrics"}
# Plain types and words that carry no behaviour: anybody may use these headers, whatever the arrows say.
PLAIN_HEADERS = {"routing/result.h", "routing/vocabulary.h"}

ALLOWED = {
    "routing": set(),
    "facade/base": set(),
    "facade/metrics": set(),
    "facade/wire": set(),                                   # gRPC on HTTP/2: pure, shared by rpc, shadow and compare
    "facade/h2": set(),                                     # HTTP/2's codec: pure, no socket, clock or thread
    "facade/net": {"facade/h2"},                            # speaks HTTP/2, not gRPC and not policy
    "facade/compare": {"facade/wire", "routing"},
    "facade/trace": {"routing"},
    "facade/findings": {"facade/compare", "routing"},       # of compare only plain words: verdicts, severities
    "facade/shadow": {"facade/h2", "facade/net", "facade/compare", "facade/trace", "facade/wire", "routing"},
    "facade/rpc": {"facade/h2", "facade/net", "facade/shadow", "facade/wire", "routing"},
    "facade/control": {"facade/trace", "routing"},          # never net: main hands it a callback a worker
    "facade/cli": {"facade/compare", "facade/control", "facade/trace", "facade/wire", "routing"},
    "facade": {"*"},                                        # main.cc and its like: wiring
}

# (folder, header it may include all the same): why.
EXCEPTIONS = {
    ("facade/rpc", "facade/compare/descriptor_store.h"): "hands the generation's schemas on to the shadow tap",
    ("facade/cli", "facade/shadow/trace_builder.h"): "an offline verdict is shown exactly as serve's traces show it",
}

# Third parties: which folders may include what. A prefix of the header's name -> folders.
THIRD_PARTY = [
    (r"nghttp2/", set()),                                   # tests only: a second opinion on our own codec
    (r"ares\.h$", {"facade/net"}),                          # its descriptors wait on the worker's loop
    (r"yaml-cpp/", {"routing"}),
    (r"boost/beast", {"facade/control"}),
    (r"boost/asio", {"facade/net", "facade/control", "facade"}),
    (r"google/protobuf|.*\.pb\.h$", {"facade/compare", "facade/trace", "facade/shadow", "facade/control", "facade/cli",
                                     "facade/findings"}),
    (r"sqlite3\.h$", {"facade/findings"}),
    (r"grpcpp|grpc/|.*\.grpc\.pb\.h$", {"facade/control"}),
    (r"prometheus/", {"facade/metrics"}),
    (r"spdlog|fmt/", {"facade/base"}),
    (r"CLI/", {"facade", "facade/cli"}),
    (r"openssl/", {"facade/control", "facade/net", "facade/trace"}),
    (r"zlib\.h$", {"facade/wire"}),
]
# Of these, only the files named: the rest of the folder goes through them.
ONLY_FILES = [
    (r"boost/asio", {"facade/net/asio.h", "facade/control/asio.h"}),
    (r"yaml-cpp/", {"routing/policy_parse_yaml.cc"}),
    # Not asio::ssl: records go straight from the socket to the session's buffer.
    (r"openssl/", {"facade/net/tls_context.cc", "facade/net/tls_error.cc", "facade/net/tls_peer.cc",
                   "facade/net/tls_pem.cc", "facade/net/tls_pem.h", "facade/net/tls_server_source.cc",
                   "facade/net/tls_stream.cc"}),
    # The rest of control/ is plain values; gRPC's templates are compiled in two places only.
    (r"grpcpp|grpc/|.*\.grpc\.pb\.h$", {"facade/control/control_client.cc", "facade/control/control_server.cc"}),
    (r"sqlite3\.h$", {"facade/findings/sqlite.cc"}),
]
# routing/ is pure: no socket, thread, clock, file, process.
IMPURE = re.compile(r"(thread|mutex|shared_mutex|condition_variable|future|atomic|fstream|iostream|filesystem|random|ctime"
                    r"|time\.h|unistd\.h|fcntl\.h|signal\.h|poll\.h|netdb\.h|dirent\.h|(sys|netinet|arpa)/.*)$")
IMPURE_CALLS = re.compile(r"(system_clock|steady_clock|high_resolution_clock)::now|\bgetenv\s*\(|\brand\s*\(|random_device")

# Of rpc/, only these bring the transport and the routing together.
BOTH_NET_AND_ROUTING = {
    "facade/rpc/rpc_call.cc",        # one RPC, birth to death
    "facade/rpc/forward_head.h",     # a head as it goes on: a function from header block and table to header block
    "facade/rpc/upstream_targets.cc",  # a policy's upstream as the transport takes it: from plain values to plain values
    "facade/rpc/read_repeat.h",      # a read that is asked again: its rule beside what was sent and what came back
    "facade/rpc/worker_routes.h",    # what a worker's calls share: its upstreams and the table they are born with
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
LIBRARY = re.compile(r"ficus_library\(\s*(\w+)([^)]*)\)", re.DOTALL)
OURS = ("routing/", "facade/")


def folder_of(path):
    return str(pathlib.PurePosixPath(path).parent)


def without_comments(text):
    """Line comments only: we use no others in code, and a quoted // hurts nothing here."""
    return re.sub(r"//[^\n]*", "", text)


def may_include(folder, header):
    target = folder_of(header)
    return (target == folder or target in LEAVES or header in PLAIN_HEADERS or target in ALLOWED[folder]
            or "*" in ALLOWED[folder] or (folder, header) in EXCEPTIONS)


def judge_file(path, text):
    folder = folder_of(path)
    if folder not in ALLOWED:
        return [f"{path}: folder {folder} is not in tests/layering_test.py; say there whom it may know"]
    problems = []
    ours = []
    for quoted, angled in INCLUDE.findall(without_comments(text)):
        header = quoted or angled
        if header.startswith(OURS):
            ours.append(header)
            if not may_include(folder, header):
                problems.append(f"{path}: {folder} may not know {folder_of(header)} ({header})")
            continue
        for pattern, folders in THIRD_PARTY:
            if re.match(pattern, header) and folder not in folders:
                problems.append(f"{path}: {header} belongs to {', '.join(sorted(folders)) or 'tests only'}")
                break
        for pattern, files in ONLY_FILES:
            if re.match(pattern, header) and folder in map(folder_of, files) and path not in files:
                problems.append(f"{path}: {header} only through {', '.join(sorted(files))}")
        if folder == "routing" and IMPURE.match(header):
            problems.append(f"{path}: routing/ is pure; {header} has no place in it")
    if folder == "routing" and IMPURE_CALLS.search(without_comments(text)):
        problems.append(f"{path}: routing/ is pure; time and randomness are arguments")
    if folder == "facade/rpc" and path not in BOTH_NET_AND_ROUTING:
        knows_net = any(h.startswith("facade/net/") for h in ours)
        knows_routing = any(h.startswith("routing/") and h not in PLAIN_HEADERS for h in ours)
        if knows_net and knows_routing:
            problems.append(f"{path}: rpc_call alone includes both net/ and routing/")
    return problems


def judge_links(path, text):
    """A library's DEPS name no folder that its sources could not include."""
    folder = folder_of(path)
    problems = []
    for name, body in LIBRARY.findall(re.sub(r"#[^\n]*", "", text)):
        deps = body.split("DEPS", 1)[1].split() if "DEPS" in body else []
        for dep in deps:
            target = "routing" if dep == "routing" else re.sub(r"^facade_(\w+?)(_queue|_api)?$", r"facade/\1", dep)
            if target not in ALLOWED or folder not in ALLOWED:
                continue
            # routing is linked for its plain headers too, by folders that may know no more of it.
            if target in (folder, "routing") or target in LEAVES or target in ALLOWED[folder] or "*" in ALLOWED[folder]:
                continue
            if any(f == folder and folder_of(h) == target for f, h in EXCEPTIONS):
                continue
            problems.append(f"{path}: {name} links {dep}, and {folder} may not know {target}")
    return problems


def judge_arrows(allowed):
    """The rule itself: no arrow in a circle, whatever else is edited above."""
    problems, state = [], {}

    def visit(folder, way):
        if state.get(folder) == "done" or folder == "*":
            return
        if folder in way:
            problems.append("a circle: " + " -> ".join(way[way.index(folder):] + [folder]))
            return
        for target in sorted(allowed.get(folder, ())):
            visit(target, way + [folder])
        state[folder] = "done"

    for folder in sorted(allowed):
        visit(folder, [])
    return problems


def self_test():
    """A checker that finds nothing is worth nothing: each of these must be judged as written."""
    cases = [
        ("routing/a.cc", '#include "routing/policy.h"', None),
        ("routing/a.cc", '#include "facade/base/log.h"', None),
        ("routing/a.cc", '#include "facade/net/worker.h"', "may not know facade/net"),
        ("routing/a.cc", "#include <thread>", "pure"),
        ("routing/a.cc", "#include <sys/socket.h>", "pure"),
        ("routing/a.cc", "auto t = std::chrono::steady_clock::now();", "pure"),
        ("routing/a.cc", "// steady_clock::now() is the caller's", None),
        ("routing/a.cc", "#include <google/protobuf/message.h>", "belongs to"),
        ("routing/policy_check.cc", "#include <yaml-cpp/yaml.h>", "only through"),
        ("routing/policy_parse_yaml.cc", "#include <yaml-cpp/parser.h>", None),
        ("facade/net/a.cc", '#include "routing/result.h"', None),
        ("facade/net/a.cc", '#include "routing/route_table.h"', "may not know routing"),
        ("facade/net/a.cc", "#include <boost/asio/post.hpp>", "only through"),
        ("facade/net/a.cc", "#include <nghttp2/nghttp2.h>", "belongs to tests only"),
        ("facade/net/a.cc", "#include <openssl/ssl.h>", "only through"),
        ("facade/net/tls_stream.cc", "#include <openssl/ssl.h>", None),
        ("facade/trace/a.cc", "#include <openssl/evp.h>", None),
        ("facade/trace/a.cc", "#include <sqlite3.h>", "belongs to"),
        ("facade/findings/a.cc", "#include <sqlite3.h>", "only through"),
        ("facade/findings/sqlite.cc", "#include <sqlite3.h>", None),
        ("facade/findings/a.cc", '#include "facade/shadow/compare_queue.h"', "may not know facade/shadow"),
        ("facade/rpc/a.cc", "#include <nghttp2/nghttp2.h>", "belongs to"),
        ("facade/rpc/a.cc", '#include "facade/net/worker.h"\n#include "routing/route_table.h"', "includes both"),
        ("facade/control/control_server.cc", "#include <grpcpp/grpcpp.h>", None),
        ("facade/control/status_report.h", '#include "ficus/control/v1/control.pb.h"', None),
        ("facade/control/status_report.cc", '#include "ficus/control/v1/control.grpc.pb.h"', "only through"),
        ("facade/cli/status.cc", "#include <grpcpp/grpcpp.h>", "belongs to"),
        ("facade/rpc/rpc_call.cc", '#include "facade/net/worker.h"\n#include "routing/route_table.h"', None),
        ("facade/control/a.cc", '#  include "facade/net/worker.h"', "may not know facade/net"),
        ("facade/compare/a.h", '#include "facade/shadow/shadow_tap.h"', "may not know facade/shadow"),
        ("facade/main.cc", '#include "facade/net/worker.h"\n#include "facade/control/publisher.h"', None),
        ("facade/new/a.cc", "", "say there whom"),
    ]
    problems = []
    for path, text, want in cases:
        found = judge_file(path, text)
        if (want is None) != (not found) or (want and want not in found[0]):
            problems.append(f"self-test: {path} with {text!r}: wanted {want!r}, found {found}")
    links = judge_links("facade/control/CMakeLists.txt", "ficus_library(facade_control SOURCES a.cc DEPS routing facade_net)")
    if len(links) != 1:
        problems.append(f"self-test: a link list against the arrows: found {links}")
    if not judge_arrows({"a": {"b"}, "b": {"c"}, "c": {"a"}}) or judge_arrows({"a": {"b", "c"}, "b": {"c"}, "c": set()}):
        problems.append("self-test: circles")
    return problems


def main(argv):
    root = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    problems = self_test() + judge_arrows(ALLOWED)
    looked_at, used = 0, set()
    for top in ("routing", "facade"):
        for path in sorted((root / top).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in (".h", ".cc"):
                text = path.read_text(encoding="utf-8")
                problems += judge_file(name, text)
                used |= {(folder_of(name), h) for h, _ in INCLUDE.findall(text)} & set(EXCEPTIONS)
                looked_at += 1
            elif path.name == "CMakeLists.txt":
                problems += judge_links(name, path.read_text(encoding="utf-8"))
    if looked_at == 0:
        problems.append(f"no sources under {root}")
    for unused in sorted(set(EXCEPTIONS) - used):
        problems.append(f"exception {unused} is used by nothing: take it out")
    for problem in problems:
        print(problem)
    print(f"{looked_at} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
