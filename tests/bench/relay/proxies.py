"""The proxies that are measured and the upstream behind them: how each is started, and what each setting is for.

Every peer gets the settings that make it cheapest for this load: no access log, no headers of its own where it can be told
so, kept connections. Ficus gets a policy with everything in it that a call has to pass.
"""
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from relay import host

UPSTREAM = "answer_upstream"
MAX_STREAMS = 1024  # each proxy may have as many calls in flight on one connection as any case needs


class NotAvailable(Exception):
    """The program that was built cannot do what a case needs; its text says what is missing."""


@dataclass(frozen=True)
class Certificate:
    """Files of a self-signed certificate for 127.0.0.1, made for one run."""
    cert: Path
    key: Path
    both: Path  # one after the other, as HAProxy wants them

    @classmethod
    def make(cls, directory):
        """ECDSA P-256, as most servers have; with RSA the handshakes, not the records, would cost more."""
        made = cls(directory / "server.crt", directory / "server.key", directory / "server.pem")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                   "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.key, "-out", made.cert]
        try:
            done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
        except FileNotFoundError as error:
            raise host.BenchError("openssl is not installed: `apt-get install --no-install-recommends openssl`") from error
        if done.returncode != 0:
            raise host.BenchError(f"openssl made no certificate:\n{done.stdout.decode(errors='replace')}")
        made.both.write_bytes(made.cert.read_bytes() + made.key.read_bytes())
        return made


@dataclass(frozen=True)
class Setup:
    """What a proxy stands in front of, and how."""
    upstream_port: int
    tls: Certificate | None = None  # listen with it; None: cleartext
    workers: int = 1  # Ficus and nghttpx only
    new_port: int | None = None  # Ficus only: the new side's upstream, with policy-shadow.yaml
    shadow_percent: int = 0  # with new_port


class Proxy:
    """One running proxy (or the upstream itself, for the floor): where to send the load, whose CPU to read."""

    def __init__(self, name, process, port, admin=None):
        self.name = name
        self.process = process
        self.port = port
        self.admin = admin  # HOST:PORT of Ficus's /metrics

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.stop()


def start_upstream(programs, place, when="end", name=UPSTREAM, max_streams=MAX_STREAMS):
    process, port = host.start_with_port_file(
        name, [programs.answer_upstream, "--max-streams", max_streams, "--when", when], place)
    return Proxy(name, process, port)


def check_account(line, made, unit="call"):
    """What the upstream says at its end: it answered all that was measured itself, and refused nothing it was sent."""
    try:
        account = json.loads(line)
        answered, refused = account[f"{unit}s"], account["refused"]
    except (ValueError, KeyError) as error:
        raise host.BenchError(f"{UPSTREAM} did not end with its account but with: {line!r}") from error
    if refused != 0:
        raise host.BenchError(f"{UPSTREAM} closed {refused} connections because of what a proxy sent on them")
    if answered < made:
        raise host.BenchError(f"{made} {unit}s were measured, but only {answered} reached {UPSTREAM}")


def ficus_command(programs, setup, name, directory):
    here = Path(__file__).parent.parent
    template = (here / ("policy.yaml" if setup.new_port is None else "policy-shadow.yaml")).read_text()
    policy = directory / f"{name.replace(' ', '-')}.yaml"
    policy.write_text(template.replace("@UPSTREAM@", f"127.0.0.1:{setup.upstream_port}")
                      .replace("@NEW@", f"127.0.0.1:{setup.new_port}").replace("@PERCENT@", str(setup.shadow_percent)))
    return [programs.ficus, "serve", "--policy", policy, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
            "--workers", setup.workers,
            # Every read is to be shadowed while that is what is measured, also where the load makes the loop late.
            *([] if setup.new_port is None else ["--shadow-max-lag", "0"])]


def serve_knows(programs, flag):
    done = subprocess.run([programs.ficus, "serve", "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return flag in done.stdout.decode(errors="replace")


def start_ficus(name, programs, setup, place):
    if not programs.ficus.exists():
        raise host.BenchError(f"there is no {programs.ficus}; tests/bench/run.sh builds it")
    command = ficus_command(programs, setup, name, place.directory)
    if setup.tls is not None:
        if not serve_knows(programs, "--tls-listen"):
            raise NotAvailable("not available in this build: `ficus serve` has no --tls-listen")
        process, port = host.start_on_port(
            name, lambda free: [*command, "--tls-listen", f"127.0.0.1:{free}", "--tls-cert", setup.tls.cert,
                                "--tls-key", setup.tls.key], place)
        return Proxy(name, process, port)
    process, port = host.start_with_port_file(name, command, place)
    admin = json.loads((place.directory / f"{name}.port").read_text()).get("admin")
    return Proxy(name, process, port, admin)


def start_generic(name, programs, setup, place):
    if setup.tls is not None:
        raise NotAvailable("the generic proxy of the bench has no TLS")
    process, port = host.start_with_port_file(name, [programs.generic_proxy, "--upstream", setup.upstream_port], place)
    return Proxy(name, process, port)


def start_nghttpx(name, programs, setup, place):
    del programs

    def command(port):
        words = [
            "nghttpx",
            "--conf=/dev/null",  # not the machine's own configuration
            "--single-process",  # no separate main process: one process id has all the CPU time
            f"--workers={setup.workers}",
            # HTTP/2 in cleartext, prior knowledge; or TLS with ALPN
            f"--frontend=127.0.0.1,{port}" + (";no-tls" if setup.tls is None else ""),
            f"--backend=127.0.0.1,{setup.upstream_port};/;proto=h2",  # every path to one upstream, HTTP/2 in cleartext
            f"--frontend-http2-max-concurrent-streams={MAX_STREAMS}",  # its default, 100, would do for 32 as well
            "--frontend-http2-connection-window-size=1048576",  # 16 calls of 10 KB outgrow the default 64 KiB
            "--no-server-push",  # never look for Link headers to push
            "--no-via",  # do not write headers that gRPC has no use for ...
            "--no-add-x-forwarded-proto",
            "--no-server-rewrite",  # ... nor look at those that it leaves alone
            "--no-location-rewrite",
            "--frontend-http2-read-timeout=10m",  # a peer that waits for its turn must not lose its connections
            "--backend-read-timeout=10m",
            f"--errorlog-file={place.directory}/{name}.errors",  # no access log: that is its default
        ]
        if setup.tls is not None:
            words += ["--no-ocsp", setup.tls.key, setup.tls.cert]  # there is no responder to ask
        return words

    process, port = host.start_on_port(name, command, place)
    return Proxy(name, process, port)


HAPROXY_CONFIG = """\
global
    nbthread 1                                # one core
    maxconn 12000                             # more than the bench's idle connections; it wants two files for each,
    no strict-limits                          # of which the bench uses one: go on where so many are not allowed
    tune.bufsize 65536                        # with its default, 16 KiB, 2.6 stalls now and then at 10 KB
    tune.h2.initial-window-size 1048576       # as nghttpx's
defaults
    mode http                                 # no `log` line: nothing is logged
    timeout connect 5s
    timeout client 10m                        # a peer that waits for its turn must not lose its connections
    timeout server 10m
    http-reuse always                         # calls share the connections to the upstream
frontend clients
    bind 127.0.0.1:{port} {protocol}          # `proto h2`: HTTP/2 in cleartext, prior knowledge
    default_backend upstream
backend upstream
    server only 127.0.0.1:{upstream_port} proto h2
"""


def start_haproxy(name, programs, setup, place):
    del programs

    def command(port):
        config = place.directory / f"{name}.cfg"
        protocol = "proto h2" if setup.tls is None else f"ssl crt {setup.tls.both} alpn h2"
        config.write_text(HAPROXY_CONFIG.format(port=port, upstream_port=setup.upstream_port, protocol=protocol))
        return ["haproxy", "-db", "-f", config]  # -db: in the foreground, one process

    process, port = host.start_on_port(name, command, place)
    return Proxy(name, process, port)


NGINX_CONFIG = """\
daemon off;                                   # in the foreground,
master_process off;                           # one process,
worker_processes 1;                           # one core
pid {directory}/{name}.pid;
error_log {directory}/{name}.errors;
events {{ worker_connections 16384; }}         # more than the bench's idle connections, with room: when few are left it closes them
http {{
    access_log off;
    client_body_temp_path {directory}/{name}.body;
    proxy_temp_path {directory}/{name}.proxy;
    fastcgi_temp_path {directory}/{name}.fastcgi;
    uwsgi_temp_path {directory}/{name}.uwsgi;
    scgi_temp_path {directory}/{name}.scgi;
    client_body_buffer_size 64k;              # no request of the bench goes to a file
    client_max_body_size 0;                   # a long stream is a long body
    upstream answers {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;                        # it puts one call on a connection at a time: keep enough of them
        keepalive_requests 1000000000;
        keepalive_time 1d;
    }}
    server {{
        listen 127.0.0.1:{port} http2{ssl};   # HTTP/2: in cleartext with prior knowledge, or TLS with ALPN
        {certificate}
        http2_max_concurrent_streams {streams};
        keepalive_requests 1000000000;        # its default closes a connection after 1000 calls
        keepalive_timeout 10m;
        location / {{
            grpc_pass grpc://answers;
            grpc_read_timeout 10m;
        }}
    }}
}}
"""


def start_nginx(name, programs, setup, place):
    del programs

    def command(port):
        config = place.directory / f"{name}.conf"
        certificate = "" if setup.tls is None else f"ssl_certificate {setup.tls.cert}; ssl_certificate_key {setup.tls.key};"
        config.write_text(NGINX_CONFIG.format(
            name=name, directory=place.directory, port=port, upstream_port=setup.upstream_port, streams=MAX_STREAMS,
            ssl="" if setup.tls is None else " ssl", certificate=certificate))
        return ["nginx", "-p", place.directory, "-c", config, "-e", f"{place.directory}/{name}.errors"]

    process, port = host.start_on_port(name, command, place)
    return Proxy(name, process, port)


STARTERS = {"ficus": start_ficus, "nghttpx": start_nghttpx, "haproxy": start_haproxy, "nginx": start_nginx,
            "generic": start_generic}
BUILT = ("ficus", "generic")  # here, not installed
_VERSION_FLAGS = {"nghttpx": "--version", "haproxy": "-v", "nginx": "-v"}
_PACKAGES = {"nghttpx": "nghttp2-proxy", "haproxy": "haproxy", "nginx": "nginx-light"}


def check_installed(kind):
    if kind not in BUILT and shutil.which(kind, path=_path()) is None:
        raise host.BenchError(f"{kind} is not installed: `apt-get install --no-install-recommends {_PACKAGES[kind]}`, or leave "
                              f"it out of --peers")


def version(kind, programs):
    """The first line of what the program says of itself, for the record."""
    if kind == "generic":
        return "gRPC C++ " + _first_line(["pkg-config", "--modversion", "grpc++"])
    return _first_line([programs.ficus, "--version"] if kind == "ficus" else [kind, _VERSION_FLAGS[kind]])


def _first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                          env={"PATH": _path()})
    return (done.stdout.decode(errors="replace").splitlines() or ["unknown"])[0].strip()


def _path():
    # Debian installs nghttpx, haproxy and nginx in /usr/sbin, which is not on everybody's PATH.
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
