"""What a caller gets for a config, an argument or a file that is wrong."""

import json
import pathlib
import re
import shutil
import tempfile

from support import DELTA, MODELS, NAMES, TIED, TIED_HEAD, TestCase, bitgpu, run, write_zeros


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
                ("tie_word_embeddings", True),
            ):
                with self.assertRaisesRegex(ValueError, field):
                    bitgpu.BitLlama(bitgpu.BitLlamaConfig(**{**right, field: wrong}), path, device="cpu")
        for said in (None, True):
            with bitgpu.BitLlama(bitgpu.BitLlamaConfig(**right, tie_word_embeddings=said), TIED_HEAD, device="cpu") as model:
                self.assertIs(model.config.tie_word_embeddings, True)
        with self.assertRaisesRegex(ValueError, "tie_word_embeddings: got true, want false as given"):
            bitgpu.BitLlama(bitgpu.BitLlamaConfig(**right, tie_word_embeddings=False), TIED_HEAD, device="cpu")

    def test_a_config_of_nonsense(self):
        for field, values in (
            ("vocab_size", (0, -1, "300", None, 1.5)),
            ("hidden_dim", (0, 2**40)),
            ("num_layers", ([],)),
            ("inner_lr", (float("nan"), float("inf"), "0.1", None)),
            ("ttt_heads", (0,)),
            ("tie_word_embeddings", (1, "true")),
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
            lambda: bitgpu.load(""),
            lambda: model.save_memory(""),
            lambda: model.generate("a", 1, 10**400),
            lambda: bitgpu.load(TIED, lora={"x": 10**400}),
            lambda: bitgpu.load(TIED, adapter=1.5),
            lambda: bitgpu.BitLlamaConfig(300, 32, 2, 10**400),
        ):
            self.assertRaises(ValueError, call)
        for call, says in (
            (lambda: model.generate("a", 1, top_p=2), "top_p: got 2"),
            (lambda: model.generate("a", 1, min_p=2), "min_p: got 2"),
            (lambda: model.generate("a", 1, repeat_penalty=-1), "repeat_penalty: got -1"),
            (lambda: bitgpu.demo(device="tpu"), 'device: got "tpu"'),
            (lambda: model.learn("a\ud800"), "text: got '\\ud800' at 1, half of a character"),
        ):
            with self.assertRaisesRegex(ValueError, re.escape(says)):
                call()
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
            (lambda: model.save_memory(5), "path: got 5"),
            (lambda: model.chat_template("hello"), "messages: got 'hello'"),
            (lambda: model.chat_template({"role": "user"}), "messages: got"),
            (lambda: model.chat_template([], tools=3), "tools: got 3"),
            (lambda: model.chat_template([{"role": object()}]), "messages and tools: Object of type object"),
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
