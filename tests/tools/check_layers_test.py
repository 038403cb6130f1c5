"""Each rule of tools/check_layers.py against a small tree that breaks it, and one that does not."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import check_layers  # noqa: E402

ARCHITECTURE = """
## Modules

| module | is | may use | must not know |
|---|---|---|---|
| base | files | (std) | tensors |
| tensor | views | base | ops |
| ops | verbs | tensor | model |
| text | tokenizer | base | tensors |
| engine | loop | ops, text | HTTP |

## Fences

| headers | only in |
|---|---|
| `simdjson.h` | `base/json.*` |
| `hwy/*` | `ops/cpu/*` |
| `text/*` | `text/*`, `engine/prompt.*` |
"""


class CheckLayersTest(unittest.TestCase):
    def findings(self, files, architecture=ARCHITECTURE):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "docs").mkdir()
            (root / "docs/architecture.md").write_text(architecture, encoding="utf-8")
            (root / "src").mkdir()
            for name, text in files.items():
                path = root / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return check_layers.check(root)

    def test_allowed_edges_and_fences_pass(self):
        files = {
            "base/json.cc": "#include <simdjson.h>\n",
            "base/error.h": "#include <string>\n",
            "tensor/tensor.h": '#include "base/error.h"\n',
            "ops/cpu/linear.cc": '#include "hwy/highway.h"\n#include "tensor/tensor.h"\n',
            "ops/backend.h": '#include "base/error.h"\n#include "tensor/tensor.h"\n',
            "text/bpe.h": '#include "base/error.h"\n',
            "engine/prompt.h": '#include "text/bpe.h"\n',
        }
        self.assertEqual(self.findings(files), [])

    def test_forbidden_edge_names_file_and_line(self):
        findings = self.findings({"tensor/a.h": '\n#include "ops/b.h"\n', "ops/b.h": ""})
        self.assertEqual(len(findings), 1)
        self.assertIn("src/tensor/a.h:2: tensor must not include", findings[0])

    def test_a_use_of_a_use_is_not_allowed(self):
        findings = self.findings({"engine/a.h": '#include "tensor/b.h"\n', "tensor/b.h": ""})
        self.assertEqual(len(findings), 1)

    def test_module_cycle(self):
        files = {
            "base/a.h": '#include "tensor/b.h"\n',
            "tensor/b.h": '#include "base/c.h"\n',
            "base/c.h": "",
        }
        findings = self.findings(files)
        self.assertIn("modules include each other in a circle: base → tensor → base", findings)

    def test_file_cycle_inside_a_module(self):
        files = {"base/a.h": '#include "base/b.h"\n', "base/b.h": '#include "base/a.h"\n'}
        self.assertEqual(
            self.findings(files),
            ["files include each other in a circle: base/a.h → base/b.h → base/a.h"],
        )

    def test_third_party_header_outside_its_fence(self):
        for include in ("#include <simdjson.h>", '#include "hwy/highway.h"', "# include <hwy/base.h>"):
            findings = self.findings({"tensor/a.cc": include + "\n"})
            self.assertEqual(len(findings), 1, include)
            self.assertIn("src/tensor/a.cc:1", findings[0])

    def test_fence_inside_a_module(self):
        findings = self.findings({"engine/sampler.cc": '#include "text/bpe.h"\n'})
        self.assertEqual(
            findings, ["src/engine/sampler.cc:1: <text/bpe.h> belongs to text/*, engine/prompt.* only"]
        )

    def test_unknown_folder(self):
        self.assertEqual(
            self.findings({"misc/a.cc": ""}), ["src/misc/a.cc: misc is not in the module table"]
        )

    def test_long_file(self):
        self.assertEqual(self.findings({"base/a.cc": "\n" * 800}), [])
        self.assertEqual(
            self.findings({"base/a.cc": "\n" * 801}), ["src/base/a.cc: 801 lines, at most 800: split it"]
        )

    def test_a_document_without_tables_is_an_error(self):
        for text in ("", "## Modules\n\nwords\n", ARCHITECTURE.replace("## Fences", "## Other")):
            with self.assertRaises(check_layers.TableError):
                self.findings({}, text)
        with self.assertRaisesRegex(check_layers.TableError, "engine may use opps"):
            self.findings({}, ARCHITECTURE.replace("ops, text", "opps, text"))

    def test_the_program_exits_1_on_a_finding(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "docs").mkdir()
            (root / "docs/architecture.md").write_text(ARCHITECTURE, encoding="utf-8")
            (root / "src/other").mkdir(parents=True)
            (root / "src/other/a.h").write_text("", encoding="utf-8")
            result = subprocess.run(
                [sys.executable, ROOT / "tools/check_layers.py", root],
                capture_output=True, text=True, check=False,
            )
        self.assertEqual(result.returncode, 1)
        self.assertIn("src/other/a.h", result.stdout)


if __name__ == "__main__":
    unittest.main()
