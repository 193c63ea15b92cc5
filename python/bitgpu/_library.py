"""The C library: finding and loading it, and calling its functions, whose errors become exceptions.

It is not for models, which ``_model`` makes of these calls. ``bitgpu.h`` describes every function.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import threading
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Dict, List, Optional

ABI = 1
NAME = "libbitgpu.so"  # on every system


class Error(RuntimeError):
    """What bitgpu cannot do; the text says why. Wrong arguments are :class:`ValueError` instead."""


class ClosedError(Error):
    """The model, session or stream is closed."""


class BusyError(Error):
    """The session is writing a stream, which has to end or be closed first."""


class NoGPUError(Error):
    """A GPU is asked for and the machine has none that may be used."""


class NotFiniteError(Error):
    """The model's numbers are NaN or infinite. Until it is reset, or loads a memory, a session gives nothing else."""


_OK, _END, _FAILED, _INVALID, _CLOSED, _BUSY, _NO_FILE, _NO_GPU, _NOT_FINITE = range(9)
_EXCEPTIONS = {
    _INVALID: ValueError,
    _CLOSED: ClosedError,
    _BUSY: BusyError,
    _NO_FILE: FileNotFoundError,
    _NO_GPU: NoGPUError,
    _NOT_FINITE: NotFiniteError,
}


class Options(ctypes.Structure):
    """``bitgpu_options``."""

    _fields_ = [
        ("max_tokens", c_int64),
        ("temperature", c_double),
        ("top_k", c_int64),
        ("top_p", c_double),
        ("min_p", c_double),
        ("repeat_penalty", c_double),
        ("seed", c_uint64),
        ("stop", POINTER(c_char_p)),
        ("stop_count", c_size_t),
    ]


# A text that comes back, not a c_char_p: ctypes would make bytes of that and forget the address.
Text = POINTER(c_char)
_FUNCTIONS: Dict[str, List[Any]] = {
    "model_load": [c_char_p, c_char_p, c_char_p, c_char_p, POINTER(c_int64)],
    "model_open": [c_char_p, c_char_p, POINTER(c_int64)],
    "model_demo": [c_char_p, c_char_p, POINTER(c_int64)],
    "model_describe": [c_int64, POINTER(Text)],
    "model_raise_context": [c_int64, c_int64],
    "model_render": [c_int64, c_char_p, POINTER(Text), POINTER(c_size_t)],
    "model_encode": [c_int64, c_char_p, c_size_t, c_int32, POINTER(POINTER(c_uint32)), POINTER(c_size_t)],
    "model_decode": [c_int64, c_void_p, c_size_t, POINTER(Text), POINTER(c_size_t)],
    "model_close": [c_int64],
    "session_open": [c_int64, POINTER(c_int64)],
    "session_fork": [c_int64, POINTER(c_int64)],
    "session_forward": [c_int64, c_void_p, c_size_t, c_void_p, c_size_t],
    "session_forward_all": [c_int64, c_void_p, c_size_t, c_void_p, c_size_t],
    "session_learn": [c_int64, c_char_p, c_size_t, POINTER(c_int64)],
    "session_position": [c_int64, POINTER(c_int64)],
    "session_save_memory": [c_int64, c_char_p],
    "session_load_memory": [c_int64, c_char_p],
    "session_reset": [c_int64],
    "session_close": [c_int64],
    "stream_open": [c_int64, c_char_p, c_size_t, POINTER(Options), POINTER(c_int64)],
    "stream_next": [c_int64, POINTER(Text), POINTER(c_size_t)],
    "stream_close": [c_int64],
}


def find() -> pathlib.Path:
    """The library's file: ``$BITGPU_LIBRARY``, or the one beside this module.

    Raises ImportError, which says how to build it, if there is none.
    """
    path = pathlib.Path(os.environ.get("BITGPU_LIBRARY") or pathlib.Path(__file__).with_name(NAME))
    if not path.is_file():
        raise ImportError(
            f"bitgpu: {path}: the library is missing. Build it with Go, in bitgpu's source: `pip install ./python`, or "
            f"`go build -buildmode=c-shared -o python/bitgpu/{NAME} ./cmd/libbitgpu`"
        )
    return path


class Library:
    """The library at path, loaded when it is first called.

    Why not at once? Its threads do not survive a fork: so a process may import bitgpu, fork, and use it in the child.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._dll: Optional[ctypes.CDLL] = None
        self._forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it
        self._forked = self._forked or self._dll is not None

    def _load(self) -> ctypes.CDLL:
        with self._lock:
            if self._forked:
                raise Error(
                    "bitgpu was in use before this process was forked, which ends its threads here; "
                    "start processes with the multiprocessing method 'spawn', or use bitgpu only after the fork"
                )
            if self._dll is None:
                self._dll = self._open()
            return self._dll

    def _open(self) -> ctypes.CDLL:
        try:
            dll = ctypes.CDLL(str(self.path))
            dll.bitgpu_abi.restype = c_int32
            found = dll.bitgpu_abi()
            if found != ABI:
                raise ImportError(f"bitgpu: {self.path}: got a library with interface {found}, want {ABI}; build it again")
            dll.bitgpu_version.restype = Text
            dll.bitgpu_free.argtypes = [c_void_p]
            dll.bitgpu_free.restype = None
            for name, types in _FUNCTIONS.items():
                function = getattr(dll, "bitgpu_" + name)
                function.argtypes = [*types, POINTER(Text)]
                function.restype = c_int32
        except (OSError, AttributeError) as error:
            raise ImportError(f"bitgpu: {self.path}: the library cannot be loaded: {error}; build it again") from error
        return dll

    def check(self) -> None:
        """Raises what call would where the library cannot be used in this process."""
        self._load()

    def version(self) -> str:
        """What the library was built from and computes on, in one line. Raises what call would."""
        return self.take(self._load().bitgpu_version())

    def call(self, name: str, *arguments: Any) -> bool:
        """Calls a function without the interpreter's lock. False means the end of a stream; errors are raised."""
        message = Text()
        status: int = getattr(self._load(), "bitgpu_" + name)(*arguments, ctypes.byref(message))
        if status in (_OK, _END):
            return status == _OK
        raise _EXCEPTIONS.get(status, Error)(self.take(message))

    def take(self, memory: Any, length: Optional[int] = None) -> str:
        """The text at memory, which is given back. Without a length it ends at a zero."""
        raw = ctypes.string_at(memory) if length is None else ctypes.string_at(memory, length)
        self.free(memory)
        return raw.decode("utf-8", "replace")

    def free(self, memory: Any) -> None:
        self._load().bitgpu_free(ctypes.cast(memory, c_void_p))

    def close(self, name: str, handle: int) -> None:
        """Closes what may be closed already, or may have stayed behind in a process that this one was forked from."""
        if self._forked or self._dll is None:
            return
        try:
            self.call(name, handle)
        except ClosedError:
            pass


library = Library(find())
