"""What a type checker says of programs that use the package. Where mypy is not installed, that is left out."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from support import PATIENCE, PYTHON, bitgpu

NUMPY = """
from typing import Optional
import numpy
import numpy.typing
import bitgpu

def best(logits: numpy.typing.NDArray[numpy.float32]) -> int:
    return int(logits.argmax())

with bitgpu.demo(device="cpu", adapter=0) as model:
    ids = numpy.array(model.tokenize("to be"))
    rows = model.forward_all(ids)
    print(best(model.forward(ids)), best(model.forward(ids[0])), rows.shape, rows[0].max())
    print(model.detokenize(ids))
    text: str = model.generate("a", 5, 0.5, 1, top_k=3, top_p=0.9, min_p=0.1, repeat_penalty=1.1, stop=["b"])
    position: int = model.fork().position
with bitgpu.load("x.gguf", context=4096, masters="half-up", lora={"a.safetensors": 0.5}) as public:
    size: int = public.vocab_size
    room: Optional[int] = public.context
    family: str = public.description["family"]
    prompt: str = public.chat_template([{"role": "user", "content": "hello"}], enable_thinking=False)
"""

WRONG = """
import bitgpu

model = bitgpu.demo()
model.generate("a", temprature=0.5)
model.generate("a", top_k="5")
model.forward("a")
model.stream(b"a")
bitgpu.load(5)
"""


class Types(unittest.TestCase):
    def test_the_marker_is_there(self):
        self.assertTrue(pathlib.Path(bitgpu.__file__).with_name("py.typed").is_file())

    @unittest.skipUnless(importlib.util.find_spec("mypy"), "mypy is not installed: the types are not checked")
    def test_strict(self):
        readmes = [path.read_text(encoding="utf-8") for path in (PYTHON.parent / "README.md", PYTHON / "README.md")]
        examples = "".join(re.findall(r"^```python\n(.*?)^```$", "\n".join(readmes), re.M | re.S))
        with tempfile.TemporaryDirectory() as folder:
            for name, text, errors in (
                ("readme", examples, []),
                ("arrays", NUMPY if importlib.util.find_spec("numpy") else "", []),
                ("wrong", WRONG, [5, 6, 7, 8, 9]),
            ):
                path = pathlib.Path(folder, name + ".py")
                path.write_text(text, encoding="utf-8")
                command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder, "--no-error-summary", str(path)]
                outcome = subprocess.run(
                    command, cwd=folder, env={**os.environ, "MYPYPATH": str(PYTHON)}, capture_output=True, text=True, timeout=PATIENCE
                )
                lines = [int(line) for line in re.findall(r"\.py:(\d+): error", outcome.stdout)]
                self.assertEqual((outcome.stderr, sorted(set(lines))), ("", errors), outcome.stdout)


if __name__ == "__main__":
    unittest.main()
