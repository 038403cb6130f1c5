"""Exit codes, help, version, environment twins, and what bad input gets told."""

import shutil
import subprocess
import unittest

from program import MINI, PROGRAM, ProgramTest, TINY, environment, run

COMMANDS = ["run", "chat", "info", "logits", "tokenize", "detokenize", "quantize", "bench",
            "bench-serve", "completions"]


class Help(ProgramTest):
    def test_every_command_has_help_with_examples(self):
        text = self.succeed("--help").stdout
        for command in COMMANDS:
            self.assertIn(command, text)
            detail = self.succeed(command, "--help").stdout
            self.assertIn("Examples:", detail)
            self.assertIn(f"minimax {command}", detail)

    def test_every_flag_has_an_environment_twin(self):
        for command in COMMANDS:
            for line in self.succeed(command, "--help").stdout.splitlines():
                flag = line.strip().split(" ")[0].split(",")[-1].split("=")[0]
                if line.startswith("  -") and flag.startswith("--") and flag != "--help":
                    self.assertIn("(Env:MINIMAX_", line)

    def test_version_names_commit_features_and_cuda(self):
        words = self.succeed("--version").stdout.split()
        for word in ["minimax", "commit", "cpu", "cuda"]:
            self.assertIn(word, words)

    def test_flags_of_later_work_are_not_offered(self):
        text = "".join(self.succeed(command, "--help").stdout for command in COMMANDS)
        for flag in ["--parallel", "--tensor-parallel", "--image"]:
            self.assertNotIn(flag, text)


class WrongUsage(ProgramTest):
    def test_exit_code_is_2(self):
        for arguments in [
            [],
            ["sing"],
            ["run", "--nonsense"],
            ["run", "-p"],
            ["run", "-p", ""],
            ["run", "-p", "a", "-f", "b"],
            ["run", "-p", "a", "-t", "0"],
            ["run", "-p", "a", "-t", "many"],
            ["run", "-p", "a", "--compute", "fp64"],
            ["run", "-p", "a", "--kv-dtype", "f12"],
            ["run", "-p", "a", "--device", "tpu"],
            ["run", "-p", "a", "--device", "cuda:x"],
            ["run", "-p", "a", "--logit-bias", "x"],
            ["run", "-p", "a", "--logit-bias", "5"],
            ["run", "-p", "a", "-c", "0"],
            ["logits", "--ids", "x.json"],
            ["quantize", "only-one"],
            ["completions", "csh"],
            ["bench-serve", "--request-rate", "0"],
            ["bench-serve", "--request-rate", "4x"],
            ["bench-serve", "--endpoint", "embeddings"],
        ]:
            with self.subTest(arguments):
                self.fail_with(2, *arguments)

    def test_empty_prompt_from_every_source(self):
        empty = self.folder / "empty"
        empty.write_text("")
        self.fail_with(2, "run", stdin="", says=["prompt is empty"])
        self.fail_with(2, "run", stdin="\n", says=["prompt is empty"])
        self.fail_with(2, "run", "-f", empty, says=["prompt is empty"])


class BadInput(ProgramTest):
    def broken_model(self):
        copy = self.folder / "model"
        shutil.copytree(MINI, copy)
        return copy

    def test_missing_things_are_named(self):
        self.fail_with(1, "run", "-m", "/nonexistent", "-p", "a", says=["/nonexistent"])
        self.fail_with(1, "info", "/nonexistent", says=["/nonexistent"])
        self.fail_with(1, "info", self.folder, says=["config.json"])
        self.fail_with(1, "run", "-f", "/nonexistent.txt", says=["/nonexistent.txt"])
        self.fail_with(1, "tokenize", "-m", self.folder, "-p", "a", says=[str(self.folder)])

    def test_a_file_where_a_folder_belongs_and_the_reverse(self):
        file = self.folder / "file"
        file.write_text("x")
        self.fail_with(1, "info", file, says=[str(file)])
        self.fail_with(1, "run", "-f", self.folder, says=[str(self.folder)])

    def test_truncated_weights(self):
        model = self.broken_model()
        weights = model / "model.safetensors"
        data = weights.read_bytes()
        weights.write_bytes(data[: len(data) // 2])
        for command in [["info", model], ["run", "-m", model, "-p", "a"]]:
            self.fail_with(1, *command, says=["model.safetensors"])

    def test_broken_json(self):
        for name in ["config.json", "tokenizer.json", "generation_config.json",
                     "tokenizer_config.json"]:
            with self.subTest(name):
                model = self.broken_model()
                (model / name).write_text("{")
                self.fail_with(1, "run", "-m", model, "-p", "a", says=[name])
                shutil.rmtree(model)

    def test_what_this_build_cannot_do(self):
        self.fail_with(1, "run", "-p", "a", "--device", "cuda:1", says=["cuda:1", "--device cpu"])

    def test_an_unknown_type_of_keys_names_the_known_ones(self):
        self.fail_with(2, "run", "-p", "a", "--kv-dtype", "fp16",
                       says=["fp16", "f32", "bf16", "fp8", "int8"])

    def test_sampling_out_of_range(self):
        for flag, value in [("--temp", -1), ("--top-p", 0), ("--min-p", 2), ("--top-k", -1),
                            ("--repeat-penalty", 0), ("--logit-bias", "99999999+1")]:
            with self.subTest(flag):
                self.fail_with(1, "run", "-p", "a", flag, value, says=["sampling"])

    def test_prompt_longer_than_the_context(self):
        self.fail_with(1, "run", "-p", "word " * 100, "-c", 10, says=["context of 10"])

    def test_invalid_utf8_prompt(self):
        file = self.folder / "latin1.txt"
        file.write_bytes(b"caf\xe9")
        self.fail_with(1, "run", "-f", file, says=["UTF-8"])


class Environment(ProgramTest):
    def test_twins_work_and_flags_win(self):
        env = environment(MINIMAX_MODEL=MINI, MINIMAX_MAX_TOKENS=3, MINIMAX_TEMP=0, MINIMAX_JSON=1)
        import json
        result = json.loads(self.succeed("run", "-p", "Hi", env=env).stdout)
        self.assertEqual(result["generated_tokens"], 3)
        result = json.loads(self.succeed("run", "-p", "Hi", "-n", 2, env=env).stdout)
        self.assertEqual(result["generated_tokens"], 2)

    def test_a_bad_value_is_wrong_usage(self):
        self.fail_with(2, "run", "-p", "a", env=environment(MINIMAX_THREADS="lots"))

    def test_twins_of_other_commands_do_not_matter(self):
        self.succeed("tokenize", "-p", "a", env=environment(MINIMAX_GEN_TOKENS="lots"))


class Output(ProgramTest):
    def test_a_closed_pipe_ends_quietly(self):
        for restore in [True, False]:  # with SIGPIPE at its default, and ignored by the parent
            process = subprocess.Popen(
                [PROGRAM, "run", "-p", "Tell me a story.", "-n", "200"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment(), restore_signals=restore)
            process.stdout.read(1)
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            process.stderr.close()
            self.assertEqual(process.wait(60), 0)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([PROGRAM, "tokenize", "-p", "a"], stdout=full,
                                    stderr=subprocess.PIPE, text=True, env=environment())
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output", result.stderr)

    def test_quiet_says_nothing_else(self):
        result = self.succeed("run", "-p", "Hi", "-n", 4, "--quiet", "-v")
        self.assertEqual(result.stderr, "")
        self.assertNotEqual(result.stdout, "")


if __name__ == "__main__":
    unittest.main()
