"""The web page as the program holds it: byte for byte the committed one."""

import gzip
import unittest
from pathlib import Path

from serve_server import Server

DIST = Path(__file__).resolve().parents[2] / "web" / "dist"


class WebPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A server with keys: the page must come without one, as it is the page that asks for it.
        cls.server = Server("--api-key", "secret")
        cls.addClassCleanup(cls.server.stop)

    def fetch(self, path, method="GET", **headers):
        # Left to itself, http.client asks for no compression, which the page cannot do without.
        connection, response = self.server.open(method, path, headers={
            "Accept-Encoding": "gzip",
            **{name.replace("_", "-"): value for name, value in headers.items()}})
        try:
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def test_every_file_arrives_whole(self):
        files = sorted(file for file in DIST.rglob("*") if file.is_file())
        self.assertIn(DIST / "index.html", files)
        for file in files:
            path = "/" if file.name == "index.html" else f"/{file.relative_to(DIST).as_posix()}"
            with self.subTest(path):
                status, headers, body = self.fetch(path)
                self.assertEqual(status, 200)
                self.assertEqual(headers["Content-Encoding"], "gzip")
                self.assertEqual(gzip.decompress(body), file.read_bytes())
                self.assertIn("default-src 'none'", headers["Content-Security-Policy"])

    def test_what_is_known_is_not_sent_again(self):
        _, headers, _ = self.fetch("/")
        status, again, body = self.fetch("/", If_None_Match=headers["ETag"])
        self.assertEqual((status, body), (304, b""))
        self.assertEqual(again["ETag"], headers["ETag"])
        self.assertIsNone(again["Content-Length"])

    def test_head_has_no_body(self):
        status, headers, body = self.fetch("/", method="HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 0)


if __name__ == "__main__":
    unittest.main()
