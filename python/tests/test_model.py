"""Models, sessions and streams: what they compute, their shapes and their errors."""

import array
import json
import math
import pathlib
import re
import shutil
import subprocess
import tempfile
import types
import unittest
import unittest.mock

from support import DELTA, MODELS, NAMES, SOURCE, TIED, TestCase, bitgpu, read_safetensors, run, write_zeros

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
            half, whole, none = ({lora: 0.5}, [lora], None)
            logits = []
            for adapters in (half, whole, none):
                adapted = bitgpu.load(model, device="cpu", lora=adapters)
                self.addCleanup(adapted.close)
                logits.append(b"".join(bytes(row) for row in adapted.forward_all(ids)))
            self.assertEqual(logits[0], raw)
            self.assertEqual(len(set(logits)), 3)
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
        with unittest.mock.patch("bitgpu._model.numpy", None):
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
        with unittest.mock.patch("bitgpu._model.numpy", numpy):
            model = self.load()
            self.assertEqual(model.forward(token_id=42).shape, (300,))
            self.assertEqual(model.forward_all([1, 2, 3]).shape, (3, 300))
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


class Config(TestCase):
    def test_a_config_describes_a_lone_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.safetensors")
            config = bitgpu.BitLlamaConfig(16384, 256, 8, 0.1)
            write_zeros(path, config)
            with bitgpu.BitLlama(config, path, device="cpu") as model:
                self.assertEqual(len(model.forward(token_id=42)), 16384)
                self.assertEqual(model.config.weight_scale, "none")
                with self.assertRaisesRegex(bitgpu.Error, "tokenizer"):
                    model.tokenize("hello")
                with self.assertRaisesRegex(bitgpu.Error, "tokenizer"):
                    model.generate("hello")
            for wrong, field in (
                ((300, 256, 8, 0.1), "vocab_size"),
                ((16384, 128, 8, 0.1), "hidden_dim"),
                ((16384, 256, 7, 0.1), "num_layers"),
                ((16384, 256, 9, 0.1), "num_layers"),
            ):
                with self.assertRaisesRegex(ValueError, field):
                    bitgpu.BitLlama(bitgpu.BitLlamaConfig(*wrong), path, device="cpu")

    def test_a_lone_file_computes_what_it_did_beside_its_config(self):
        for name in NAMES:
            model = self.load(MODELS / name)
            with tempfile.TemporaryDirectory() as folder:
                path = shutil.copy(MODELS / name / "model.safetensors", folder)
                with self.assertRaisesRegex(bitgpu.Error, "config.json"):
                    bitgpu.load(path, device="cpu")
                with bitgpu.BitLlama(model.config, path, device="cpu") as lone:
                    self.assertEqual(bytes(lone.forward([1, 2, 3])), bytes(model.forward([1, 2, 3])))

    def test_a_config_must_agree(self):
        right = {"vocab_size": 300, "hidden_dim": 32, "num_layers": 2, "inner_lr": 0.1}
        for path in (TIED, TIED / "model.bitt", TIED / "model.safetensors"):
            with bitgpu.BitLlama(bitgpu.BitLlamaConfig(**right), path, device="cpu") as model:
                self.assertEqual(model.config, self.load().config)
            for field, wrong in (
                ("vocab_size", 301),
                ("hidden_dim", 64),
                ("num_layers", 3),
                ("inner_lr", 0.2),
                ("weight_scale", "absmean"),
                ("ttt_rule", "minibatch"),
                ("ttt_mixer", "delta"),
            ):
                with self.assertRaisesRegex(ValueError, field):
                    bitgpu.BitLlama(bitgpu.BitLlamaConfig(**{**right, field: wrong}), path, device="cpu")

    def test_a_config_of_nonsense(self):
        for field, values in (
            ("vocab_size", (0, -1, "300", None, 1.5)),
            ("hidden_dim", (0, 2**40)),
            ("num_layers", ([],)),
            ("inner_lr", (float("nan"), float("inf"), "0.1", None)),
            ("ttt_heads", (0,)),
        ):
            for value in values:
                with self.assertRaisesRegex(ValueError, field):
                    bitgpu.BitLlamaConfig(**{"vocab_size": 300, "hidden_dim": 32, "num_layers": 2, "inner_lr": 0.1, field: value})
        for field, value in (("hidden_dim", 33), ("inner_lr", -1), ("weight_scale", "max"), ("ttt_mixer", "none")):
            values = {"vocab_size": 300, "hidden_dim": 32, "num_layers": 2, "inner_lr": 0.1, field: value}
            with self.assertRaisesRegex(ValueError, field):
                bitgpu.BitLlama(bitgpu.BitLlamaConfig(**values), TIED, device="cpu")


class Errors(TestCase):
    def test_arguments(self):
        model = self.load()
        for call in (
            lambda: model.forward(300),
            lambda: model.forward(-1),
            lambda: model.forward(2**32),
            lambda: model.forward([]),
            lambda: model.forward_all([1, 300]),
            lambda: model.detokenize([300]),
            lambda: model.generate("", 5),
            lambda: model.generate("a", -1),
            lambda: model.generate("a", 2**70),
            lambda: model.generate("a", 1, -0.5),
            lambda: model.generate("a", 1, float("nan")),
            lambda: model.generate("a", 1, 1, -1),
            lambda: model.generate("a", 1, 1, 2**64),
            lambda: model.generate("a", 1, top_p=2),
            lambda: model.generate("a", 1, stop="text"),
            lambda: model.generate("a", 1, stop=[""]),
            lambda: bitgpu.load(TIED, device="tpu"),
            lambda: bitgpu.load("a\0b"),
        ):
            self.assertRaises(ValueError, call)
        for call, says in (
            (lambda: model.forward("a"), "token ids: got 'a', want a whole number"),
            (lambda: model.forward(b"abcd"), "token ids"),
            (lambda: model.forward(1.5), "token ids: got 1.5"),
            (lambda: model.forward(None), "token ids: got None"),
            (lambda: model.forward([1, "2"]), "token ids"),
            (lambda: model.forward_all(7.0), "token ids"),
            (lambda: model.detokenize("abc"), "token ids"),
            (lambda: model.learn(b"bytes"), "got b'bytes', want a str"),
            (lambda: model.generate(None), "got None, want a str"),
            (lambda: model.generate("a", 1, "hot"), "temperature: got 'hot', want a number"),
            (lambda: model.generate("a", 1, top_p=[1]), "top_p: got"),
            (lambda: model.generate("a", 1, stop=5), "stop: got 5"),
            (lambda: model.generate("a", 1, stop=[5]), "stop: got 5, want a str"),
            (lambda: model.generate("a", temprature=1), "temprature"),
            (lambda: model.save_memory(5), "int"),
            (lambda: bitgpu.load(TIED, device=5), "device: got 5"),
            (lambda: bitgpu.load(None), "None"),
            (lambda: bitgpu.BitLlama({"vocab_size": 300}, TIED), "config: got"),
        ):
            with self.assertRaisesRegex(TypeError, re.escape(says)):
                call()
        self.assertEqual(model.position, 0, "nothing was read")

    def test_files(self):
        model = self.load()
        with tempfile.TemporaryDirectory() as folder:
            missing, broken = pathlib.Path(folder, "missing"), pathlib.Path(folder, "broken")
            broken.write_bytes(b"BITT\xff\xff\xff\xff\xff\xff\xff\xff")
            for call in (lambda: bitgpu.load(missing), lambda: model.load_memory(missing)):
                with self.assertRaisesRegex(FileNotFoundError, "missing"):
                    call()
            for call in (lambda: bitgpu.load(broken), lambda: model.load_memory(broken)):
                with self.assertRaisesRegex(bitgpu.Error, "broken"):
                    call()
            memory = pathlib.Path(folder, "memory")
            self.load(DELTA).save_memory(memory)
            with self.assertRaisesRegex(ValueError, "another model"):
                model.load_memory(memory)

    def test_numbers_that_are_not_finite(self):
        """They are an error that names the token, until the session is reset or given another memory."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("tokenizer.json", "model.safetensors"):
                shutil.copy(TIED / name, folder)
            config = json.loads((TIED / "config.json").read_text())
            pathlib.Path(folder, "config.json").write_text(json.dumps({**config, "inner_lr": 1e30}))
            model, memory = self.load(folder), pathlib.Path(folder, "memory")
            model.forward(1)
            model.save_memory(memory)
            good = memory.read_bytes()
            text = "all the world is a stage"
            for call in (
                lambda: model.generate(text, 5),
                lambda: list(model.stream(text, 0)),
                lambda: model.learn(text),
                lambda: model.forward(list(range(20))),
                lambda: model.forward_all(list(range(20))),
            ):
                with self.assertRaisesRegex(bitgpu.NotFiniteError, "not finite after (token|one of the tokens) [0-9]+"):
                    call()
                for again in (call, lambda: model.save_memory(memory), model.fork):
                    with self.assertRaisesRegex(bitgpu.NotFiniteError, "reset"):
                        again()
                model.load_memory(memory)
                model.forward([])
                model.reset()
                model.forward(1)
            self.assertEqual(memory.read_bytes(), good)

    def test_no_gpu(self):
        """"cuda" means the GPU: an adapter of no such name is not found, but asked for."""
        for device in ("gpu", "cuda"):
            with self.assertRaises(bitgpu.NoGPUError):
                bitgpu.load(TIED, device=device, adapter="no adapter has this name")

    def test_no_library(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = pathlib.Path(folder, "libbitgpu.so")
            outcome = run("import bitgpu", BITGPU_LIBRARY=str(missing))
            self.assertIn("ImportError", outcome.stderr)
            self.assertIn("pip install ./python", outcome.stderr)
            self.assertIn("go build -buildmode=c-shared", outcome.stderr)
            missing.write_text("not a library")
            outcome = run("import bitgpu; bitgpu.load('x')", BITGPU_LIBRARY=str(missing))
            self.assertIn("ImportError", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
