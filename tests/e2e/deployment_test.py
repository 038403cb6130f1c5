"""Two replicas behind nginx with deploy/nginx.conf: affinity, streaming, failover, draining."""

import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from program import ROOT, ProgramTest
from serve_server import Server

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
NAMES = ["a", "b"]
# Long enough to fill pages of the cache, so that a second request finds them.
STORY = "Once upon a time there was a dog who lived in a house by the sea. " * 20


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket: nginx then needs no port, which another process could take."""

    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def configuration(folder, address, ports):
    """deploy/nginx.conf with our addresses, in an nginx that keeps to its folder."""
    text = (ROOT / "deploy/nginx.conf").read_text()
    text, listens = re.subn(r"(?m)^    listen \S+;", f"    listen unix:{address};", text)
    assert listens == 1, listens
    for written, port in zip([8081, 8082], ports):
        text, servers = re.subn(rf"server 127\.0\.0\.1:{written}\b", f"server 127.0.0.1:{port}",
                                text)
        assert servers == 1, (written, servers)
    (folder / "minimax.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/minimax.conf;\n}}\n")
    return folder / "nginx.conf"


class Behind(ProgramTest):
    """nginx before two replicas."""

    def start_nginx(self, ports):
        # Not self.folder: the path of a UNIX socket has at most 107 characters.
        scratch = tempfile.TemporaryDirectory(prefix="mm-", dir="/tmp")
        self.addCleanup(scratch.cleanup)
        folder = pathlib.Path(scratch.name)
        self.address = folder / "socket"
        file = configuration(folder, self.address, ports)
        command = [NGINX, "-e", folder / "error.log", "-c", file, "-p", folder]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.nginx = subprocess.Popen(command)
        self.addCleanup(self.stop_nginx)
        self.wait_until_it_listens()

    def wait_until_it_listens(self):
        """A connection succeeds; the file of the socket is there a little earlier."""
        end = time.time() + 60
        while True:
            try:
                connection = UnixConnection(self.address)
                connection.connect()
                connection.close()
                return
            except OSError:
                connection.sock.close()
                self.assertIsNone(self.nginx.poll(), "nginx ended")
                self.assertLess(time.time(), end, "nginx does not listen")
                time.sleep(0.02)

    def stop_nginx(self):
        self.nginx.terminate()
        self.nginx.wait(60)

    def ask(self, session, prompt="Once upon a time", headers=None, **fields):
        """The open connection and response of a completion."""
        connection = UnixConnection(self.address)
        self.addCleanup(connection.close)
        named = {"X-Minimax-Session": session} if session else {}
        body = {"prompt": prompt, "max_tokens": 4, "temperature": 0, **fields}
        connection.request("POST", "/v1/completions", json.dumps(body), {**named, **(headers or {})})
        return connection.getresponse()

    def answer(self, session, **arguments):
        response = self.ask(session, **arguments)
        text = response.read().decode()
        self.assertEqual(response.status, 200, text)
        return json.loads(text)


class Stand(http.server.BaseHTTPRequestHandler):
    """Stands for a replica where a test needs to say when it answers what."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answer(self)

    def log_message(self, *_):
        pass


def starting(request):
    request.send_response(503)
    request.send_header("Content-Length", "0")
    request.end_headers()


class Proxy(Behind):
    """What nginx does, against stands: nothing here depends on how fast anything is."""

    def start(self, *answers):
        ports = []
        for answer in answers:
            stand = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stand)
            stand.answer = answer
            threading.Thread(target=stand.serve_forever).start()
            self.addCleanup(stand.server_close)
            self.addCleanup(stand.shutdown)
            ports.append(stand.server_port)
        self.start_nginx(ports)

    def test_each_event_passes_at_once(self):
        seen = threading.Event()
        in_time = []

        def answer(request):
            request.send_response(200)
            request.send_header("Content-Type", "text/event-stream")
            request.send_header("Connection", "close")
            request.end_headers()
            request.wfile.write(b"data: 1\n\n")
            in_time.append(seen.wait(20))
            request.wfile.write(b"data: 2\n\n")
            request.close_connection = True

        self.start(answer, answer)
        response = self.ask("s")
        self.assertEqual(response.readline(), b"data: 1\n")
        seen.set()
        self.assertEqual(response.read(), b"\ndata: 2\n\n")
        self.assertEqual(in_time, [True], "the first event came only with the second")

    def test_one_that_starts_or_stops_is_passed_over(self):
        def answer(request):
            request.send_response(200)
            request.send_header("Content-Length", "2")
            request.end_headers()
            request.wfile.write(b"{}")

        self.start(starting, answer)
        for i in range(16):
            self.assertEqual(self.answer(f"s{i}"), {})

    def test_metrics_are_the_replicas(self):
        self.start(starting, starting)
        connection = UnixConnection(self.address)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        self.assertEqual(connection.getresponse().status, 404)


class Replicas(Behind):
    """Real ones. Every test has its own, since most end one."""

    def setUp(self):
        super().setUp()
        self.replicas = {}
        for name in NAMES:
            self.replicas[name] = Server("--served-model-name", name, "-t", 1)
            self.addCleanup(self.replicas[name].stop)
        self.start_nginx([r.port for r in self.replicas.values()])

    def session_of(self, name):
        """A session that the ring gives to this replica."""
        for i in range(64):
            if self.answer(f"session-{i}")["model"] == name:
                return f"session-{i}"
        self.fail(f"none of 64 sessions went to {name}")

    def test_a_session_stays_and_sessions_spread(self):
        first, second = (self.answer("book", prompt=STORY) for _ in range(2))
        self.assertEqual(first["model"], second["model"])
        self.assertEqual(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertGreater(second["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(first["choices"], second["choices"])
        # 32 sessions all on one of two halves: 2^-31. Keys count where no session is named.
        self.assertEqual({self.answer(f"s{i}")["model"] for i in range(32)}, set(NAMES))
        for header in ["Authorization", "X-Api-Key"]:
            where = [self.answer(None, headers={header: f"Bearer {i}"})["model"]
                     for _ in range(2) for i in range(32)]
            self.assertEqual(where[:32], where[32:])
            self.assertEqual(set(where), set(NAMES))

    def test_the_other_replica_answers_for_one_that_was_killed(self):
        session = self.session_of("a")
        before = self.answer(session, prompt=STORY)
        self.replicas["a"].process.kill()
        for _ in range(3):
            after = self.answer(session, prompt=STORY)
            self.assertEqual(after["model"], "b")
            self.assertEqual(after["choices"], before["choices"])

    def test_a_replica_that_stops_ends_its_stream_and_gets_no_more(self):
        session = self.session_of("a")
        response = self.ask(session, stream=True, max_tokens=1500, ignore_eos=True)
        response.readline()
        self.replicas["a"].process.send_signal(signal.SIGTERM)
        end = time.time() + 60
        while self.answer(session)["model"] == "a" and time.time() < end:
            time.sleep(0.02)  # until the signal has arrived
        self.assertEqual(self.answer(session)["model"], "b")
        self.assertTrue(response.read().rstrip().endswith(b"data: [DONE]"))
        self.assertEqual(self.replicas["a"].process.wait(120), 0)

    def test_health(self):
        """The check of the container: ready, and gone."""
        check = [ROOT / "deploy/health.sh", str(self.replicas["a"].port)]
        self.assertEqual(subprocess.run(check).returncode, 0)
        self.replicas["a"].process.kill()
        self.replicas["a"].process.wait()
        self.assertNotEqual(subprocess.run(check, stderr=subprocess.DEVNULL).returncode, 0)


if __name__ == "__main__":
    if NGINX is None:
        print("nginx is not installed (scripts/setup.sh --test installs it): skipped")
        sys.exit(77)
    unittest.main()
