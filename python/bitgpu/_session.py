"""Sessions and streams over the C library; ``_model`` has the models that they are of."""

from __future__ import annotations

import array
import ctypes
import secrets
import threading
import weakref
from ctypes import byref, c_char_p, c_int64, c_size_t
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, Iterator, NoReturn, Optional, Sequence, SupportsIndex, Type, TypeVar, Union

from ._library import ClosedError, Error, Options, Text as _Text, library
from ._values import address, as_ids, encode, encode_name, encode_path, floats, integer, real

if TYPE_CHECKING:
    from ._model import BitLlama
    from ._values import Floats, Path, Tokens

_Self = TypeVar("_Self", bound="_Closing")


class _Closing:
    """Something of the library's that is closed once: by close, by a with statement, by nobody holding it, at exit."""

    _end: weakref.finalize[Any, Any]
    _instead: str  #: what to do where one would like a copy

    def _close_with(self, function: str, handle: int) -> None:
        self._end = weakref.finalize(self, library.close, function, handle)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raises TypeError for pickle and copy: what it stands for belongs to this process and is closed once."""
        raise TypeError(f"got a {type(self).__name__}, which cannot be copied nor sent to another process: {self._instead}")

    def close(self) -> None:
        """Closes it; a second time does nothing. Later calls raise ClosedError."""
        self._end()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return not self._end.alive

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()


class Stream(_Closing, Iterator[str]):
    """The pieces of a text while it is written, each in whole characters.

    Nothing is read or written before the first piece is asked for, nor between two of them. A stream that is closed,
    or that nobody holds any more, ends within a token. Until a stream that has begun ends, its session does nothing
    else (BusyError).
    """

    _instead = "begin another with stream()"

    def __init__(self, session: Session, prompt: str, options: Options) -> None:
        text, handle = encode(prompt), c_int64()
        library.call("stream_open", session._session, text, len(text), byref(options), byref(handle))
        self._of = session  # which must stay open
        self._stream = handle.value
        self._ended = False
        self._close_with("stream_close", self._stream)

    def __next__(self) -> str:
        """The next piece. Raises StopIteration at the end, and Error, ClosedError, BusyError or ValueError."""
        if self._ended:
            raise StopIteration
        text, length = _Text(), c_size_t()
        try:
            with self._of._alone():
                more = library.call("stream_next", self._stream, byref(text), byref(length))
        except ClosedError:
            if self._ended:  # another thread was told so meanwhile
                raise StopIteration from None
            raise
        if more:
            return library.take(text, length.value)
        self._ended = True
        self.close()
        raise StopIteration


class Session(_Closing):
    """One text with the memory that the model has of it, begun with :meth:`BitLlama.session` or :meth:`fork`.

    Any thread may use it; its calls wait for each other. Every method raises ClosedError when the session or its model
    is closed, BusyError while a stream of the session has begun and not ended, and NotFiniteError after a token with
    which the model's numbers became NaN or infinite, until the session is reset or loads a memory.
    """

    _instead = "fork() makes a session that goes on from here; another process loads the model and a saved memory"

    def __init__(self, model: BitLlama, handle: int) -> None:
        self._model = model  # which must stay open
        self._session = handle
        self._turn = threading.RLock()
        self._close_with("session_close", handle)

    def _alone(self) -> threading.RLock:
        """What a call holds, so that another waits for a text that generate writes in many calls of the library."""
        library.check()  # in a process that was forked another thread may hold it for ever
        return self._turn

    def _call(self, name: str, *arguments: Any) -> None:
        with self._alone():
            library.call(name, self._session, *arguments)

    @property
    def model(self) -> BitLlama:
        """The model that the session reads and writes with."""
        return self._model

    @property
    def position(self) -> int:
        """How many tokens have been read and written since the memory was empty."""
        position = c_int64()
        self._call("session_position", byref(position))
        return position.value

    def forward(self, token_id: Union[SupportsIndex, Tokens]) -> Floats:
        """Reads a token, or several in their order, and returns the logits of the next, (V,) float32.

        This advances the state. The result is a numpy array where numpy is installed, else an ``array.array('f')``.
        Between many tokens and one at a time, the last bits of a float differ. Raises ValueError for an id that is not
        below V, and for an empty sequence where nothing was read before.
        """
        ids = as_ids(token_id)
        logits = array.array("f", [0]) * self.model.vocab_size
        self._call("session_forward", address(ids), len(ids), address(logits), len(logits))
        return floats(logits, len(logits))

    def forward_all(self, token_ids: Tokens) -> Floats:
        """Reads tokens and returns the logits after each, (T, V) float32, as ``bitgpu logits`` writes them.

        This advances the state. The result is a numpy array where numpy is installed, else a list of T
        ``array.array('f')``. Raises ValueError for an id that is not below V.
        """
        ids, vocab = as_ids(token_ids), self.model.vocab_size
        logits = array.array("f", [0]) * (len(ids) * vocab)
        self._call("session_forward_all", address(ids), len(ids), address(logits), len(logits))
        return floats(logits, vocab, len(ids))

    def stream(
        self,
        prompt: str,
        max_tokens: int = 100,
        temperature: float = 0.8,
        seed: Optional[int] = None,
        *,
        top_k: int = 0,
        top_p: float = 0.0,
        min_p: float = 0.0,
        repeat_penalty: float = 1.0,
        stop: Sequence[str] = (),
    ) -> Stream:
        """Reads prompt and writes what follows, piece by piece: an iterator over str that may be left at any time.

        max_tokens: the text ends after so many, if not before; 0 only reads the prompt.
        temperature: 0 takes the most probable token each time.
        seed: 0 to 2**64-1; the same seed, the same text from the same state. None draws one.
        top_k: only the k most probable tokens, 0 for all.
        top_p: only the most probable that together reach p, 0 or 1 for all.
        min_p: only those at least p times as probable as the most probable, 0 for all.
        repeat_penalty: lowers what was among the last 64 tokens, 0 or 1 for not.
        stop: texts before the first of which the text ends.

        The text goes on from the session's state and advances it; an empty prompt goes on from what was read before, the
        rest of a character too with which the text before it ended.
        Raises ValueError for a value out of its range. The stream itself raises ValueError for an empty prompt with
        nothing before it, and Error for a model without a tokenizer.
        """
        if isinstance(stop, str):
            raise ValueError(f"stop: got {stop!r}, want a sequence of texts")
        if not isinstance(stop, Iterable):
            raise TypeError(f"stop: got {stop!r}, want a sequence of texts")
        stop = tuple(stop)
        stops = (c_char_p * len(stop))(*(encode_name("stop", s) for s in stop))
        drawn = secrets.randbits(64) if seed is None else integer("seed", seed, 0, 2**64 - 1)
        options = Options(
            integer("max_tokens", max_tokens, 0, 2**31 - 1),
            real("temperature", temperature),
            integer("top_k", top_k, 0, 2**31 - 1),
            real("top_p", top_p),
            real("min_p", min_p),
            real("repeat_penalty", repeat_penalty),
            drawn,
            stops,
            len(stops),
        )
        return Stream(self, prompt, options)

    def generate(
        self,
        prompt: str,
        max_tokens: int = 100,
        temperature: float = 0.8,
        seed: Optional[int] = None,
        *,
        top_k: int = 0,
        top_p: float = 0.0,
        min_p: float = 0.0,
        repeat_penalty: float = 1.0,
        stop: Sequence[str] = (),
    ) -> str:
        """Reads prompt and returns the text that follows, without the prompt. See :meth:`stream` for the arguments.

        Other calls on the session wait until it has ended.
        """
        with self._alone(), self.stream(
            prompt, max_tokens, temperature, seed,
            top_k=top_k, top_p=top_p, min_p=min_p, repeat_penalty=repeat_penalty, stop=stop,
        ) as pieces:  # fmt: skip
            return "".join(pieces)

    def learn(self, text: str) -> int:
        """Reads text into the memory without answering, and returns how many tokens it was.

        Raises Error for a model without a tokenizer.
        """
        raw, tokens = encode(text), c_int64()
        self._call("session_learn", raw, len(raw), byref(tokens))
        return tokens.value

    def save_memory(self, path: Path) -> None:
        """Writes what has been learned, and what is predicted, to a file, which it replaces as a whole.

        Raises Error where it cannot.
        """
        self._call("session_save_memory", encode_path(path))

    def load_memory(self, path: Path) -> None:
        """Replaces what has been learned by a file's, and goes on from there.

        Raises FileNotFoundError, ValueError for the memory of another model, and Error for a file that is broken.
        """
        self._call("session_load_memory", encode_path(path))

    def reset(self) -> None:
        """Forgets everything that was read."""
        self._call("session_reset")

    def fork(self) -> Session:
        """A session that goes on from here independently."""
        handle = c_int64()
        self._call("session_fork", byref(handle))
        return Session(self.model, handle.value)
