"""What serving costs beside computing: processor time of the server's threads, by their names."""

import json
import pathlib
import unittest

from program import ProgramTest
from serve_server import Server

STREAMS = 64


def processor_seconds(pid):
    """Of each thread, by name."""
    result = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        result[name] = result.get(name, 0) + nanoseconds / 1e9
    return result


class Overhead(ProgramTest):
    def test_serving_takes_a_tenth_of_the_processor_time_at_most(self):
        server = Server("--parallel", STREAMS, "--memory", "1G", context=512)
        self.addCleanup(server.stop)
        before = processor_seconds(server.process.pid)
        text = self.succeed("bench-serve", "--url", f"http://127.0.0.1:{server.port}", "--json",
                            "--num-requests", STREAMS, "--input-tokens", 32, "--output-tokens", 48,
                            "--ignore-eos", "--warmup", 0).stdout
        after = processor_seconds(server.process.pid)
        results = json.loads(text)["results"]
        self.assertEqual((results["complete"], results["peak_concurrency"]), (STREAMS, STREAMS))
        spent = {name: after[name] - before.get(name, 0) for name in after}
        computing = sum(spent[name] for name in spent if name.split(" ")[0] in ("engine", "pool"))
        serving = sum(spent.values()) - computing
        self.assertGreater(spent["http 0"] + spent["http 1"], 0)
        self.assertGreater(spent["engine"], 0)
        self.assertLessEqual(serving, 0.1 * (serving + computing), spent)


if __name__ == "__main__":
    unittest.main()
