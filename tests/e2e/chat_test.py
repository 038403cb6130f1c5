"""minimax chat: through a terminal and through a pipe."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest

from program import PROGRAM, ProgramTest, environment, run


class Terminal:
    """The program behind a pseudo-terminal."""

    def __init__(self, *arguments, env):
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
            start_new_session=True, preexec_fn=lambda: self.take_terminal(theirs))
        os.close(theirs)
        self.seen = ""

    @staticmethod
    def take_terminal(descriptor):
        import fcntl
        fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)

    def type(self, text):
        os.write(self.ours, text.encode())

    def wait_for(self, pattern, timeout=60):
        """Output up to and with the first match, which is consumed."""
        end = time.time() + timeout
        while True:
            match = re.search(pattern, self.seen, re.DOTALL)
            if match:
                before, self.seen = self.seen[: match.end()], self.seen[match.end():]
                return before
            left = end - time.time()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # the other side closed
                data = b""
            if not data:
                raise AssertionError(f"ended without {pattern!r}: {self.seen!r}")
            self.seen += data.decode(errors="replace")

    def type_at_prompt(self, text):
        """Types once keys go to the line editor. It shows the prompt a moment before: until then
        the terminal itself acts on Ctrl-C and Ctrl-D, and the editor never sees them."""
        self.wait_for_editing()
        self.type(text)

    def wait_for_editing(self):
        end = time.time() + 60
        while termios.tcgetattr(self.ours)[3] & termios.ICANON:
            if time.time() > end:
                raise AssertionError("the terminal stays in line mode")
            time.sleep(0.01)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)


class ChatInATerminal(ProgramTest):
    def start(self, *arguments):
        env = environment(XDG_STATE_HOME=self.folder, TERM="xterm", HOME=self.folder)
        terminal = Terminal("chat", "--temp", 0, *arguments, env=env)
        self.addCleanup(terminal.close)
        terminal.wait_for("> ")
        return terminal

    def end(self, terminal, code=0):
        deadline = time.time() + 30
        while terminal.process.poll() is None and time.time() < deadline:
            if select.select([terminal.ours], [], [], 0.1)[0]:
                try:
                    os.read(terminal.ours, 65536)
                except OSError:
                    break
        self.assertEqual(terminal.process.wait(10), code)

    def test_an_answer_statistics_and_bye(self):
        terminal = self.start("-n", 10)
        terminal.type("Hello\r")
        self.assertRegex(terminal.wait_for("\n> ")[6:], "[A-Za-z]")
        terminal.type("/stats\r")
        stats = terminal.wait_for("context: .*> ")
        self.assertIn("tokens/s", stats)
        self.assertIn("tokens: 0 cached, 0 replayed", stats)
        terminal.type("/bye\r")
        self.end(terminal)

    def test_ctrl_d_leaves(self):
        terminal = self.start()
        terminal.type_at_prompt("\x04")
        self.end(terminal)

    def test_ctrl_c_at_the_prompt_throws_the_line_away(self):
        terminal = self.start("-n", 5)
        terminal.type_at_prompt("half a li\x03")
        terminal.wait_for("Ctrl-D.*> ")
        terminal.type("/stats\r")
        self.assertIn("no answer yet", terminal.wait_for("answer yet.*> "))
        terminal.type_at_prompt("\x04")
        self.end(terminal)

    def test_ctrl_c_stops_the_answer_not_the_program(self):
        terminal = self.start("--logit-bias", "2-inf", "-c", 100000)
        terminal.type("Tell me a story.\r")
        terminal.wait_for("story\\..*[A-Za-z]{3}.*[a-z ]{20}")
        terminal.type("\x03")
        terminal.wait_for("\n> ")
        terminal.type("/stats\r")
        self.assertIn("cancelled", terminal.wait_for("context: .*> "))
        terminal.type("/bye\r")
        self.end(terminal)

    def test_history_is_kept_and_recalled(self):
        terminal = self.start("-n", 2)
        terminal.type("unforgettable\r")
        terminal.wait_for("\n> ")
        terminal.type_at_prompt("\x04")
        self.end(terminal)
        saved = self.folder / "minimax/chat_history"
        self.assertIn("unforgettable", saved.read_text())
        self.assertEqual(saved.stat().st_mode & 0o077, 0)
        terminal = self.start("-n", 2)
        terminal.type_at_prompt("\x1b[A")
        terminal.wait_for("unforgettable")
        terminal.type_at_prompt("\x03")
        terminal.wait_for("> ")
        terminal.type_at_prompt("\x04")
        self.end(terminal)

    def test_editing_understands_utf8(self):
        terminal = self.start("-n", 2)
        terminal.type_at_prompt("/nö\x7fo\r")  # the backspace takes a whole character
        terminal.wait_for("/no: no such command")
        terminal.type_at_prompt("\x04")
        self.end(terminal)


class ChatThroughAPipe(ProgramTest):
    def chat(self, text, *arguments, **options):
        return self.succeed("chat", "--temp", 0, "-n", 8, *arguments, stdin=text, **options)

    def turns(self, text, *arguments):
        output = self.chat(text, "--json", *arguments).stdout
        return [json.loads(line) for line in output.splitlines()]

    def test_each_line_gets_an_answer(self):
        first, second = self.turns("Hello\nTell me more\n")
        self.assertNotEqual(first["text"], "")
        self.assertNotEqual(second["text"], "")

    def test_the_first_answer_is_that_of_run(self):
        run_text = json.loads(run("run", "--json", "--temp", 0, "-n", 8, "-p", "Hello").stdout)
        self.assertEqual(self.turns("Hello\n")[0]["text"], run_text["text"])

    def test_later_turns_prefill_only_what_is_new(self):
        system = "You are a kind helper who answers children in short and simple words. " * 8
        first, second = self.turns("Hello\nAnd then?\n", "--system", system)
        self.assertEqual(first["cached_tokens"], 0)
        # Whole blocks of 64 tokens are taken over; what is left of the last one is computed again.
        self.assertGreater(first["prompt_tokens"], 64)
        self.assertGreaterEqual(second["cached_tokens"], first["prompt_tokens"] // 64 * 64)

    def test_clear_forgets(self):
        first, second = self.turns("Hello\n/clear\nHello\n")
        for key in ("text", "ids", "prompt_tokens"):
            self.assertEqual(first[key], second[key])

    def test_system_text_changes_the_prompt(self):
        plain = self.turns("Hello\n")[0]["prompt_tokens"]
        system = self.turns("/system You are kind.\nHello\n")[0]["prompt_tokens"]
        flag = self.turns("Hello\n", "--system", "You are kind.")[0]["prompt_tokens"]
        self.assertGreater(system, plain)
        self.assertEqual(system, flag)

    def test_several_lines_between_quotes_are_one_message(self):
        joined = self.turns('"""one\ntwo"""\n"""\nthree\n"""\n')
        self.assertEqual(len(joined), 2)

    def test_set_changes_and_checks(self):
        result = self.turns("/set max_tokens 3\nHello\n")[0]
        self.assertEqual(result["generated_tokens"], 3)
        stderr = self.chat("/set top_p 7\n/set nonsense 1\n/set temp hot\n/set\n").stderr
        for words in ["top_p is 7", "nonsense: no such setting", '"hot"', "max_tokens 8"]:
            self.assertIn(words, stderr)

    def test_help_and_unknown_commands(self):
        stderr = self.chat("/help\n/nonsense x\n").stderr
        for command in ("/clear", "/save NAME", "/load NAME"):
            self.assertIn(command, stderr)
        self.assertIn("/nonsense: no such command", stderr)

    def test_an_error_ends_the_turn_only(self):
        stderr_and_out = self.succeed("chat", "-c", 30, "--temp", 0, "-n", 2, "--json",
                                      stdin="word " * 100 + "\nHi\n")
        self.assertIn("context of 30", stderr_and_out.stderr)
        self.assertEqual(len(stderr_and_out.stdout.splitlines()), 1)

    def test_same_seed_same_conversation(self):
        texts = [self.succeed("chat", "--temp", 1, "--seed", 3, "-n", 12, "-t", threads,
                              stdin="Hello\nMore\n").stdout for threads in [1, 2]]
        self.assertEqual(texts[0], texts[1])

    def test_ctrl_c_while_waiting_leaves_with_130(self):
        process = subprocess.Popen([PROGRAM, "chat", "-n", "2"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        process.stdin.write(b"Hello\n")
        process.stdin.flush()
        process.stdout.readline()  # it runs, its handler stands, and it waits for the next line
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)


class ChatAndContexts(ProgramTest):
    """/save and /load."""

    STORY = "Tell me of the old king and his young cat in the garden under the tree. " * 12

    def setUp(self):
        super().setUp()
        self.env = environment(XDG_DATA_HOME=self.folder / "data")

    def chat(self, text, *arguments):
        return self.succeed("chat", "--temp", 0, "-n", 8, "--json", *arguments, stdin=text,
                            env=self.env)

    def turns(self, text, *arguments):
        return [json.loads(line) for line in self.chat(text, *arguments).stdout.splitlines()]

    def context(self, *arguments):
        return json.loads(self.succeed("context", *arguments, "--json", env=self.env).stdout)

    def test_a_loaded_conversation_goes_on_as_if_it_never_ended(self):
        first, second = self.turns(f"{self.STORY}\n/save king\nAnd then?\n", "--system", "Be kind.")
        loaded, = self.turns("/load king\nAnd then?\n")
        self.assertEqual(loaded["ids"], second["ids"])
        self.assertEqual(loaded["prompt_tokens"], second["prompt_tokens"])
        self.assertGreaterEqual(loaded["cached_tokens"], first["prompt_tokens"] // 64 * 64)
        asked = self.context("ask", "king", "And then?", "-n", 8, "--temp", 0)
        self.assertEqual(asked["ids"], second["ids"])
        self.assertEqual(asked["prompt_tokens"], second["prompt_tokens"])

    def test_saving_again_adds_the_new_turns(self):
        text = f"{self.STORY}\n/save king\nAnd then?\n/save king\n/save king\nMore\n"
        whole = self.turns(text)
        self.assertTrue(self.context("verify", "king")["ok"])
        self.assertEqual(self.context("show", "king")["complete"], True)
        more, = self.turns("/load king\nMore\n/save king\n")
        self.assertEqual(more["ids"], whole[2]["ids"])
        self.assertEqual(more["prompt_tokens"], whole[2]["prompt_tokens"])
        self.assertGreater(self.context("show", "king")["tokens"], more["prompt_tokens"])

    def test_a_document_is_loaded_and_asked(self):
        book = self.folder / "book.txt"
        book.write_text(self.STORY)
        self.context("create", "book", "-f", book)
        answer, = self.turns("/load book\nWho is it?\n")
        asked = self.context("ask", "book", "Who is it?", "-n", 8, "--temp", 0)
        self.assertEqual(answer["ids"], asked["ids"])
        self.assertEqual(answer["prompt_tokens"], asked["prompt_tokens"])
        self.assertEqual(answer["cached_tokens"], asked["cached_tokens"])

    def test_clear_leaves_the_context_behind(self):
        cold, = self.turns("Hello\n")
        self.turns(f"{self.STORY}\n/save king\n")
        after, = self.turns("/load king\n/clear\nHello\n")
        self.assertEqual(after["ids"], cold["ids"])
        self.assertEqual(after["prompt_tokens"], cold["prompt_tokens"])

    def test_what_is_wrong_is_told_and_the_chat_goes_on(self):
        self.turns("Hello\n/save taken\n")
        book = self.folder / "book.txt"
        book.write_text(self.STORY)
        self.context("create", "raw", "-f", book, "--raw")
        result = self.chat("/save early\n/load none\n/load raw\n/save\n/load\nHi there\n"
                           "/save taken\n/save ../evil\nMore\n")
        for words in ["no answer yet", "none", "raw text without turns", "/save NAME", "/load NAME",
                      "taken exists already", "../evil"]:
            self.assertIn(words, result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 2)
        listed = sorted(path.name for path in (self.folder / "data/minimax/contexts").iterdir())
        self.assertEqual(listed, ["raw", "taken"])


if __name__ == "__main__":
    unittest.main()
