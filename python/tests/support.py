"""What the tests share: the library, built from this source, and models."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

PYTHON = pathlib.Path(__file__).resolve().parent.parent
SOURCE = PYTHON.parent
MODELS = SOURCE / "testdata" / "reference"
TIED = MODELS / "d32-none"
DELTA = MODELS / "d32-delta"
TIED_HEAD = MODELS / "d32-tied-head"
NAMES = ("d32-none", "d36-absmean", "d32-delta", "d32-tied-head")


def build():
    """Builds the library where the package looks for it, unless $BITGPU_LIBRARY names another."""
    if "BITGPU_LIBRARY" not in os.environ:
        path = PYTHON / "bitgpu" / "libbitgpu.so"
        command = ["go", "build", "-buildmode=c-shared", "-buildvcs=false", "-o", str(path), "./cmd/libbitgpu"]
        subprocess.run(command, cwd=SOURCE, check=True)
    sys.path.insert(0, str(PYTHON))


build()

import bitgpu  # noqa: E402


PATIENCE = 600  # seconds behind which something hangs, however slow the machine


class TestCase(unittest.TestCase):
    def load(self, path=TIED):
        """A model on the CPU that is closed with the test."""
        model = bitgpu.load(path, device="cpu")
        self.addCleanup(model.close)
        return model


def run(script, *arguments, **environment):
    """Runs a script in an interpreter of its own, which must not crash nor hang."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PYTHON), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def read_safetensors(path):
    """The tensors of a file: name to (shape, bytes)."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = entry["shape"], data[8 + size + begin : 8 + size + end]
    return tensors


def write_zeros(path, config):
    """A model of zeros and tied mixer, as the first engine's files are laid out: a header and a hole."""
    vocab, width, mlp, memory = config.vocab_size, config.hidden_dim, 4 * config.hidden_dim, config.hidden_dim // 4
    shapes = {"embed.weight": [vocab, width], "norm_f.weight": [width], "lm_head.weight": [vocab, width]}
    for i in range(config.num_layers):
        shapes.update(
            {
                f"layers.{i}.norm1.weight": [width],
                f"layers.{i}.ttt.down.weight": [memory, width],
                f"layers.{i}.ttt.up.weight": [width, memory],
                f"layers.{i}.norm2.weight": [width],
                f"layers.{i}.mlp.gate_proj.weight": [mlp, width],
                f"layers.{i}.mlp.up_proj.weight": [mlp, width],
                f"layers.{i}.mlp.down_proj.weight": [width, mlp],
            }
        )
    header, end = {}, 0
    for name, shape in shapes.items():
        begin = end
        end += 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + end)
