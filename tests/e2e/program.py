"""Running the program from tests: shared by all files of this folder."""

import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("MINIMAX_PROGRAM", str(ROOT / "build/cpu/bin/minimax"))
MINI = ROOT / "models/mini"
TINY = ROOT / "tests/golden/tiny"


def environment(**extra):
    """Our environment without flags that a developer may have set for the program."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MINIMAX_")}
    clean.update({k: str(v) for k, v in extra.items()})
    return clean


def run(*arguments, stdin="", env=None, timeout=120):
    """The finished process, with text output."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=env or environment(),
    )


def wait_until_caught(process, number):
    """Until the program has a handler for a signal: before, the signal would end it unseen."""
    end = time.time() + 60
    while time.time() < end:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        if int(caught, 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError(f"no handler of signal {number} after a minute")


def read_safetensors_f32(path, name):
    """Shape and values of an f32 tensor."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8 : 8 + length])[name]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    assert entry["dtype"] == "F32", entry
    return entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])


class ProgramTest(unittest.TestCase):
    """A test with a scratch folder and assertions about the program's manners."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fail_with(self, code, *arguments, says=(), **options):
        """The run exits with `code`, prints nothing on stdout and one line on stderr."""
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("minimax: "), lines[0])
        for words in says:
            self.assertIn(words, lines[0])
        return result
