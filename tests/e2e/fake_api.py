"""A server that speaks just enough of OpenAI's API, and answers prompts as it is told."""

import http.server
import json
import threading
import time


def event(value):
    return f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()


def text_event(text):
    return event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})


class FakeApi:
    """`answer(handler, body)` answers each POST to /v1/; what it does not finish is cut off."""

    def __init__(self, answer):
        owner = self
        self.bodies = []
        self.times = []
        self.running = self.peak = 0
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, value, headers=()):
                data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in headers:
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def stream(self, *pieces):
                """Pieces are bytes, or seconds to wait; a body without a length, so it closes."""
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for piece in pieces:
                    if isinstance(piece, bytes):
                        self.wfile.write(piece)
                        self.wfile.flush()
                    else:
                        time.sleep(piece)

            def do_GET(self):
                if self.path == "/v1/models":
                    self.reply(200, {"data": [{"id": "fake"}]})
                else:
                    self.reply(404, {})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.path.startswith("/v1/"):
                    self.reply(404, {})
                    return
                with owner.lock:
                    owner.bodies.append(body)
                    owner.times.append(time.monotonic())
                    owner.running += 1
                    owner.peak = max(owner.peak, owner.running)
                try:
                    answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with owner.lock:
                        owner.running -= 1

        class Api(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.http = Api(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
