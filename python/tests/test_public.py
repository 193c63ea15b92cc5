"""Public models: GGUF files and directories as Hugging Face has them, in the folder that $BITGPU_PUBLIC_MODELS names."""

import contextlib
import os
import pathlib
import tempfile
import unittest

from support import TestCase, bitgpu

FOLDER = os.environ.get("BITGPU_PUBLIC_MODELS")


@unittest.skipUnless(FOLDER, "BITGPU_PUBLIC_MODELS does not name a folder of small public models")
class Public(TestCase):
    def open(self, name, **options):
        model = bitgpu.load(pathlib.Path(FOLDER, name), device="cpu", **options)
        self.addCleanup(model.close)
        return model

    def test_a_directory_and_a_file_are_one_model(self):
        a, b = self.open("b_qwen35"), self.open("b_qwen35/model-PQ2_0.gguf")
        for model in (a, b):
            self.assertEqual(model.description["family"], "qwen3.5")
            self.assertEqual(model.description["gated_delta"]["attention_layers"], [3])
            self.assertEqual((model.vocab_size, model.context), (320, 4096))
            with self.assertRaisesRegex(bitgpu.Error, "got a model of the family qwen3.5, want one of our own"):
                model.config
        ids = a.tokenize("hello")
        self.assertEqual(ids, b.tokenize("hello"))
        first, second = a.forward_all(ids), b.forward_all(ids)
        for x, y in zip(first, second):
            self.assertLess(max(abs(p - q) for p, q in zip(x, y)), 1e-4)
        self.assertEqual(a.generate("", 8, 0), b.generate("", 8, 0))

    def test_the_context_ends_a_text(self):
        model = self.open("a_qwen3", context=12)
        self.assertEqual(model.context, 12)
        model.generate("hello", 100, 0)
        self.assertLessEqual(model.position, 12)
        model.reset()
        with self.assertRaisesRegex(ValueError, "the context is too short: got 20 tokens, want 12 at most"):
            model.forward([1] * 20)
        with self.assertRaisesRegex(ValueError, "context: got 0, want 1 to"):
            self.open("a_qwen3", context=0)

    def test_the_context_is_raised(self):
        model = self.open("a_qwen3", context=12)
        whole = self.open("a_qwen3")
        ids = [1] * 20
        want = whole.forward_all(ids)
        first = model.forward_all(ids[:12])
        with model.session() as other:
            other.forward_all(ids[:12])
            model.raise_context(10)
            self.assertEqual(model.context, 12)
            model.raise_context(20)
            self.assertEqual(model.context, 20)
            for session in (model, other):
                got = [*first, *session.forward_all(ids[12:])]
                self.assertEqual(session.position, 20)
                for x, y in zip(got, want):
                    self.assertLess(max(abs(p - q) for p, q in zip(x, y)), 1e-4)
        model.reset()
        with contextlib.closing(model.stream("hello", 100, 0)) as stream:
            next(stream)
            model.raise_context(40)
            self.assertTrue("".join(stream))
            self.assertLessEqual(model.position, 20)
        for wrong, says in ((5000, "context: got 5000 tokens, want 4096 at most"), (0, "tokens: got 0, want 1 to"), ("x", "tokens: got 'x'")):
            with self.assertRaisesRegex((ValueError, TypeError), says):
                model.raise_context(wrong)
        self.assertEqual(model.context, 40)
        model.close()
        with self.assertRaises(bitgpu.ClosedError):
            model.raise_context(50)

    def test_a_fork_and_a_memory_go_on(self):
        model = self.open("b_qwen35", context=64)
        model.learn("hello")
        with tempfile.TemporaryDirectory() as folder, model.fork() as fork:
            path = pathlib.Path(folder, "memory")
            model.save_memory(path)
            text = fork.generate("", 8, 0)
            self.assertEqual(model.generate("", 8, 0), text)
            model.load_memory(path)
            self.assertEqual(model.generate("", 8, 0), text)

    def test_masters(self):
        with self.assertRaisesRegex(bitgpu.Error, 'is not ternary: .*the option masters says how it rounds them: "half-up"') as refused:
            self.open("e_falcon_e_prequantized")
        self.assertNotIn("--", str(refused.exception))  # flags are the program's
        with self.assertRaisesRegex(ValueError, 'masters: got "up", want half-up or half-even'):
            self.open("e_falcon_e_prequantized", masters="up")
        self.assertTrue(self.open("e_falcon_e_prequantized", masters="half-up").description["int8_activations"])

    def test_a_conversation(self):
        model = self.open("a_qwen3")
        self.assertEqual(
            model.chat_template([{"role": "user", "content": "hello"}]), "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
        )
        for messages, says in (
            ([1], r"messages\[0\]: got 1, want an object"),
            ([{"content": "hello"}], "role: got none"),
            ([{"role": 1, "content": "hello"}], "role: got 1"),
            ([{"role": "user"}], "content: got none"),
            ([{"role": "user", "content": None}], "content: got null"),
            ([{"role": "user", "content": 5}], "content: got 5"),
            ([{"role": "user", "content": "\ud800"}], "half of a character"),
            ([{"role": "user", "content": "a", "at": float("nan")}], "not JSON compliant"),
        ):
            with self.assertRaisesRegex(ValueError, says):
                model.chat_template(messages)
        with self.assertRaisesRegex(ValueError, r"tools\[0\]: got 3"):
            model.chat_template([{"role": "user", "content": "a"}], tools=[3])
        model.chat_template([{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}])
        with self.assertRaisesRegex(bitgpu.Error, "the model has no chat template"):
            self.open("a_bitnet_packed").chat_template([{"role": "user", "content": "hello"}])


class Own(TestCase):
    def test_what_only_public_models_have(self):
        model = self.load()
        model.raise_context(100)
        self.assertIsNone(model.context)
        self.assertEqual(model.description["vocab_size"], model.vocab_size)
        self.assertEqual(model.config.vocab_size, model.vocab_size)
        with self.assertRaisesRegex(bitgpu.Error, "the model has no chat template"):
            model.chat_template([])


if __name__ == "__main__":
    unittest.main()
