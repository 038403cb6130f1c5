"""minimax context: create, append, ask, fork, list, show, verify, rm; crashes and damage."""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
import unittest

from program import PROGRAM, ProgramTest, environment, run

WORDS = ("the a dog cat house river old young king ran saw found happy small under tree and then "
         "morning light friend asked said went home bread stone garden slowly").split()


def story(words, seed):
    generator = random.Random(seed)
    return " ".join(generator.choice(WORDS) for _ in range(words)) + ".\n"


class ContextTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.env = environment(XDG_DATA_HOME=self.folder / "data")
        self.book = self.folder / "book.txt"
        self.book.write_text(story(1500, 1))

    def context(self, *arguments, **options):
        options.setdefault("env", self.env)
        return self.succeed("context", *arguments, "--quiet", **options)

    def json(self, *arguments, **options):
        return json.loads(self.context(*arguments, "--json", **options).stdout)

    def refuse(self, *arguments, says, code=1):
        return self.fail_with(code, "context", *arguments, says=says, env=self.env)

    def create(self, name="book", *arguments):
        return self.json("create", name, "-f", self.book, "--checkpoint-every", 256, *arguments)

    def ask(self, name, question="Who is the king?", *arguments):
        return self.json("ask", name, question, "-n", 8, "--temp", 0, *arguments)

    def cold(self, text, question="Who is the king?"):
        """The same question without any context."""
        prompt = f"{text}\n\n{question}"
        result = self.succeed("run", "-p", prompt, "-n", 8, "--temp", 0, "--json", env=self.env)
        return json.loads(result.stdout)


class Using(ContextTest):
    def test_an_answer_from_the_context_is_that_of_a_cold_run(self):
        # It ends with a letter: the blank line before the question is then a token of its own, and
        # both prompts have the same ids.
        self.book.write_text(self.book.read_text().rstrip(".\n"))
        made = self.create()
        self.assertTrue(made["finished"])
        answer = self.ask("book")
        cold = self.cold(self.book.read_text())
        self.assertEqual(answer["prompt_tokens"], cold["prompt_tokens"])
        self.assertEqual(answer["ids"], cold["ids"])
        self.assertGreater(answer["cached_tokens"], made["tokens"] - 64 - 1)
        self.assertLess(answer["replayed_tokens"], 64)
        self.assertEqual(answer["reuse"], "reused")
        self.assertEqual(answer["ids"], self.ask("book")["ids"])

    def test_asking_leaves_it_and_saving_adds_the_exchange(self):
        made = self.create()
        self.ask("book")
        self.assertEqual(self.json("show", "book")["tokens"], made["tokens"])
        saved = self.ask("book", "Who is the king?", "--save")
        shown = self.json("show", "book")
        self.assertGreater(shown["tokens"], made["tokens"] + len(saved["ids"]))
        self.assertFalse(shown["turn_is_open"])
        again = self.ask("book", "And the queen?")
        self.assertEqual(again["finish_reason"] in ("stop", "length"), True)

    def test_append_equals_creating_the_whole(self):
        more = self.folder / "more.txt"
        more.write_text(story(300, 2))
        self.create("parts")
        self.json("append", "parts", "-f", more)
        self.json("create", "whole", "-f", self.book, "-f", more)
        self.assertEqual(self.ask("parts")["text"], self.ask("whole")["text"])

    def test_a_fork_goes_its_own_way(self):
        made = self.create()
        for at in (0, 1, 63, 64, 65, 255, 256, 257, 1000, made["tokens"]):
            forked = self.json("fork", "book", f"fork{at}", "--at", at)
            self.assertEqual(forked["tokens"], at)
            if at > 0:
                self.ask(f"fork{at}")
        more = self.folder / "more.txt"
        more.write_text(story(200, 3))
        self.json("append", "fork257", "-f", more)
        self.assertTrue(self.json("verify", "book")["ok"])
        self.assertTrue(self.json("verify", "fork257")["ok"])
        names = [entry["name"] for entry in self.json("list")]
        self.assertEqual(names, sorted(names))
        self.assertIn("fork1000", names)
        self.context("rm", "book")
        self.assertTrue(self.json("verify", "fork1000")["ok"])
        self.ask("fork1000")

    def test_a_cut_is_replayed_by_the_first_question_only(self):
        self.create()
        self.json("fork", "book", "part", "--at", 1000)
        shutil.copytree(self.folder / "data/minimax/contexts/part", self.folder / "before")
        first = self.ask("part")
        # Segments of 256, blocks of 64: the state at 768 is the last, 960 the last that can be.
        self.assertEqual(first["cached_tokens"], 768)
        self.assertGreaterEqual(first["replayed_tokens"], 192)
        second = self.ask("part")
        self.assertEqual(second["cached_tokens"], 960)
        self.assertLess(second["replayed_tokens"], 64)
        self.assertEqual(second["ids"], first["ids"])
        self.assertTrue(self.json("verify", "part")["ok"])
        # Who may not write is answered all the same.
        folder = self.folder / "data/minimax/contexts/part"
        shutil.rmtree(folder)
        shutil.copytree(self.folder / "before", folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.ask("part")["cached_tokens"], 768)
            third = self.ask("part")
        self.assertEqual(third["cached_tokens"], 768)
        self.assertEqual(third["ids"], first["ids"])

    def test_raw_contexts_and_other_number_formats(self):
        self.create("raw", "--raw")
        self.assertTrue(self.json("show", "raw")["raw"])
        self.ask("raw", " and then")
        for kv in ("int8", "fp8", "f32"):
            self.create(kv, "--kv-dtype", kv)
            self.ask(kv, "Who is the king?", "--kv-dtype", kv)
        self.create("states", "--state-format", "bf16", "--drop-heads", 64)
        self.assertEqual(self.json("show", "states")["replay_tokens"], 64)
        self.ask("states")

    def test_tables_for_people(self):
        self.create()
        self.assertRegex(self.context("list").stdout, r"book +[\d,]+ tokens +[\d,]+ bytes  complete")
        self.assertRegex(self.context("show", "book").stdout, r"checkpoints  \d+, the last at")
        self.assertRegex(self.context("verify", "book").stdout, "book: sound")


class Refusing(ContextTest):
    def test_what_does_not_exist_or_exists_already(self):
        self.refuse("ask", "nothing", "Why?", says=["nothing", "does not exist"])
        self.refuse("show", "nothing", says=["nothing"])
        self.refuse("rm", "nothing", says=["nothing"])
        self.create()
        other = self.folder / "other.txt"
        other.write_text(story(100, 9))
        self.refuse("create", "book", "-f", other, says=["book exists already", "append"])
        self.refuse("fork", "book", "book", says=["book"])
        self.refuse("fork", "book", "far", "--at", 10**9, says=["book"])

    def test_names_files_and_flags(self):
        self.refuse("create", "../evil", "-f", self.book, says=["../evil"])
        self.refuse("create", ".hidden", "-f", self.book, says=[".hidden"])
        self.refuse("create", "x", says=["-f FILE"], code=2)
        self.refuse("create", "x", "-f", self.folder / "none.txt", says=["none.txt"])
        empty = self.folder / "empty.txt"
        empty.write_text("")
        self.refuse("create", "x", "-f", empty, says=["empty"], code=2)
        self.refuse("ask", says=["NAME"], code=2)
        self.refuse("create", "x", "-f", self.book, "--checkpoint-every", 100, says=["100", "64"])
        self.refuse("create", "x", "-f", self.book, "--memory", "many", says=["--memory"], code=2)

    def test_budgets(self):
        self.refuse("create", "x", "-f", self.book, "--memory", "1M", says=["memory budget is 1048576"])
        self.refuse("create", "x", "-f", self.book, "-c", 100, says=["100 tokens"])
        self.create()
        self.refuse("ask", "book", "Why?", "-c", 200, says=["cached tokens need", "4 of 4", "--ctx-size"])

    def test_another_model_or_format(self):
        self.create()
        self.refuse("ask", "book", "Why?", "--kv-dtype", "int8", says=["book"])
        self.refuse("ask", "book", "Why?", "--compute", "f32", says=["book"])

    def test_a_second_writer(self):
        self.create()
        folder = self.folder / "data/minimax/contexts/book"
        holder = subprocess.Popen(
            ["flock", "-x", str(folder / "lock"), "sleep", "60"], start_new_session=True)
        try:
            deadline = time.time() + 10
            while time.time() < deadline:
                result = run("context", "append", "book", "-f", self.book, "--quiet", env=self.env)
                if result.returncode == 1:
                    break
            self.assertEqual(result.returncode, 1)
            self.assertIn("is being written", result.stderr)
            self.assertIn("book", result.stderr)
            self.ask("book")  # readers do not mind
        finally:
            os.killpg(holder.pid, signal.SIGKILL)
            holder.wait()


class Damage(ContextTest):
    def test_damaged_files_never_answer(self):
        self.create()
        folder = self.folder / "data/minimax/contexts/book"
        generator = random.Random(5)
        files = sorted(p for p in folder.iterdir() if p.name != "lock")
        for path in files:
            good = path.read_bytes()
            at = generator.randrange(len(good))
            for bad in (good[:at], good[:at] + bytes([good[at] ^ 16]) + good[at + 1:]):
                path.write_bytes(bad)
                result = run("context", "verify", "book", "--json", env=self.env)
                self.assertEqual(result.returncode, 1, f"{path.name} at {at}")
                answer = run("context", "ask", "book", "Why?", "-n", 2, "--quiet", env=self.env)
                self.assertEqual(answer.returncode, 1, f"{path.name} at {at}")
                self.assertEqual(answer.stdout, "")
            path.write_bytes(good)
        self.assertTrue(self.json("verify", "book")["ok"])

    def test_verify_says_what_can_be_saved(self):
        self.create()
        folder = self.folder / "data/minimax/contexts/book"
        third = sorted(folder.glob("segment-*"))[2]
        third.write_bytes(third.read_bytes()[:-1])
        result = run("context", "verify", "book", env=self.env)
        self.assertRegex(result.stdout, r"usable up to token 512: minimax context fork book NEW --at 512")
        self.json("fork", "book", "saved", "--at", 512)
        self.ask("saved")


class Crashes(ContextTest):
    def interrupted(self, seconds, *arguments):
        process = subprocess.Popen(
            [PROGRAM, "context", *map(str, arguments), "--quiet"], env=self.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        return process.wait()

    def test_a_killed_create_resumes_where_it_stopped(self):
        self.book.write_text(story(6000, 1))
        want = None
        generator = random.Random(3)
        folder = self.folder / "data/minimax/contexts/book"
        process = subprocess.Popen(
            [PROGRAM, "context", "create", "book", "-f", self.book, "--checkpoint-every", "256",
             "--quiet"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not any(folder.glob("segment-*")):
            time.sleep(0.001)
        process.kill()  # however fast the machine, something is written and something missing
        process.wait()
        resumed = 0
        for _ in range(8):
            listed = {entry["name"]: entry for entry in self.json("list")}
            if "book" in listed and not listed["book"]["complete"]:
                self.refuse("ask", "book", "Why?", says=["interrupted at token", "run it again"])
                resumed = max(resumed, listed["book"]["tokens"])
            self.interrupted(generator.uniform(0.05, 0.8), "create", "book", "-f", self.book,
                             "--checkpoint-every", 256)
        made = self.create()
        self.assertTrue(made["finished"])
        self.assertGreater(resumed, 0)
        if made["computed_tokens"] > 0:  # a fast machine may have come to the end before
            self.assertGreaterEqual(made["cached_tokens"], resumed // 256 * 256)
        got = self.ask("book")
        self.context("rm", "book")
        self.create()
        want = self.ask("book")
        self.assertEqual(got["text"], want["text"])

    def test_a_killed_append_resumes_or_is_left_behind(self):
        made = self.create()
        more = self.folder / "more.txt"
        more.write_text(story(4000, 2))
        for delay in (0.1, 0.3, 0.5, 0.7, 0.9):
            self.interrupted(delay, "append", "book", "-f", more, "--checkpoint-every", 256)
            if not self.json("show", "book")["complete"]:
                break
        shown = self.json("show", "book")
        if not shown["complete"]:
            self.refuse("append", "book", "-f", self.book, says=["interrupted", str(made["tokens"])])
            self.json("fork", "book", "before", "--at", made["tokens"])
            self.assertEqual(self.json("show", "before")["tokens"], made["tokens"])
            self.json("append", "book", "-f", more)
        self.assertTrue(self.json("show", "book")["complete"])
        self.json("create", "whole", "-f", self.book, "-f", more)
        self.assertEqual(self.ask("book")["text"], self.ask("whole")["text"])

    def test_ctrl_c_keeps_what_was_done(self):
        self.book.write_text(story(6000, 1))
        process = subprocess.Popen(
            [PROGRAM, "context", "create", "book", "-f", str(self.book), "--checkpoint-every", "256"],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if any(pathlib.Path(self.folder).glob("data/minimax/contexts/book/segment-*")):
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.01)
        out, err = process.communicate(timeout=60)
        if process.returncode == 130:  # it may have been done already
            self.assertIn("the same command goes on from there", err)
        made = self.create()
        self.assertTrue(made["finished"])


class FullDisk(ContextTest):
    """A file system of our own that is really full; only root can have one."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a file system")
        super().setUp()
        self.data = self.folder / "data"
        self.data.mkdir()
        made = self.create("measure")
        self.bytes = made["bytes"]
        self.tokens = made["tokens"]
        self.want = self.ask("measure")["text"]
        self.context("rm", "measure")

    def mount(self, size):
        options = f"size={int(size)}"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "minimax-test",
                                  str(self.data)], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"mounting is not permitted: {mounted.stderr.strip()}")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", str(self.data)],
                                               capture_output=True))

    def make_room(self):
        subprocess.run(["mount", "-o", "remount,size=1g", str(self.data)], check=True)

    def unmount(self):
        subprocess.run(["umount", str(self.data)], check=True)

    def refuse_for_space(self, *arguments):
        """The command fails as on a full disk and leaves nothing half-written behind."""
        self.refuse(*arguments, "--quiet", says=["cannot write", "No space left on device"])
        self.assertEqual([str(path) for path in self.data.rglob("*.partial")], [])

    def sound(self):
        """The tokens of each context; all of them are whole."""
        listed = {entry["name"]: entry["tokens"] for entry in self.json("list")}
        for name in listed:
            self.assertTrue(self.json("verify", name)["ok"], name)
        return listed

    def test_create_goes_on_when_there_is_room(self):
        kept = []
        for share in (0, 0.1, 0.4, 0.7, 0.95):
            self.mount(max(8192, share * self.bytes))
            create = ("create", "book", "-f", self.book, "--checkpoint-every", 256)
            self.refuse_for_space(*create)
            there = self.sound().get("book", 0)
            self.assertLess(there, self.tokens)
            if there > 0:
                self.refuse("ask", "book", "Why?", says=["interrupted at token", "run it again"])
            self.refuse_for_space(*create)
            self.assertEqual(self.sound().get("book", 0), there)
            self.make_room()
            made = self.json(*create)
            self.assertTrue(made["finished"])
            self.assertEqual(made["cached_tokens"], there)
            self.assertEqual(self.sound(), {"book": self.tokens})
            self.assertEqual(self.ask("book")["text"], self.want)
            kept.append(there)
            self.unmount()
        self.assertEqual(kept[0], 0)
        self.assertGreater(kept[-1], 0)

    def test_append_keeps_what_was_there_and_goes_on(self):
        more = self.folder / "more.txt"
        more.write_text(story(1500, 2))
        self.json("create", "whole", "-f", self.book, "-f", more)
        want = self.ask("whole")["text"]
        self.context("rm", "whole")
        self.mount(1.5 * self.bytes)
        self.create()
        append = ("append", "book", "-f", more, "--checkpoint-every", 256)
        self.refuse_for_space(*append)
        there = self.sound()["book"]
        self.assertGreaterEqual(there, self.tokens)
        self.make_room()
        made = self.json(*append)
        self.assertTrue(made["finished"])
        self.assertGreater(made["computed_tokens"], 0)
        self.sound()
        self.assertEqual(self.ask("book")["text"], want)

    def test_fork_and_saving_are_all_or_nothing(self):
        self.mount(3 * self.bytes)
        self.create()
        filler = self.data / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        # A cut within a segment is written anew; whole segments are shared and need next to nothing.
        self.refuse_for_space("fork", "book", "part", "--at", 1000)
        self.assertEqual(self.sound(), {"book": self.tokens})
        result = run("context", "ask", "book", "Who is the king?", "-n", 8, "--temp", 0, "--save",
                     "--quiet", env=self.env)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left on device", result.stderr)
        self.assertEqual(self.sound(), {"book": self.tokens})
        self.assertEqual(self.ask("book")["text"], self.want)
        filler.unlink()
        self.json("fork", "book", "part", "--at", 1000)
        self.assertEqual(self.sound(), {"book": self.tokens, "part": 1000})
        self.assertEqual(self.ask("book", "Who is the king?", "--save")["text"], self.want)


if __name__ == "__main__":
    unittest.main()
