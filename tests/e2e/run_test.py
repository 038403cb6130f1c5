"""minimax run: prompts, streaming, seeds, stops, interruption."""

import json
import signal
import subprocess
import time
import unittest

from program import PROGRAM, ProgramTest, environment, wait_until_caught


class Run(ProgramTest):
    def answer(self, *arguments, **options):
        return json.loads(self.succeed("run", "--json", *arguments, **options).stdout)

    def test_default_model_answers(self):
        result = self.succeed("run", "-p", "Tell me a story about a dog.", "-n", 40, "--seed", 1)
        self.assertRegex(result.stdout, r"[A-Za-z]{2,}.*\n\Z")

    def test_prompt_from_flag_file_and_stdin_is_the_same(self):
        file = self.folder / "prompt.txt"
        file.write_text("What is rain?\n")
        flags = ["-n", 12, "--temp", 0]
        texts = [
            self.answer("-p", "What is rain?", *flags)["text"],
            self.answer("-f", file, *flags)["text"],
            self.answer(*flags, stdin="What is rain?\n")["text"],
        ]
        self.assertEqual(len(set(texts)), 1, texts)
        self.assertNotEqual(texts[0], "")

    def test_streamed_text_equals_the_json_text(self):
        flags = ["-p", "Tell me about the sea.", "-n", 30, "--seed", 5]
        text = self.answer(*flags)["text"]
        self.assertEqual(self.succeed("run", *flags).stdout.rstrip("\n"), text.rstrip("\n"))

    def test_json_tells_all(self):
        result = self.answer("-p", "Hi", "-n", 5, "--seed", 9)
        self.assertEqual(result["seed"], 9)
        self.assertEqual(result["generated_tokens"], len(result["ids"]))
        self.assertIn(result["finish_reason"], ["stop", "length"])
        self.assertGreater(result["prompt_tokens"], 5)
        self.assertGreater(result["timings"]["prefill_tokens_per_second"], 0)

    def test_same_seed_same_text_whatever_the_threads(self):
        flags = ["-p", "Tell me a story about a cat.", "-n", 40, "--temp", 1.2, "--top-p", 0.9]
        one = self.answer(*flags, "--seed", 7, "-t", 1)["ids"]
        two = self.answer(*flags, "--seed", 7, "-t", 2)["ids"]
        other = self.answer(*flags, "--seed", 8, "-t", 2)["ids"]
        self.assertEqual(one, two)
        self.assertNotEqual(one, other)

    def test_without_a_seed_texts_differ(self):
        flags = ["-p", "Tell me a story.", "-n", 30, "--temp", 1.5]
        self.assertNotEqual(self.answer(*flags)["seed"], self.answer(*flags)["seed"])

    def test_chunks_do_not_change_the_text(self):
        flags = ["-p", "One two three four five six seven. " * 8, "-n", 12, "--temp", 0]
        whole = self.answer(*flags)["ids"]
        self.assertEqual(self.answer(*flags, "--prefill-chunk", 7)["ids"], whole)

    def test_keys_and_values_of_every_type(self):
        for dtype in ["f32", "bf16", "fp8", "int8"]:
            with self.subTest(dtype):
                flags = ["-p", "What is rain?", "-n", 12, "--temp", 0, "--kv-dtype", dtype]
                ids = self.answer(*flags, "-t", 1)["ids"]
                self.assertGreater(len(ids), 1)
                self.assertEqual(self.answer(*flags, "-t", 2, "--prefill-chunk", 5)["ids"], ids)

    def test_stop_strings_end_before_the_text(self):
        flags = ["-p", "Tell me a story about a dog.", "-n", 60, "--temp", 0]
        text = self.answer(*flags)["text"]
        stop = text.split()[4]
        result = self.answer(*flags, "--stop", "never in there", "--stop", stop)
        self.assertEqual(result["text"], text[: text.index(stop)])
        self.assertEqual(result["finish_reason"], "stop")
        self.assertEqual(result["stop"], stop)

    def test_a_schema_decides_what_the_answer_is(self):
        schema = self.folder / "schema.json"
        schema.write_text(
            json.dumps(
                {
                    "type": "object",
                    "properties": {
                        "animal": {"enum": ["cat", "dog"]},
                        "legs": {"type": "integer", "minimum": 2, "maximum": 4},
                        "names": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": 8},
                            "maxItems": 2,
                        },
                    },
                    "required": ["animal", "legs", "names"],
                }
            )
        )
        for temperature in [0, 1.5]:
            flags = ["-p", "Tell me about a dog.", "-n", 300, "--temp", temperature, "--seed", 3]
            result = self.answer(*flags, "--json-schema", schema)
            self.assertEqual(result["finish_reason"], "stop")
            value = json.loads(result["text"])
            self.assertEqual(list(value), ["animal", "legs", "names"])
            self.assertIn(value["animal"], ["cat", "dog"])
            self.assertIn(value["legs"], [2, 3, 4])

    def test_a_grammar_decides_what_the_answer_is(self):
        grammar = self.folder / "list.gbnf"
        grammar.write_text('root ::= ("- " [a-z]{3,8} "\\n"){2,3}\n')
        flags = ["-p", "Tell me about a dog.", "-n", 100, "--seed", 3, "--temp", 1]
        text = self.answer(*flags, "--grammar", grammar)["text"]
        self.assertRegex(text, r"\A(- [a-z]{3,8}\n){2,3}\Z")

    def test_wrong_grammars_are_refused(self):
        grammar = self.folder / "wrong.gbnf"
        grammar.write_text("root ::= list")
        schema = self.folder / "wrong.json"
        schema.write_text('{"properties": {"a": {"multipleOf": 2}}}')
        run = ["run", "-p", "Hi"]
        says = ['wrong.gbnf: grammar: line 1: there is no rule named "list"']
        self.fail_with(1, *run, "--grammar", grammar, says=says)
        says = ['wrong.json: json schema at /properties/a: keyword "multipleOf" cannot be enforced']
        self.fail_with(1, *run, "--json-schema", schema, says=says)
        self.fail_with(1, *run, "--grammar", self.folder / "none", says=["none"])
        self.fail_with(2, *run, "--grammar", grammar, "--json-schema", schema)

    def test_limits(self):
        result = self.answer("-p", "Tell me a story.", "-n", 3)
        self.assertEqual((result["generated_tokens"], result["finish_reason"]), (3, "length"))
        prompt = self.answer("-p", "Tell me a story.", "-n", 0)
        self.assertEqual((prompt["text"], prompt["finish_reason"]), ("", "length"))
        size = prompt["prompt_tokens"] + 4
        full = self.answer("-p", "Tell me a story.", "-c", size, "--temp", 0)
        self.assertEqual(full["finish_reason"], "context_full")
        self.assertEqual(full["generated_tokens"], 5)

    def test_raw_continues_without_a_template(self):
        templated = self.answer("-p", "Once upon a time", "-n", 2)
        raw = self.answer("--raw", "-p", "Once upon a time", "-n", 2)
        self.assertLess(raw["prompt_tokens"], templated["prompt_tokens"])

    def test_a_system_message_is_part_of_the_prompt(self):
        plain = self.answer("-p", "Hi", "-n", 1)
        system = self.answer("-p", "Hi", "-n", 1, "--system", "You are kind.")
        self.assertGreater(system["prompt_tokens"], plain["prompt_tokens"])

    def test_special_tokens_show_only_on_request(self):
        # The answer's end is the one special token a chat model surely writes.
        flags = ["-p", "Hi", "-n", 200, "--temp", 0]
        hidden = self.answer(*flags)
        self.assertEqual(hidden["finish_reason"], "stop")
        self.assertNotIn("<end_of_sentence>", hidden["text"])
        self.assertTrue(
            self.answer(*flags, "--special")["text"].endswith("<end_of_sentence>"))

    def test_logit_bias_bans_a_token(self):
        flags = ["-p", "Tell me a story about a dog.", "-n", 1, "--temp", 0]
        first = self.answer(*flags)["ids"][0]
        self.assertNotEqual(self.answer(*flags, "--logit-bias", f"{first}-inf")["ids"][0], first)

    def test_verbose_statistics_go_to_stderr(self):
        result = self.succeed("run", "-p", "Hi", "-n", 3, "-v")
        self.assertRegex(result.stderr, r"tokens/s")
        self.assertNotRegex(result.stdout, r"tokens/s")


class Interrupt(ProgramTest):
    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.PIPE, env=environment())

    def test_ctrl_c_stops_an_answer_after_flushing(self):
        process = self.start("run", "--raw", "-p", "Once", "-n", "100000", "-c", "200000",
                             "--logit-bias", "2-inf")
        shown = process.stdout.read(5)
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(error, b"")
        self.assertTrue((shown + rest).endswith(b"\n"))
        (shown + rest).decode()  # whole characters

    def test_ctrl_c_while_waiting_for_input(self):
        process = self.start("tokenize")
        wait_until_caught(process, signal.SIGINT)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 130)
        process.communicate()

    def test_ctrl_c_stops_a_prefill(self):
        file = self.folder / "long.txt"
        file.write_text("The garden was full of roses and the rain fell. " * 60000)
        process = self.start("run", "-f", str(file))
        wait_until_caught(process, signal.SIGINT)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(output, b"")


if __name__ == "__main__":
    unittest.main()
