#!/usr/bin/python3
"""Sockets that a service manager passes (sd_listen_fds) and what it is told (sd_notify), played by this test."""
import os
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ficus_harness import pass_through_policy, wait_until  # noqa: E402

# Puts the descriptors at 3, 4, ..., sets LISTEN_PID to what execve keeps, and becomes ficus.
ACTIVATE = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(',')] if sys.argv[1] else []
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
environment = dict(os.environ, LISTEN_PID=str(os.getpid()))
os.execve(sys.argv[2], sys.argv[2:], environment)
"""


def listening():
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, "127.0.0.1:%d" % sock.getsockname()[1]


class SocketActivationTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="ficus-activation-")
        self.addCleanup(self.dir.cleanup)
        self.policy = os.path.join(self.dir.name, "policy.yaml")
        self.log_path = os.path.join(self.dir.name, "stderr.log")
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write(pass_through_policy("127.0.0.1:1"))

    def listening(self):
        sock, address = listening()
        self.addCleanup(sock.close)
        return sock, address

    def start(self, sockets, flags, **environment):
        variables = dict(os.environ, LISTEN_FDS=str(len(sockets)))
        variables.update(environment)
        fds = [sock.fileno() for sock in sockets]
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), os.environ["FICUS_BINARY"], "serve",
                 "--policy", self.policy, *flags], pass_fds=fds, env=variables, stdout=log, stderr=log)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def refused(self, sockets, flags, words, **environment):
        process = self.start(sockets, flags, **environment)
        self.assertEqual(process.wait(15), 2, self.log())
        self.assertIn(words, self.log())

    def test_named_sockets_are_served_and_the_manager_is_told(self):
        client, client_at = self.listening()
        admin, admin_at = self.listening()
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(os.path.join(self.dir.name, "notify"))
        manager.settimeout(15)
        self.addCleanup(manager.close)
        process = self.start([client, admin], [], LISTEN_FDNAMES="listen:admin",
                             NOTIFY_SOCKET=os.path.join(self.dir.name, "notify"))
        self.assertEqual(manager.recv(100), b"READY=1", self.log())
        self.assertIn(f"listen={client_at} admin={admin_at}", self.log())
        host, port = admin_at.split(":")
        with socket.create_connection((host, int(port)), 15) as probe:
            probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertIn(b"200 OK", probe.recv(4096))
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            self.assertIn(b"LISTEN_FDS=", file.read())  # as it was executed; what it unset is seen by its children only
        process.terminate()
        self.assertEqual(manager.recv(100), b"STOPPING=1")
        self.assertEqual(process.wait(15), 0, self.log())

    def test_an_abstract_notify_socket_works_too(self):
        client, _ = self.listening()
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = "ficus-activation-%d" % os.getpid()
        manager.bind("\0" + name)
        manager.settimeout(15)
        self.addCleanup(manager.close)
        process = self.start([client], ["--admin", "127.0.0.1:0"], NOTIFY_SOCKET="@" + name)
        self.assertEqual(manager.recv(100), b"READY=1", self.log())
        process.terminate()
        self.assertEqual(process.wait(15), 0, self.log())

    def test_sockets_without_names_are_for_clients(self):
        one, one_at = self.listening()
        two, two_at = self.listening()
        process = self.start([one, two], ["--admin", "127.0.0.1:0", "--listen", two_at])
        self.assertTrue(wait_until(lambda: "serving" in self.log() or process.poll() is not None))
        for address in (one_at, two_at):
            with socket.create_connection(tuple([address.split(":")[0], int(address.split(":")[1])]), 15) as client:
                client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
                self.assertTrue(client.recv(9), address)
        process.terminate()
        self.assertEqual(process.wait(15), 0, self.log())

    def test_variables_meant_for_another_process_are_not_ours(self):
        # LISTEN_PID is overwritten by ACTIVATE; without it there is nothing that is ours.
        client, _ = self.listening()
        process = subprocess.run([os.environ["FICUS_BINARY"], "serve", "--policy", self.policy],
                                 env=dict(os.environ, LISTEN_FDS="1", LISTEN_PID="1"), capture_output=True, timeout=15)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"nothing to serve on", process.stderr)
        client.close()

    def test_what_is_wrong_is_said(self):
        client, client_at = self.listening()
        plain = socket.socket()
        datagram = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(plain.close)
        self.addCleanup(datagram.close)
        admin = ["--admin", "127.0.0.1:0"]
        self.refused([client], admin, "FileDescriptorName= of the socket unit is listen, tls or admin",
                     LISTEN_FDNAMES="ficus.socket")
        self.refused([client], admin, "LISTEN_FDNAMES names 2 sockets and LISTEN_FDS passes 1",
                     LISTEN_FDNAMES="listen:admin")
        self.refused([plain], admin, "(listen) is a TCP socket that does not listen")
        self.refused([datagram], admin, "(listen) is no TCP socket")
        self.refused([client], admin, "is not open; LISTEN_FDS says 9", LISTEN_FDS="9")
        self.refused([client], admin, "LISTEN_FDS is \"many\"", LISTEN_FDS="many")
        self.refused([client], admin + ["--listen", "127.0.0.1:1"],
                     f"none of the sockets that the service manager passed ({client_at})")
        self.refused([client], admin, "a TLS listener needs --tls-cert and --tls-key", LISTEN_FDNAMES="tls")


if __name__ == "__main__":
    unittest.main()
