"""tokenize, detokenize, info, logits, quantize, bench and completions."""

import json
import pathlib
import shutil
import struct
import subprocess
import unittest

from program import MINI, PROGRAM, ProgramTest, ROOT, TINY, environment, read_safetensors_f32


def write_npy(path, ids, kind="i4"):
    header = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({len(ids)},), }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    code = {"i4": "i", "i8": "q", "f4": "f"}[kind]
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                     + struct.pack(f"<{len(ids)}{code}", *ids))


class Tokenize(ProgramTest):
    def test_round_trip_is_exact(self):
        text = "Hello  wörld! 日本語 🙂\n\tindented\n<end_of_sentence> end \n"
        ids = self.succeed("tokenize", stdin=text).stdout
        self.assertEqual(self.succeed("detokenize", stdin=ids).stdout, text)
        as_json = self.succeed("tokenize", "--json", stdin=text).stdout
        self.assertEqual(self.succeed("detokenize", stdin=as_json).stdout, text)

    def test_json_has_ids_and_pieces(self):
        result = json.loads(self.succeed("tokenize", "-p", "Hello world", "--json").stdout)
        self.assertEqual(len(result["ids"]), len(result["pieces"]))
        self.assertEqual("".join(result["pieces"]), "Hello world")

    def test_markers_are_text_with_no_special(self):
        marked = self.succeed("tokenize", "-p", "<end_of_sentence>").stdout.split()
        plain = self.succeed("tokenize", "-p", "<end_of_sentence>", "--no-special").stdout.split()
        self.assertEqual(marked, ["2"])
        self.assertGreater(len(plain), 1)
        self.assertEqual(self.succeed("detokenize", "-p", "2", "--no-special").stdout, "")

    def test_nothing_gives_nothing(self):
        self.assertEqual(self.succeed("tokenize", "-p", "").stdout, "\n")
        self.assertEqual(self.succeed("detokenize", stdin="").stdout, "")

    def test_bad_ids(self):
        self.fail_with(1, "detokenize", "-p", "1 two", says=["byte 2"])
        self.fail_with(1, "detokenize", "-p", "[1, 2.5]", says=["position 1"])
        self.fail_with(1, "detokenize", "-p", "99999999", says=["99999999"])
        self.fail_with(1, "detokenize", "-p", "99999999999", says=["99999999999"])


class Info(ProgramTest):
    def test_table_and_json(self):
        self.assertIn("experts", self.succeed("info", MINI).stdout)
        result = json.loads(self.succeed("info", TINY, "--json").stdout)
        self.assertEqual(result["config"]["layer_kinds"].count("S"), 1)
        self.assertEqual(sum(c["parameters"] for c in result["classes"]), result["parameters"])
        self.assertEqual(sum(c["bytes"] for c in result["classes"]), result["bytes"])
        self.assertLess(result["active_parameters"], result["parameters"])
        self.assertGreater(result["sequence"]["state_bytes"], 0)


class Logits(ProgramTest):
    def logits(self, ids, *flags):
        out = self.folder / "out.safetensors"
        self.succeed("logits", "-m", TINY, "--ids", ids, "--out", out, "--compute", "f32", *flags)
        return read_safetensors_f32(out, "logits")

    def test_equal_the_golden_logits(self):
        golden = TINY / "golden.safetensors"
        shape, expected = read_safetensors_f32(golden, "short.logits")
        for flags in [[], ["--chunk", 7], ["--decode", 5], ["--decode", 17, "-t", 2],
                      ["--reference"]]:
            with self.subTest(flags):
                found_shape, found = self.logits(f"{golden}:short.ids", *flags)
                self.assertEqual(found_shape, shape)
                self.assertLess(max(abs(a - b) for a, b in zip(found, expected)), 2e-4)

    def test_every_way_of_chunking_gives_the_same_bits(self):
        golden = f"{TINY / 'golden.safetensors'}:ragged.ids"
        whole = self.logits(golden, "--last", 40, "--chunk", 1000)
        self.assertEqual(whole[0][0], 40)
        for flags in [["--chunk", 64], ["--chunk", 7, "--decode", 3], ["-t", 1]]:
            with self.subTest(flags):
                self.assertEqual(self.logits(golden, "--last", 40, *flags), whole)

    def test_ids_from_json_npy_and_safetensors(self):
        ids = [5, 6, 7, 8, 9]
        as_json, npy, wide = (self.folder / n for n in ["i.json", "i.npy", "w.npy"])
        as_json.write_text(json.dumps(ids))
        write_npy(npy, ids)
        write_npy(wide, ids, "i8")
        first = self.logits(as_json)
        self.assertEqual(self.logits(npy), first)
        self.assertEqual(self.logits(wide), first)

    def test_bad_ids_are_refused_with_their_position(self):
        file = self.folder / "ids.json"
        out = self.folder / "out.safetensors"
        for text, words in [
            ("[1, 2, 99999999]", ["99999999", "position 2"]),
            ("[1, -1]", ["-1", "position 1"]),
            ("[1, \"a\"]", ["position 1"]),
            ("[1, 3000000000]", ["3000000000", "position 1"]),
            ("[]", ["no token ids"]),
            ("[1, 2", ["ids.json"]),
            ("", ["ids.json"]),
        ]:
            with self.subTest(text):
                file.write_text(text)
                self.fail_with(1, "logits", "-m", TINY, "--ids", file, "--out", out, says=words)
                self.assertFalse(out.exists())
        write_npy(file, [1.5], "f4")
        self.fail_with(1, "logits", "-m", TINY, "--ids", file, "--out", out, says=["i32 or i64"])
        file.write_bytes(file.read_bytes()[:40])
        self.fail_with(1, "logits", "-m", TINY, "--ids", file, "--out", out, says=["header"])
        golden = TINY / "golden.safetensors"
        self.fail_with(1, "logits", "-m", TINY, "--ids", golden, "--out", out, says=[":NAME"])
        self.fail_with(1, "logits", "-m", TINY, "--ids", f"{golden}:nope", "--out", out,
                       says=["nope"])
        self.fail_with(2, "logits", "-m", TINY, "--ids", f"{golden}:short.ids", "--out", out,
                       "--last", 18, says=["--last 18"])

    def test_a_huge_file_of_ids(self):
        ids = self.folder / "huge.json"
        ids.write_text("[" + "1," * 3_000_000 + "123456789]")
        self.fail_with(1, "logits", "-m", TINY, "--ids", ids, "--out", self.folder / "o",
                       says=["position 3000000"])

    def test_an_output_folder_that_does_not_exist(self):
        self.fail_with(1, "logits", "-m", TINY, "--ids", f"{TINY}/golden.safetensors:short.ids",
                       "--out", self.folder / "no/where.safetensors", says=["no/where"])


class Quantize(ProgramTest):
    def test_writes_a_model_that_all_commands_read(self):
        out = self.folder / "int4"
        report = json.loads(self.succeed("quantize", TINY, out, "--format", "int4",
                                         "--group-size", 32, "--json").stdout)
        self.assertLess(report["bytes_after"], report["bytes_before"])
        experts = next(c for c in report["classes"] if c["name"] == "experts")
        self.assertIn("int4", experts["format"])
        self.assertGreater(experts["relative_rms"], 0)
        info = json.loads(self.succeed("info", out, "--json").stdout)
        found = next(c for c in info["classes"] if c["name"] == "experts")
        self.assertEqual(found["format"], experts["format"])
        # The report also counts the 16 bytes of each matrix's shape.
        self.assertEqual(found["bytes"] + 16 * experts["tensors"], experts["bytes_after"])

    def test_perplexity_before_and_after(self):
        shared = ROOT.parent / "shared/models/mini"
        if not shared.exists():
            self.skipTest(f"{shared} is absent")
        for kind in ["int8", "fp8"]:
            report = json.loads(self.succeed(
                "quantize", shared, self.folder / kind, "--format", kind, "--quantize-embeddings",
                "--json", "--ppl", ROOT / "tests/data/heldout.txt", timeout=300).stdout)
            before, after = (report["perplexity"][k]["perplexity"] for k in ["before", "after"])
            self.assertLess(abs(after / before - 1), 0.01)
            self.assertGreater(before, 1)

    def test_refuses_to_overwrite_or_requantise(self):
        self.fail_with(1, "quantize", TINY, MINI, says=[str(MINI)])
        self.fail_with(1, "quantize", MINI, self.folder / "out", says=["quantised"])
        self.assertFalse((self.folder / "out").exists())


class Bench(ProgramTest):
    def test_json_has_rates_and_shares(self):
        out = self.folder / "bench.json"
        result = self.succeed("bench", "-p", "32", "-n", 8, "-r", 2, "--json", "--out", out)
        report = json.loads(result.stdout)
        self.assertEqual(json.loads(out.read_text()), report)
        self.assertEqual([r["kind"] for r in report["results"]], ["prefill", "decode"])
        for row in report["results"]:
            self.assertEqual(len(row["pairs"]), 2)
            rate = row["tokens_per_second"]
            self.assertGreater(rate["min"], 0)
            self.assertLessEqual(rate["min"], rate["median"])
            self.assertLessEqual(rate["median"], rate["max"])
            self.assertGreater(row["bytes_per_token"], 0)
            for name in ["percent_of_read_ceiling", "percent_of_product_ceiling"]:
                self.assertGreater(row[name]["median"], 0)
        self.assertGreater(report["first_token_seconds"], 0)
        self.assertNotEqual(report["device"]["processor"], "")

    def test_random_weights_of_a_config(self):
        for kind in ["bf16", "int8", "fp8", "int4"]:
            table = self.succeed("bench", "--config", TINY / "config.json", "--format", kind,
                                 "--group-size", 32, "-p", 0, "-n", 4, "-r", 1).stdout
            self.assertIn("decode 4", table)
            self.assertNotIn("prefill", table)


class Completions(ProgramTest):
    def complete(self, *words):
        """What bash would offer for the last word."""
        script = self.succeed("completions", "bash").stdout
        line = f"""{script}
        COMP_WORDS=({' '.join(repr(w) for w in words)})
        COMP_CWORD={len(words) - 1}
        _minimax
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        result = subprocess.run(["bash", "-c", line], capture_output=True, text=True,
                                cwd=self.folder)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_bash_offers_commands_flags_and_values(self):
        self.assertIn("chat", self.complete("minimax", "c"))
        self.assertIn("completions", self.complete("minimax", "c"))
        self.assertEqual(self.complete("minimax", "run", "--prefi"), ["--prefill-chunk"])
        self.assertEqual(self.complete("minimax", "run", "--compute", ""), ["f32", "bf16"])
        self.assertEqual(self.complete("minimax", "quantize", "--format", "int"),
                         ["int8", "int4"])
        self.assertEqual(self.complete("minimax", "completions", "f"), ["fish"])

    def test_bash_offers_files_and_folders(self):
        (self.folder / "some dir").mkdir()
        (self.folder / "prompt.txt").write_text("")
        self.assertEqual(self.complete("minimax", "run", "-f", "pro"), ["prompt.txt"])
        self.assertEqual(self.complete("minimax", "run", "-m", "pro"), [])
        self.assertEqual(self.complete("minimax", "info", "so"), ["some", "dir"])

    def test_every_flag_of_every_command_is_there(self):
        for shell in ["bash", "zsh", "fish"]:
            script = self.succeed("completions", shell).stdout
            for flag in ["temp", "kv-dtype", "logit-bias", "quantize-embeddings", "decode"]:
                self.assertIn(flag, script)

    def test_scripts_parse(self):
        for shell in ["bash", "zsh", "fish"]:
            script = self.folder / f"completion.{shell}"
            script.write_text(self.succeed("completions", shell).stdout)
            if shutil.which(shell) is None:
                continue
            subprocess.run([shell, "-n", script], check=True)


if __name__ == "__main__":
    unittest.main()
