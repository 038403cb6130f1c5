"""minimax serve over HTTP, as clients meet it."""

import json
import socket
import ssl
import unittest

from program import ProgramTest
from serve_server import Server, make_certificate


class Information(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--served-model-name", "org/mini")
        cls.addClassCleanup(cls.server.stop)

    def get(self, path):
        status, _, body = self.server.request("GET", path)
        self.assertEqual(status, 200, body)
        return body

    def test_health_version_props(self):
        self.assertEqual(self.get("/health"), {"status": "ok"})
        self.assertRegex(self.get("/version")["version"], r"^\d+\.\d+\.\d+$")
        props = self.get("/props")
        self.assertEqual(props["context_length"], 2048)
        self.assertEqual(props["model"], "org/mini")

    def test_models(self):
        models = self.get("/v1/models")
        self.assertEqual(models["object"], "list")
        self.assertEqual([m["id"] for m in models["data"]], ["org/mini"])
        self.assertEqual(self.get("/v1/models/org%2Fmini"), models["data"][0])
        status, _, body = self.server.request("GET", "/v1/models/other")
        self.assertEqual((status, body["error"]["code"]), (404, "model_not_found"))

    def test_metrics_are_prometheus_text(self):
        text = self.get("/metrics")
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{\w+="[^"]*"\})? [-+0-9.e]+)$')
        metrics = self.server.metrics()
        self.assertGreater(metrics["minimax_kv_pages"], 0)
        self.assertEqual(metrics["minimax_kv_pages_free"], metrics["minimax_kv_pages"])

    def test_errors_have_openais_form(self):
        for method, path, expected in [("GET", "/nothing", 404), ("DELETE", "/health", 405),
                                       ("GET", "/%zz", 400)]:
            with self.subTest(path):
                status, _, body = self.server.request(method, path)
                self.assertEqual(status, expected)
                self.assertEqual(set(body["error"]), {"message", "type", "param", "code"})

    def test_requests_have_ids(self):
        first, second = (self.server.request("GET", "/health")[1]["X-Request-Id"]
                         for _ in range(2))
        self.assertNotEqual(first, second)


class Manners(ProgramTest):
    def test_keys_are_needed_and_not_logged(self):
        file = self.folder / "keys"
        file.write_text("key-of-a-file\n")
        server = Server("--api-key", "key-of-a-flag", "--api-key-file", file)
        self.addCleanup(server.stop)
        self.assertEqual(server.request("GET", "/health")[0], 200)
        self.assertEqual(server.request("GET", "/v1/models")[0], 401)
        for key in ["key-of-a-flag", "key-of-a-file"]:
            for headers in [{"Authorization": "Bearer " + key}, {"X-Api-Key": key}]:
                self.assertEqual(server.request("GET", "/v1/models", headers=headers)[0], 200)
        code, log = server.stop()
        self.assertEqual(code, 0)
        self.assertNotIn("key-of", log)
        self.assertIn("status=401", log)

    def test_prompts_are_logged_only_when_asked(self):
        body = '{"content": "a secret\\nthought"}\n\xff\x00'
        for flags in [[], ["--log-prompts"]]:
            server = Server(*flags)
            self.addCleanup(server.stop)
            identity = server.request("POST", "/tokenize", body.encode("latin1"))[1]["X-Request-Id"]
            log = server.stop()[1]
            self.assertEqual("secret" in log, bool(flags), log)
            if flags:
                (line,) = [line for line in log.splitlines() if f"prompt id={identity} " in line]
                logged = json.loads(line.split(" body=", 1)[1])
                self.assertEqual(logged, body.replace("\xff", "\ufffd"))

    def test_a_unix_socket(self):
        path = self.folder / "socket"
        server = Server("--unix-socket", path)
        self.addCleanup(server.stop)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(server.stop()[0], 0)
        self.assertFalse(path.exists())

    def test_tls(self):
        cert, key = make_certificate(self.folder)
        server = Server("--tls-cert", cert, "--tls-key", key)
        self.addCleanup(server.stop)
        context = ssl.create_default_context(cafile=str(cert))
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", server.port)) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as client:
                    client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"200 OK", plain.recv(100))

    def test_wrong_flags(self):
        self.fail_with(1, "serve", "--host", "no.such.host.invalid", says=["--host"])
        self.fail_with(1, "serve", "--port", "0", "--tls-cert", "x.pem", says=["--tls-key"])
        self.fail_with(2, "serve", "--max-body", "lots", says=["--max-body"])
        self.fail_with(2, "serve", "--port", "70000")

    def test_a_taken_port(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.fail_with(1, "serve", "--quiet", "--port", other.getsockname()[1],
                           says=["cannot listen"])


if __name__ == "__main__":
    unittest.main()
