"""Models, sessions and streams: what they compute and in which shapes."""

import array
import math
import pathlib
import subprocess
import tempfile
import types
import unittest
import unittest.mock

from support import DELTA, MODELS, NAMES, SOURCE, TIED, TestCase, bitgpu, read_safetensors, run

TOKENS = [(i * 37 + 5) % 300 for i in range(40)]


def floats(raw):
    values = array.array("f")
    values.frombytes(raw)
    return values


class Numbers(TestCase):
    def test_adapters_equal_the_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            program, text, lora, out = (pathlib.Path(folder, name) for name in ("bitgpu", "t.txt", "t.lora.safetensors", "out.safetensors"))
            subprocess.run(["go", "build", "-buildvcs=false", "-o", str(program), "./cmd/bitgpu"], cwd=SOURCE, check=True)
            text.write_text("one for the master, two for the dame, " * 8)
            model = str(MODELS / DELTA)
            learn = [str(program), "learn", "-m", model, "--text", str(text), "-o", str(lora), "--steps", "3", "--lr", "0.1", "--backend", "cpu"]
            subprocess.run(learn, check=True, capture_output=True)
            ids = TOKENS[:9]
            command = [str(program), "logits", "--backend", "cpu", "-m", model, "--lora", f"{lora}=0.5", "--tokens", ",".join(map(str, ids)), "-o", str(out)]
            subprocess.run(command, check=True, capture_output=True)
            _, raw = read_safetensors(out)["logits"]
            half, whole, none, twice = ({lora: 0.5}, [lora], None, [lora, lora])
            logits = []
            for adapters in (half, whole, none, twice):
                adapted = bitgpu.load(model, device="cpu", lora=adapters)
                self.addCleanup(adapted.close)
                logits.append(b"".join(bytes(row) for row in adapted.forward_all(ids)))
            self.assertEqual(logits[0], raw)
            self.assertEqual(len(set(logits)), 4)
            with self.assertRaises(FileNotFoundError):
                bitgpu.load(model, device="cpu", lora=pathlib.Path(folder, "none.safetensors"))

    def test_empty_words_and_weights_that_are_none(self):
        """Empty words come of variables that are not set, and must not become the default."""
        for name in ("device", "adapter", "masters"):
            with self.assertRaisesRegex(ValueError, f"{name}: got '', want a word or None"):
                bitgpu.load(MODELS / DELTA, **{"device": "cpu", name: ""})
        for weight in (math.nan, math.inf):
            with self.assertRaisesRegex(ValueError, "lora: got the weight (nan|inf), want a finite number"):
                bitgpu.load(MODELS / DELTA, device="cpu", lora={"x": weight})
        with self.assertRaisesRegex(TypeError, "lora: got 5, want a path, several, or a dict of each path's weight"):
            bitgpu.load(MODELS / DELTA, device="cpu", lora=5)

    def test_logits_equal_the_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            program, out = pathlib.Path(folder, "bitgpu"), pathlib.Path(folder, "logits.safetensors")
            subprocess.run(["go", "build", "-buildvcs=false", "-o", str(program), "./cmd/bitgpu"], cwd=SOURCE, check=True)
            for name in NAMES:
                tokens = ",".join(map(str, TOKENS))
                command = [str(program), "logits", "--backend", "cpu", "-m", str(MODELS / name), "--tokens", tokens, "-o", str(out)]
                subprocess.run(command, check=True, capture_output=True)
                shape, raw = read_safetensors(out)["logits"]
                self.assertEqual(shape, [len(TOKENS), 300])
                model = self.load(MODELS / name)
                rows = model.forward_all(TOKENS)
                self.assertEqual(b"".join(bytes(row) for row in rows), raw, name)
                model.reset()
                # One token computes the same in every way. Of several, the last bits depend on how many go together.
                first = self.load(MODELS / name).forward_all(TOKENS[:1])[0]
                self.assertEqual(bytes(model.forward(token_id=TOKENS[0])), bytes(first), name)
                for logit, want in zip(model.forward(TOKENS[1:]), floats(raw[-1200:])):
                    self.assertAlmostEqual(logit, want, delta=1e-4)

    def test_token_by_token_equals_the_reference(self):
        for name in NAMES:
            reference = read_safetensors(MODELS / name / "expected.safetensors")
            (_, steps), raw = reference["tokens"]
            tokens = [int.from_bytes(raw[4 * i : 4 * i + 4], "little") for i in range(steps - 1)]
            want = floats(reference["logits.sequential"][1])
            model = self.load(MODELS / name)
            for i, token in enumerate(tokens):
                for j, logit in enumerate(model.forward(token_id=token)):
                    self.assertAlmostEqual(logit, want[300 * i + j], delta=2e-3, msg=f"{name}: token {i}, logit {j}")

    def test_every_form_of_a_model(self):
        want = None
        for path in (TIED, str(TIED / "model.bitt"), TIED / "model.safetensors"):
            logits = self.load(path).forward([1, 2, 3])
            self.assertEqual(bytes(logits), want or bytes(logits))
            want = bytes(logits)


class Shapes(TestCase):
    def test_without_numpy(self):
        with unittest.mock.patch("bitgpu._values.numpy", None):
            model = self.load()
            logits = model.forward(token_id=42)
            self.assertIsInstance(logits, array.array)
            self.assertEqual((logits.typecode, len(logits)), ("f", 300))
            rows = model.forward_all([1, 2, 3])
            self.assertEqual([(type(row), row.typecode, len(row)) for row in rows], [(array.array, "f", 300)] * 3)

    def test_with_numpy(self):
        """With numpy itself where it is installed, else with as much of it as the package uses."""

        class Standin:
            def __init__(self, buffer, shape):
                self.buffer, self.shape = buffer, shape

            def reshape(self, *shape):
                return Standin(self.buffer, shape)

        try:
            import numpy
        except ImportError:
            numpy = types.SimpleNamespace(float32="f", frombuffer=lambda buffer, dtype: Standin(buffer, (len(buffer),)))
        with unittest.mock.patch("bitgpu._values.numpy", numpy):
            model = self.load()
            self.assertEqual(model.forward(token_id=42).shape, (300,))
            self.assertEqual(model.forward_all([1, 2, 3]).shape, (3, 300))
            self.assertEqual(model.forward_all([]).shape, (0, 300))
            if isinstance(numpy, types.ModuleType):
                logits = model.forward_all([4, 5])
                self.assertEqual(logits.dtype, numpy.float32)
                self.assertTrue(logits.flags.writeable)
                model.reset()
                self.assertEqual(model.forward(numpy.array([1, 2])).tobytes(), self.load().forward([1, 2]).tobytes())


class State(TestCase):
    def test_forward_advances_the_state(self):
        model = self.load()
        first, second = bytes(model.forward(42)), bytes(model.forward(42))
        self.assertNotEqual(first, second)
        self.assertEqual(model.position, 2)
        model.reset()
        self.assertEqual(model.position, 0)
        self.assertEqual(bytes(model.forward(42)), first)
        self.assertEqual(bytes(model.forward([])), first, "no token: the same logits again")

    def test_memory(self):
        for path in (TIED, DELTA):
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "a.memory")
                model = self.load(path)
                self.assertEqual(model.learn("To be, or not to be"), model.position)
                model.save_memory(file)
                want = bytes(model.forward(7))
                other = self.load(path)
                other.load_memory(str(file))
                self.assertEqual(bytes(other.forward(7)), want)
                third = model.session()
                self.assertEqual(third.position, 0)
                third.load_memory(bytes(file))
                self.assertEqual(bytes(third.forward(7)), want)

    def test_a_damaged_memory_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "a.memory")
            model = self.load(DELTA)
            model.learn("To be, or not to be")
            model.save_memory(file)
            data = bytearray(file.read_bytes())
            data[-1000] ^= 1
            file.write_bytes(data)
            want = bytes(model.fork().forward(7))
            with self.assertRaisesRegex(bitgpu.Error, r"a\.memory: got the checksum .*damaged"):
                model.load_memory(file)
            self.assertEqual(bytes(model.forward(7)), want, "the session is what it was")

    def test_sessions_are_independent(self):
        model = self.load()
        want = bytes(model.forward([1, 2, 3]))
        with model.session() as session, session.fork() as early:
            model.forward(9)
            self.assertEqual(bytes(session.forward([1, 2, 3])), want)
            with session.fork() as late:
                self.assertEqual(bytes(late.forward(4)), bytes(session.forward(4)))
            self.assertEqual(early.position, 0)
            self.assertIs(early.model, model)

    def test_learning_changes_what_is_written(self):
        model = self.load()
        model.learn("to be or not to be " * 4)
        learned = model.generate("to", 20, 0)
        model.reset()
        self.assertNotEqual(model.generate("to", 20, 0), learned)


class Text(TestCase):
    def test_tokens(self):
        model = self.load()
        for text in ("hello world", "", "naïve 日本語 \0 🙂"):
            ids = model.tokenize(text)
            self.assertIsInstance(ids, list)
            self.assertEqual(model.detokenize(ids), text)
        self.assertEqual(model.detokenize([]), "")

    def test_generate(self):
        model = self.load()
        text = model.generate("ROMEO:", max_tokens=30, temperature=0.8, seed=1)
        model.reset()
        self.assertEqual("".join(model.stream("ROMEO:", max_tokens=30, temperature=0.8, seed=1)), text)
        model.reset()
        self.assertNotEqual(model.generate("ROMEO:", 30, 0.8, 2), text)
        model.reset()
        self.assertNotEqual(model.generate("ROMEO:", 30, 0.8), model.session().generate("ROMEO:", 30, 0.8), "seeds are drawn")
        model.reset()
        greedy = model.generate("ROMEO:", 30, 0)
        model.reset()
        self.assertEqual(model.generate("ROMEO:", 30, 0.8, 5, top_k=1), greedy)
        stop = greedy[2:4]
        model.reset()
        self.assertEqual(model.generate("ROMEO:", 30, 0, stop=[stop, "never"]), greedy[: greedy.index(stop)])

    def test_max_tokens(self):
        model = self.load()
        self.assertEqual(model.generate("hello", 0), "")
        self.assertEqual(model.position, len(model.tokenize("hello", special=True)))
        model.generate("", 3, seed=0)
        self.assertEqual(model.position, len(model.tokenize("hello", special=True)) + 3)

    def test_calls_joined_are_one_call(self):
        model = self.load()
        for prompt in ("hi", "日本", "zebra"):
            model.reset()
            want = model.generate(prompt, 30, 0)
            model.reset()
            pieces = [model.generate(prompt, 1, 0)] + [model.generate("", 1, 0) for _ in range(29)]
            self.assertEqual("".join(pieces), want)

    def test_an_empty_prompt_goes_on_from_a_memory(self):
        for path in (TIED, DELTA):
            model, other = self.load(path), self.load(path)
            with tempfile.TemporaryDirectory() as folder:
                model.learn("to be")
                model.save_memory(pathlib.Path(folder, "a"))
                other.load_memory(pathlib.Path(folder, "a"))
            self.assertEqual(bytes(other.forward([])), bytes(model.forward([])))
            self.assertEqual(other.generate("", 10, 0), model.generate("", 10, 0))

    def test_a_stream_left_early_reads_nothing_further(self):
        model, other = self.load(), self.load()
        for _ in model.stream("hello", 50, 0.8, seed=3):
            break
        taken = other.stream("hello", 50, 0.8, seed=3)
        next(taken)
        taken.close()
        self.assertEqual(model.position, other.position)
        self.assertLess(model.position, 20)
        self.assertEqual(bytes(model.forward(1)), bytes(other.forward(1)))

    def test_a_stream_reads_when_asked(self):
        model = self.load()
        stream = model.stream("hello", 5)
        self.assertEqual(model.position, 0)
        stream.close()
        self.assertEqual(model.position, 0)
        with self.assertRaises(bitgpu.ClosedError):
            next(stream)

    def test_an_ended_stream_stays_ended(self):
        model = self.load()
        stream = model.stream("hello", 5)
        list(stream)
        self.assertEqual(list(stream), [])
        self.assertTrue(stream.closed)
        model.forward(1)


class Module(unittest.TestCase):
    def call(self, *arguments):
        script = "import runpy, sys; sys.argv[0] = 'bitgpu'; runpy.run_module('bitgpu', run_name='__main__', alter_sys=True)"
        return run(script, *arguments)

    def test_demo(self):
        with bitgpu.demo(device="cpu") as model:
            want = model.generate("ROMEO:", 10, 0)
            about = repr(model.config)
        self.assertTrue(want)
        outcome = self.call("run", "-p", "ROMEO:", "-n", "10", "--temp", "0", "--device", "cpu")
        self.assertEqual((outcome.returncode, outcome.stdout), (0, want + "\n"), outcome.stderr)
        outcome = self.call("info", "--device", "cpu")
        self.assertEqual(outcome.returncode, 0)
        for part in (about, "the demo", "CPU ("):
            self.assertIn(part, outcome.stdout)

    def test_version(self):
        self.assertRegex(bitgpu.__version__, r"^\d+\.\d+\.\d+$")
        outcome = self.call("version")
        self.assertIn("bitgpu " + bitgpu.__version__, outcome.stdout)
        self.assertRegex(outcome.stdout, r"built from bitgpu .*\(commit .*\), go.*, CPU")

    def test_errors(self):
        for code, arguments in (
            (1, ("run", "-m", "no such model", "-p", "a")),
            (1, ("run", "-p", "a", "-n", "-1")),
            (1, ("info", "--device", "tpu")),
            (2, ("run",)),
            (2, ("walk",)),
            (2, ()),
        ):
            outcome = self.call(*arguments)
            self.assertEqual((outcome.returncode, outcome.stdout), (code, ""), outcome)
            self.assertNotIn("Traceback", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
