"""A running `minimax serve`, for tests."""

import http.client
import json
import re
import signal
import subprocess
import threading
import unittest

from program import MINI, PROGRAM, environment


class Server:
    """A server on a free port. Its log is read until it says that it is ready."""

    def __init__(self, *arguments, context=2048, model=MINI):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "-m", str(model), "--port", "0", "-c", str(context),
             *map(str, arguments)],
            stderr=subprocess.PIPE, text=True, env=environment())
        self.log = []
        self.port = None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listening on https?://\S+:(\d+)$", line.strip())
            if found:
                self.port = int(found.group(1))
            if "info: ready" in line:
                break
        else:
            raise AssertionError("the server ended: " + "".join(self.log))
        # A log that nobody reads would fill its pipe and stop the server.
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()

    def open(self, method, path, body=None, headers=None):
        """The connection and its response, whose body was not read yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        connection.request(method, path, data, headers or {})
        return connection, connection.getresponse()

    def request(self, method, path, body=None, headers=None):
        """Status, headers and parsed body (text, when it is no JSON)."""
        connection, response = self.open(method, path, body, headers)
        try:
            text = response.read().decode()
            is_json = response.getheader("Content-Type") == "application/json"
            return response.status, response.headers, json.loads(text) if is_json else text
        finally:
            connection.close()

    def events(self, path, body):
        """The data of all events of a streamed answer, [DONE] checked and left out."""
        status, _, text = self.request("POST", path, {**body, "stream": True})
        assert status == 200, text
        data = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
        assert data[-1] == "[DONE]", data[-1]
        return [json.loads(e) for e in data[:-1]]

    def metrics(self):
        text = self.request("GET", "/metrics")[2]
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def stop(self):
        """Exit code after SIGTERM, and the whole log."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.reader.join()
        self.process.stderr.close()
        return self.process.returncode, "".join(self.log)


class ServedTest(unittest.TestCase):
    """Tests that share a server with room for PARALLEL generations."""

    PARALLEL = 8

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--parallel", cls.PARALLEL)
        cls.addClassCleanup(cls.server.stop)

    def post(self, path, **body):
        status, _, answer = self.server.request("POST", path, body)
        self.assertEqual(status, 200, answer)
        return answer


def make_certificate(folder):
    """Paths of a certificate of localhost, signed by itself, and of its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    except FileNotFoundError:
        raise unittest.SkipTest("needs the program openssl") from None
    return cert, key
