"""docs/server.md does what it says: its examples run, its metrics and those of the dashboard exist."""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import unittest

from program import PROGRAM, ROOT, ProgramTest, environment
from serve_server import Server

PAGE = (ROOT / "docs/server.md").read_text()
DASHBOARD = ROOT / "docs/grafana/minimax.json"
BOOK = "Pierre was a fox. He lived in a little house near the river. " * 20

# Before an example: curl fails where the server refuses, and leaves behind what it was asked and told;
# servers are not started again.
PRELUDE = r"""
set -eu
minimax() { [ "$1" = serve ] || "$PROGRAM" "$@"; }
curl() {
  count=$((count + 1))
  printf '%s\0' "$@" > "$count.arguments"
  command curl --fail-with-body -sS -D "$count.headers" -o "$count.body" "$@" ||
    { echo "curl $*: $?" >&2; cat "$count.body" >&2; exit 1; }
}
"""

Call = collections.namedtuple("Call", "method path content_type body")


def examples():
    """The shell blocks of the page that ask a server."""
    return [block for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
            if re.search(r"^curl ", block, re.M)]


def stated_parts():
    """For each curl of one line: the part of its answer that the comment states, if it is JSON."""
    for block in examples():
        for line in block.splitlines():
            if line.startswith("curl "):
                comment = re.search(r"  # (\{.*\})$", line)
                yield json.loads(comment.group(1)) if comment else None


def routes():
    """(method, pattern) of every route that src/serve registers; where it cannot be told, a failure."""
    found = set()
    for source in sorted((ROOT / "src/serve").glob("*.cc")):
        text = source.read_text()
        constants = dict(re.findall(r'std::string(?:_view)? (\w+) = "(.*?)"', text))
        constants.update((name, constants[other]) for name, other in
                         re.findall(r"std::string (\w+)\((\w+)\);", text) if other in constants)
        # A call's arguments as far as names and strings go; helpers are called with what they pass on.
        adds = "router\\.add|add_route" + ("|add" if "auto add = [&](const char* method" in text else "")
        for call, arguments in re.findall(
                rf"^\s+({adds})\(((?:[^()\[\];{{]|\(\))*)", text, re.M):
            strings = re.findall(r'"([^"]*)"', arguments)
            method = next((s for s in strings if re.fullmatch("[A-Z]+", s)), None)
            path = next((s for s in strings if s.startswith("/")), None)
            names = [name for name in re.findall(r"\w+", arguments) if name in constants]
            if method and not path and names:
                path = constants[names[0]]
            if path and (method or call == "add_route"):
                found.add((method or "POST", path))
            elif "file.path" in arguments:
                found.add(("GET", "/"))  # with files beside it that the page asks for
            elif not re.search(r"\b(path|pattern)\b", arguments):
                raise AssertionError(f"{source.name}: whose route is this? {call}({arguments}")
    return found


def contains(whole, part):
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], value) for key, value in part.items())
    return whole == part


def read_metrics(text):
    """Values by name, once the text has been found to be Prometheus'."""
    types, values = {}, {}
    for line in text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line)
        if comment:
            if comment.group(1) == "TYPE":
                assert comment.group(2) not in types, f"twice: {line}"
                types[comment.group(2)] = comment.group(3)
            continue
        sample = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? (\S+)', line)
        assert sample, f"no sample: {line}"
        name, labels = sample.group(1), sample.group(2) or ""
        family = name
        if name not in types:
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert types.get(family) == "histogram", f"no TYPE: {line}"
        assert family.endswith("_total") == (types[family] == "counter"), f"name and type: {line}"
        assert (name, labels) not in values, f"twice: {line}"
        values[name, labels] = float(sample.group(3))
    for family, kind in types.items():
        if kind == "histogram":
            buckets = [(float(re.search('le="(.*)"', labels).group(1)), value)
                       for (name, labels), value in values.items() if name == family + "_bucket"]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), family
            assert [b[1] for b in buckets] == sorted(b[1] for b in buckets), family
            assert buckets[-1][1] == values[family + "_count", ""], family
    names = {name for name, _ in values} | set(types)
    return names, values


class Page(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "book.txt").write_text(BOOK)
        self.server = Server("--context-dir", self.folder / "contexts", context=8192)
        self.addCleanup(self.server.stop)

    def run_examples(self):
        """What every curl of the page asked and was told, in order."""
        blocks = "\n".join(examples()).replace("127.0.0.1:8080", f"127.0.0.1:{self.server.port}")
        script = PRELUDE + "count=0\n" + blocks
        result = subprocess.run(["bash", "-c", script], cwd=self.folder, capture_output=True,
                                text=True, timeout=300, env=environment(PROGRAM=PROGRAM))
        self.assertEqual(result.returncode, 0, result.stderr)
        return [self.read_call(number) for number in
                range(1, len(list(self.folder.glob("*.body"))) + 1)]

    def read_call(self, number):
        arguments = (self.folder / f"{number}.arguments").read_text().split("\0")[:-1]
        method = "POST" if "-d" in arguments else "GET"
        if "-X" in arguments:
            method = arguments[arguments.index("-X") + 1]
        url = next(a for a in arguments if a.startswith("http://"))
        headers = (self.folder / f"{number}.headers").read_text()
        kind = re.search(r"^content-type: ([\w/-]+)", headers, re.M | re.I).group(1)
        body = (self.folder / f"{number}.body").read_text()
        return Call(method, "/" + url.split("/", 3)[3], kind, body)

    def test_examples_run_and_every_endpoint_has_one(self):
        calls = self.run_examples()
        stated = list(stated_parts())
        self.assertEqual(len(calls), len(stated))
        for call, part in zip(calls, stated):
            with self.subTest(f"{call.method} {call.path}"):
                if call.content_type == "application/json":
                    answer = json.loads(call.body)
                    self.assertTrue(part is None or contains(answer, part), (part, answer))
                elif call.content_type == "text/event-stream":
                    self.assertTrue(call.body.endswith("data: [DONE]\n\n"), call.body[-200:])
                else:
                    self.assertIsNone(part)
                    self.assertTrue(call.body)
        registered = routes()
        self.assertGreater(len(registered), 18)
        for method, pattern in sorted(registered):
            is_shown = any(
                method == call.method and
                (call.path.startswith(pattern) and len(call.path) > len(pattern)
                 if pattern.endswith("/") and pattern != "/" else call.path == pattern)
                for call in calls)
            self.assertTrue(is_shown, f"docs/server.md has no curl example of {method} {pattern}")

    def test_metrics_are_those_of_the_page_and_the_dashboard(self):
        body = {"prompt": "Once upon a time", "max_tokens": 3, "ignore_eos": True}
        self.assertEqual(self.server.request("POST", "/v1/completions", body)[0], 200)
        names, values = read_metrics(self.server.request("GET", "/metrics")[2])
        names.add("minimax_gpu_memory_free_bytes")  # where there is a GPU
        self.assertGreater(values["minimax_phase_flops_total", '{phase="prefill"}'], 0)
        self.assertGreater(values["minimax_phase_read_bytes_total", '{phase="decode"}'], 0)
        self.assertEqual(values["minimax_inter_token_seconds_count", ""], 2)
        families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
        section = PAGE.split("\n## Metrics\n")[1].split("\n## ")[0]
        table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        documented = {"minimax_" + name for cell in table for name in re.findall(r"`([a-z_]+)", cell)}
        self.assertEqual(documented, families)
        dashboard = json.loads(DASHBOARD.read_text())
        used = set()
        for panel in dashboard["panels"]:
            self.assertEqual(set(panel["gridPos"]), {"h", "w", "x", "y"})
            self.assertEqual(bool(panel.get("targets")), panel["type"] != "row")
            for target in panel.get("targets", []):
                used |= set(re.findall(r"\bminimax_[a-z_]+", target["expr"]))
        self.assertEqual(used - names, set())
        # Every metric is on the dashboard, for what is left out is forgotten.
        self.assertEqual(families - {re.sub(r"_(bucket|sum|count)$", "", n) for n in used}, set())
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))


if __name__ == "__main__":
    if shutil.which("curl") is None:
        raise SystemExit("serve_docs_test: needs curl")
    unittest.main()
