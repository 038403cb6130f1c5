"""minimax bench-serve against `minimax serve`, and against servers that misbehave."""

import json
import signal
import socket
import subprocess
import threading
import unittest

from fake_api import FakeApi, event, text_event
from program import PROGRAM, ProgramTest, environment, run, wait_until_caught
from serve_server import Server, make_certificate

DONE = event("[DONE]")
USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


class RealServer(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--parallel", "4")
        cls.addClassCleanup(cls.server.stop)
        cls.url = f"http://127.0.0.1:{cls.server.port}"

    def measure(self, *arguments):
        result = self.succeed("bench-serve", "--url", self.url, "--json", *arguments)
        return json.loads(result.stdout)

    def test_completions_have_the_tokens_that_were_asked_for(self):
        report = self.measure("--endpoint", "completions", "--num-requests", 4, "--input-tokens", 64,
                              "--output-tokens", 6, "--ignore-eos", "--max-concurrency", 2)
        results = report["results"]
        self.assertEqual((results["complete"], results["failed"]), (4, 0))
        self.assertTrue(report["flags"]["input_tokens_exact"])
        self.assertEqual(results["prompt_tokens"], 4 * 64)
        self.assertEqual(results["output_tokens"], 4 * 6)
        self.assertEqual(results["output_tokens_counted_by"], "server")
        self.assertLessEqual(results["peak_concurrency"], 2)
        for name, count in [("ttft_ms", 4), ("tpot_ms", 4), ("e2e_ms", 4)]:
            times = results[name]
            self.assertEqual(times["count"], count)
            self.assertGreater(times["min"], 0)
            for lower, higher in [("min", "median"), ("median", "p90"), ("p90", "p99"),
                                  ("p99", "max")]:
                self.assertLessEqual(times[lower], times[higher], name)
        self.assertLess(results["ttft_ms"]["mean"], results["e2e_ms"]["mean"])
        self.assertAlmostEqual(results["output_throughput"],
                               results["output_tokens"] / results["duration_seconds"])

    def test_chats_add_their_template(self):
        results = self.measure("--num-requests", 2, "--input-tokens", 20, "--output-tokens", 3,
                               "--ignore-eos")["results"]
        self.assertEqual(results["complete"], 2)
        self.assertGreater(results["prompt_tokens"], 2 * 20)

    def test_shared_prefixes_come_from_the_cache(self):
        results = self.measure("--num-requests", 4, "--input-tokens", 8, "--output-tokens", 2,
                               "--shared-prefix-tokens", 512, "--max-concurrency", 1,
                               "--warmup", 2, "--endpoint", "completions")["results"]
        self.assertEqual(results["prompt_tokens"], 4 * 520)
        # Whole pages of the prefix, at every request: the warm-up has left them.
        self.assertGreater(results["cached_share"], 0.5)

    def test_prompts_of_a_file(self):
        plain, objects = self.folder / "plain.txt", self.folder / "objects.jsonl"
        plain.write_text("Hello\nWho are you?\n")
        objects.write_text('{"messages": [{"role": "system", "content": "Be brief."}, '
                           '{"role": "user", "content": "Hi"}], "output_tokens": 2}\n')
        for file, requests in [(plain, 3), (objects, 1)]:
            out = self.folder / "result.json"
            text = self.succeed("bench-serve", "--url", self.url, "--prompts", file,
                                "--num-requests", requests, "--output-tokens", 2, "--ignore-eos",
                                "--out", out).stdout
            self.assertIn(f"{requests} complete, 0 failed", text)
            self.assertEqual(json.loads(out.read_text())["results"]["output_tokens"], 2 * requests)
        self.fail_with(2, "bench-serve", "--url", self.url, "--prompts", objects, "--endpoint",
                       "completions", "--quiet", says=["messages"])

    def test_the_same_seed_asks_the_same(self):
        first, second, other = (
            self.measure("--num-requests", 3, "--input-tokens", 30, "--range-ratio", 0.5,
                         "--output-tokens", 1, "--warmup", 0, "--seed", seed)["results"]
            for seed in [1, 1, 2])
        self.assertEqual(first["prompt_tokens"], second["prompt_tokens"])
        self.assertNotEqual(first["prompt_tokens"], other["prompt_tokens"])

    def test_a_model_that_is_not_there_fails_the_warm_up(self):
        self.fail_with(1, "bench-serve", "--url", self.url, "--served-model-name", "other",
                       "--quiet", says=["warm-up", "http 404", "other"])


class Connections(ProgramTest):
    SMALL = ["--num-requests", "2", "--input-tokens", "8", "--output-tokens", "2", "--ignore-eos"]

    def test_keys_over_a_unix_socket(self):
        path = self.folder / "socket"
        server = Server("--unix-socket", path, "--api-key", "secret")
        self.addCleanup(server.stop)
        text = self.succeed("bench-serve", "--url", f"unix:{path}", *self.SMALL,
                            env=environment(MINIMAX_API_KEY="secret")).stdout
        self.assertIn("2 complete, 0 failed", text)
        self.fail_with(1, "bench-serve", "--url", f"unix:{path}", *self.SMALL, says=["401"])

    def test_tls(self):
        cert, key = make_certificate(self.folder)
        server = Server("--tls-cert", cert, "--tls-key", key)
        self.addCleanup(server.stop)
        named, numbered = f"https://localhost:{server.port}", f"https://127.0.0.1:{server.port}"
        for url, flags in [(named, ["--tls-ca", cert]), (numbered, ["--insecure"])]:
            text = self.succeed("bench-serve", "--url", url, *flags, *self.SMALL).stdout
            self.assertIn("2 complete, 0 failed", text)
        # Not signed by anybody, and signed, but for another host.
        self.fail_with(1, "bench-serve", "--url", named, *self.SMALL, says=["certificate"])
        self.fail_with(1, "bench-serve", "--url", numbered, "--tls-ca", cert, *self.SMALL,
                       says=["certificate"])

    def test_nobody_listens(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        self.fail_with(1, "bench-serve", "--url", f"http://127.0.0.1:{port}",
                       says=["cannot connect", str(port)])
        self.fail_with(1, "bench-serve", "--url", "http://no.such.host.invalid",
                       says=["no.such.host.invalid"])
        self.fail_with(1, "bench-serve", "--url", "ftp://x", says=["ftp://x", "http://"])


class FakeServer(ProgramTest):
    def start(self, answer):
        api = FakeApi(answer)
        self.addCleanup(api.stop)
        return api

    def measure(self, api, *arguments, code=0):
        result = run("bench-serve", "--url", api.url, "--json", "--quiet", "--warmup", 0,
                     "--endpoint", "completions", "--input-tokens", 5, "--output-tokens", 3,
                     *arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        return json.loads(result.stdout)["results"]

    def failure(self, answer, *arguments):
        """Kind and message of what two requests failed of."""
        results = self.measure(self.start(answer), "--num-requests", 2, *arguments, code=1)
        self.assertEqual((results["complete"], results["failed"]), (0, 2))
        (failure,) = results["failures"]
        self.assertEqual(failure["count"], 2)
        return failure["kind"], failure["message"]

    def test_times_are_those_of_the_answer(self):
        # Waiting is never shorter than asked for, and on a busy machine much longer.
        api = self.start(lambda handler, _: handler.stream(
            0.2, text_event("a"), 0.1, text_event("b"), 0.1, text_event("c"), 0.1, USAGE, DONE))
        results = self.measure(api, "--num-requests", 3)
        self.assertGreaterEqual(results["ttft_ms"]["min"], 200)
        self.assertEqual(results["itl_ms"]["count"], 2 * 3)
        self.assertGreaterEqual(results["itl_ms"]["mean"], 80)  # the first may have been read late
        self.assertGreaterEqual(results["e2e_ms"]["min"], 500)
        # To the end, by the server's three tokens.
        self.assertAlmostEqual(results["tpot_ms"]["mean"],
                               (results["e2e_ms"]["mean"] - results["ttft_ms"]["mean"]) / 2)
        self.assertEqual(results["prompt_tokens"], 3 * 7)
        self.assertIsNone(results["cached_tokens"])

    def test_requests_say_what_was_asked_for(self):
        api = self.start(lambda handler, _: handler.stream(text_event("a"), DONE))
        results = self.measure(api, "--num-requests", 2, "--ignore-eos", "--temp", 0.5)
        self.assertEqual(results["output_tokens_counted_by"], "events")
        for body in api.bodies:
            self.assertEqual(len(body.pop("prompt").split(" ")), 5)
            self.assertEqual(body, {"model": "fake", "max_tokens": 3, "temperature": 0.5,
                                    "stream": True, "stream_options": {"include_usage": True},
                                    "ignore_eos": True})

    def test_prompts_that_cannot_be_counted_are_said_to_be_about_right(self):
        api = self.start(lambda handler, _: handler.stream(text_event("a"), DONE))
        result = self.succeed("bench-serve", "--url", api.url, "--num-requests", 1)
        self.assertIn("/tokenize", result.stderr)

    def test_a_limit_of_requests_under_way(self):
        api = self.start(lambda handler, _: handler.stream(0.05, text_event("a"), DONE))
        results = self.measure(api, "--num-requests", 9, "--max-concurrency", 3)
        self.assertEqual(results["peak_concurrency"], 3)
        # An answer has ended for the client a moment before it has for the server.
        self.assertLessEqual(api.peak, 6)

    def test_fixed_arrivals_are_not_early(self):
        api = self.start(lambda handler, _: handler.stream(text_event("a"), DONE))
        results = self.measure(api, "--num-requests", 6, "--request-rate", 20, "--arrival", "fixed")
        self.assertGreaterEqual(results["duration_seconds"], 5 / 20)
        self.assertGreaterEqual(results["send_delay_ms"]["min"], 0)
        self.assertEqual(len(api.times), 6)

    def test_statuses(self):
        kind, message = self.failure(lambda handler, _: handler.reply(
            429, {"error": {"message": "the queue is full"}}, [("Retry-After", "1")]))
        self.assertEqual((kind, message), ("http 429", "the queue is full"))
        kind, message = self.failure(lambda handler, _: handler.reply(500, "<h1>Oops</h1>"))
        self.assertEqual((kind, message), ("http 500", "<h1>Oops</h1>"))

    def test_garbage(self):
        def no_http(handler, _):
            handler.close_connection = True
            handler.wfile.write(b"\x00\xffnot http at all\r\n\r\n")

        self.assertEqual(self.failure(no_http)[0], "malformed")
        self.assertEqual(self.failure(lambda handler, _: handler.reply(
            200, {"choices": []}, [("Content-Type", "application/json")]))[0], "malformed")
        self.assertEqual(self.failure(lambda handler, _: handler.stream(
            text_event("a"), event("{\"choices\": [")))[0], "malformed")
        self.assertEqual(self.failure(lambda handler, _: handler.stream(DONE))[0], "empty")

    def test_connections_that_end_midway(self):
        def cut(handler, _):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(text_event("a"))
            handler.close_connection = True

        def silent(handler, _):
            handler.close_connection = True

        for answer in [cut, silent, lambda handler, _: handler.stream(text_event("a"))]:
            self.assertEqual(self.failure(answer)[0], "closed")

    def test_errors_within_a_stream(self):
        kind, message = self.failure(lambda handler, _: handler.stream(
            text_event("a"), event({"error": {"message": "out of memory"}}), DONE))
        self.assertEqual((kind, message), ("error event", "out of memory"))

    def test_silence_ends_at_the_timeout(self):
        released = threading.Event()
        self.addCleanup(released.set)
        for answer in [lambda *_: released.wait(60),
                       lambda handler, _: (handler.stream(text_event("a")), released.wait(60))]:
            kind, message = self.failure(answer, "--timeout", 0.2)
            self.assertEqual(kind, "timeout")
            self.assertIn("200 ms", message)

    def test_some_fail_and_others_are_measured(self):
        api = self.start(lambda handler, _: handler.reply(503, "busy") if len(api.bodies) % 2
                         else handler.stream(text_event("a"), DONE))
        result = run("bench-serve", "--url", api.url, "--num-requests", 4, "--max-concurrency", 1,
                     "--warmup", 0, "--endpoint", "completions", "--quiet")
        self.assertEqual(result.returncode, 1)
        self.assertIn("2 complete, 2 failed", result.stdout)
        self.assertIn("failed 2 times: http 503: busy", result.stdout)
        self.assertIn("2 of 4 requests failed", result.stderr)

    def test_an_interrupt_shows_what_is_there(self):
        released = threading.Event()
        self.addCleanup(released.set)
        asked = threading.Event()

        def answer(handler, _):
            if len(api.bodies) > 1:
                asked.set()
                released.wait(60)
            handler.stream(text_event("a"), DONE)

        api = self.start(answer)
        process = subprocess.Popen(
            [PROGRAM, "bench-serve", "--url", api.url, "--num-requests", "5", "--max-concurrency",
             "1", "--warmup", "0", "--endpoint", "completions"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment())
        wait_until_caught(process, signal.SIGINT)
        self.assertTrue(asked.wait(60))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertIn("1 complete, 0 failed, 1 stopped", out)


if __name__ == "__main__":
    unittest.main()
