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
        stderr = self.chat("/help\n/save x\n").stderr
        self.assertIn("/clear", stderr)
        self.assertIn("/save: no such command", stderr)

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


if __name__ == "__main__":
    unittest.main()
