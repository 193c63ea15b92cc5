"""What ends when: closing in any order, threads, forks, the end of the interpreter."""

import copy
import gc
import os
import pickle
import threading
import unittest
import weakref

from support import DELTA, PATIENCE, TIED, TestCase, bitgpu, run


def endless(session):
    """A stream that does not end by itself: these models, at temperature 0, come to repeat themselves."""
    return session.stream("hello", 2**31 - 1, 0)



class Closing(TestCase):
    def test_closing_twice_and_use_after(self):
        model = self.load()
        session, stream = model.session(), endless(model)
        next(stream)
        self.assertFalse(model.closed)
        model.close()
        model.close()
        self.assertTrue(model.closed)
        for call in (
            lambda: next(stream),
            lambda: session.forward(1),
            lambda: model.forward(1),
            lambda: model.tokenize("a"),
            lambda: model.session(),
            lambda: session.fork(),
            lambda: model.generate("a", 1),
            lambda: session.position,
        ):
            self.assertRaises(bitgpu.ClosedError, call)
        session.close()
        stream.close()

    def test_with(self):
        with bitgpu.load(TIED, device="cpu") as model, model.session() as session, endless(session) as stream:
            next(stream)
        self.assertTrue(model.closed and session.closed and stream.closed)

    def test_a_session_ends_its_streams_alone(self):
        model = self.load()
        session = model.session()
        mine, others = endless(session), endless(model)
        next(mine), next(others)
        session.close()
        self.assertRaises(bitgpu.ClosedError, next, mine)
        next(others)

    def test_busy(self):
        model = self.load()
        stream = endless(model)
        next(stream)
        for call in (lambda: model.forward(1), model.reset, lambda: next(model.stream("a", 1)), lambda: model.save_memory("/none")):
            with self.assertRaisesRegex(bitgpu.BusyError, "stream"):
                call()
        model.session().forward(1)
        stream.close()
        model.forward(1)

    def test_what_nobody_holds_is_closed(self):
        model = bitgpu.load(TIED, device="cpu")
        stream = endless(model.session())
        next(stream)
        gone = weakref.ref(model)
        del model
        gc.collect()
        next(stream)
        self.assertIsNotNone(gone(), "a stream holds its session, and that its model")
        del stream
        gc.collect()
        self.assertIsNone(gone())

    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "memory is read from /proc")
    def test_a_thousand_sessions_leave_memory_flat(self):
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        model = self.load()

        def some(count):
            for _ in range(count):
                with model.session() as session:
                    next(endless(session))
                    session.close()

        some(200)
        before = resident()
        some(1000)
        self.assertLess(resident() - before, 8 << 20)


class Copies(TestCase):
    def test_nothing_can_be_copied(self):
        """As of a lock or an open file: a copy would be a second owner, and a number of another process means nothing."""
        model = self.load()
        session = model.session()
        for value in (model, session, session.stream("hello", 5)):
            for call in (
                copy.copy,
                copy.deepcopy,
                *(lambda value, protocol=protocol: pickle.dumps(value, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
            ):
                with self.assertRaisesRegex(TypeError, f"got a {type(value).__name__}, which cannot be copied"):
                    call(value)
        self.assertEqual(pickle.loads(pickle.dumps(model.config)), model.config)
        self.assertEqual(copy.deepcopy(model.config), model.config)
        model.forward(1)


class Threads(TestCase):
    def together(self, *works):
        failures = []

        def guarded(work):
            try:
                work()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), "a thread hangs")
        if failures:
            raise failures[0]

    def test_sessions_of_two_models(self):
        tied, delta = self.load(TIED), self.load(DELTA)
        want = {model: model.session().generate("hello", 20, 0.8, 7) for model in (tied, delta)}

        def work(model):
            for _ in range(3):
                with model.session() as session:
                    self.assertEqual(session.generate("hello", 20, 0.8, 7), want[model])

        self.together(*(lambda model=model: work(model) for model in (tied, delta) * 3))

    def test_one_session(self):
        model = self.load()

        def work():
            for _ in range(50):
                model.forward(5)

        self.together(*[work] * 4)
        self.assertEqual(model.position, 200)

    def test_generate_waits(self):
        """Calls on one session wait for each other, whoever writes, reads or forks."""
        model = self.load()
        texts, counts = [], []

        def write():
            texts.append(model.generate("hello", 20, 0))

        def read():
            counts.append(model.learn("to be or not to be"))
            model.forward(5)
            model.fork().close()

        self.together(*[write] * 4, *[read] * 4)
        self.assertEqual((len(texts), len(set(counts))), (4, 1))
        self.assertGreater(model.position, 4 * (20 + counts[0] + 1))

    def test_closing_a_model_that_generates(self):
        model = self.load()
        begun = threading.Event()

        def work():
            with self.assertRaises(bitgpu.ClosedError):
                begun.set()
                model.generate("hello", 2**31 - 1, 0)

        def wait():
            begun.wait(PATIENCE)
            with self.assertRaises(bitgpu.ClosedError):
                while True:
                    model.generate("hello", 2**31 - 1, 0)

        def end():
            begun.wait(PATIENCE)
            model.close()

        self.together(work, wait, end)

    def test_one_stream(self):
        model = self.load()
        want = model.session().generate("hello", 60, 0.8, 7)
        stream, pieces = model.stream("hello", 60, 0.8, 7), []

        def work():
            for piece in stream:
                pieces.append(piece)

        self.together(*[work] * 4)
        self.assertEqual(sorted("".join(pieces)), sorted(want))

    def test_closing_a_model_that_streams(self):
        for close in ("model", "session", "stream"):
            for _ in range(5):
                model = self.load()
                session = model.session()
                stream = endless(session)
                begun = threading.Event()

                def work():
                    with self.assertRaises(bitgpu.ClosedError):
                        for _ in stream:
                            begun.set()

                def end():
                    begun.wait(PATIENCE)
                    {"model": model, "session": session, "stream": stream}[close].close()

                self.together(work, end, end)

    def test_closing_a_model_that_learns(self):
        model = self.load()
        text = "to be or not to be " * 100000

        def work():
            with self.assertRaises(bitgpu.ClosedError):
                while True:
                    model.learn(text)

        self.together(work, model.close)


class Interpreters(TestCase):
    def check(self, script):
        outcome = run("import sys, bitgpu\npath = sys.argv[1]\n" + script, TIED)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""), outcome)
        self.assertEqual(outcome.stdout, "done\n")

    def test_end_with_streams_open(self):
        self.check(
            "models = [bitgpu.load(path, device='cpu') for _ in range(2)]\n"
            "streams = [model.session().stream('hello', 10**6, 0) for model in models for _ in range(3)]\n"
            "for stream in streams: next(stream)\n"
            "print('done')"
        )

    def test_end_with_threads_at_work(self):
        self.check(
            "import threading\n"
            "model = bitgpu.load(path, device='cpu')\n"
            "begun = threading.Barrier(3)\n"
            "def work():\n"
            "    stream = model.session().stream('hello', 10**9, 0)\n"
            "    next(stream)\n"
            "    begun.wait()\n"
            "    try:\n"
            "        for _ in stream: pass\n"
            "    except bitgpu.ClosedError: pass\n"
            "for _ in range(2): threading.Thread(target=work, daemon=True).start()\n"
            "begun.wait()\n"
            "print('done')"
        )

    def test_end_by_an_exception_with_a_cycle(self):
        outcome = run(
            "import sys, bitgpu\n"
            "model = bitgpu.load(sys.argv[1], device='cpu')\n"
            "stream = model.stream('hello', 10**6, 0)\n"
            "next(stream)\n"
            "model.cycle = [stream, model]\n"
            "raise SystemExit('left')",
            TIED,
        )
        self.assertEqual((outcome.returncode, outcome.stderr), (1, "left\n"))

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_fork(self):
        """A child says that it cannot go on, leaves the parent's objects alone, and ends."""
        self.check(
            "import os\n"
            "model = bitgpu.load(path, device='cpu')\n"
            "stream = model.stream('hello', 10**6, 0)\n"
            "next(stream)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    for call in (lambda: next(stream), lambda: bitgpu.load(path), lambda: model.session(), lambda: model.generate('a')):\n"
            "        try: call()\n"
            "        except bitgpu.Error as error: assert 'fork' in str(error), error\n"
            "        else: raise SystemExit(3)\n"
            "    model.close()\n"
            "    del stream\n"
            "    sys.exit(0)\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
            "next(stream)\n"
            "print('done')"
        )

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_fork_before_use(self):
        self.check(
            "import os\n"
            "child = os.fork()\n"
            "with bitgpu.load(path, device='cpu') as model: model.generate('hello', 3)\n"
            "if child == 0: sys.exit(0)\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
            "print('done')"
        )


if __name__ == "__main__":
    unittest.main()
