"""Runs ternary (1.58-bit) language models whose memory learns while they read, on any GPU and on the CPU.

    import bitgpu

    with bitgpu.load("model.bitt") as model:
        for piece in model.stream("ROMEO:", max_tokens=100):
            print(piece, end="", flush=True)

Shapes: V is the vocabulary's size, T a number of tokens. Numbers come as numpy arrays where numpy is installed, else as
``array.array``. Models may be used from many threads.

It is not for training, which the program ``bitgpu train`` does.
"""

from ._config import BitLlamaConfig
from ._library import BusyError, ClosedError, Error, NoGPUError, NotFiniteError
from ._model import BitLlama, demo, load
from ._session import Session, Stream

__version__ = "1.0.0"

__all__ = [
    "BitLlama",
    "BitLlamaConfig",
    "BusyError",
    "ClosedError",
    "Error",
    "NoGPUError",
    "NotFiniteError",
    "Session",
    "Stream",
    "__version__",
    "demo",
    "load",
]
