"""Models over the C library."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import sys
import threading
import warnings
from ctypes import byref, c_int64, c_size_t, c_uint32
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from ._config import BitLlamaConfig
from ._library import Error, Text as _Text, library
from ._session import Session
from ._values import adapters, address, as_ids, encode, encode_adapter, encode_json, encode_name, encode_path, integer, several

if TYPE_CHECKING:
    from ._values import Path, Tokens


class BitLlama(Session):
    """A model with a session of its own, with which it reads and writes; :meth:`session` begins others.

    config: what the model is, or None to leave that to the file. A file that contradicts it is a ValueError that names
    the field. It describes a ``.safetensors`` file that has no ``config.json`` beside it.
    checkpoint_path: a ``.bitt`` file, a model directory, a ``.safetensors`` file, or a public model: a GGUF file, or a
    directory as Hugging Face has them.
    device: "cpu", "gpu" ("cuda" and "cuda:N" mean the same, N the adapter), or "auto" for a hardware GPU if there is one, else the CPU.
    adapter: a GPU adapter's number, a part of its name, or "software"; "auto" then means "gpu".
    context: for how many tokens a session of a public model has room; None for as many as it was made for, or as half of
    the free memory holds.
    masters: "half-up" or "half-even", by which the float masters of a public model are rounded that its files do not say
    to be such, as Falcon-E's prequantized revisions, which want "half-up".
    lora: low-rank adapters to apply, PEFT's or those of ``bitgpu learn``: a path, or several, or a dict of each path's weight.

    Raises ValueError, FileNotFoundError, NoGPUError where a GPU is asked for and there is none, and Error for a file
    that is broken. Closing the model closes all its sessions and streams.
    """

    _instead = "another process loads the model itself; session() and fork() begin other texts on the same weights"

    def __init__(
        self,
        config: Optional[BitLlamaConfig],
        checkpoint_path: Path,
        device: str = "auto",
        adapter: Union[str, int, None] = None,
        *,
        context: Optional[int] = None,
        masters: Optional[str] = None,
        lora: Union[Path, Sequence[Path], Mapping[Path, float], None] = None,
    ) -> None:
        if config is not None and not isinstance(config, BitLlamaConfig):
            raise TypeError(f"config: got {config!r}, want a BitLlamaConfig or None")
        options: Dict[str, Any] = {"device": encode_name("device", device).decode()}
        if config is not None:
            options["config"] = json.loads(config.to_json())
        if adapter is not None:
            options["adapter"] = encode_adapter(adapter).decode()
        if context is not None:
            options["context"] = integer("context", context, 1, 2**31 - 1)
        if masters is not None:
            options["masters"] = encode_name("masters", masters).decode()
        if lora is not None:
            options["lora"] = adapters(lora)
        handle = c_int64()
        library.call("model_open", encode_path(checkpoint_path), json.dumps(options).encode(), byref(handle))
        self._begin(handle.value, device)

    def _begin(self, handle: int, device: str) -> None:
        session = c_int64()
        self._handle = handle
        self._turn = threading.RLock()
        self._close_with("model_close", self._handle)
        self._describe()
        if self._about["note"] and device != "auto":
            caller, level = sys._getframe(), 1  # the first line that is not in this package
            while caller.f_back is not None and caller.f_globals.get("__package__") == __package__:
                caller, level = caller.f_back, level + 1
            warnings.warn(f"running on {self.device}; {self._about['note']}", RuntimeWarning, stacklevel=level)
        library.call("session_open", self._handle, byref(session))
        self._session = session.value

    def _describe(self) -> None:
        about = _Text()
        library.call("model_describe", self._handle, byref(about))
        self._about = json.loads(library.take(about))

    @property
    def model(self) -> BitLlama:
        """The model itself."""
        return self

    @property
    def config(self) -> BitLlamaConfig:
        """What the file says of the model. Raises Error for a public model, which :attr:`description` describes."""
        about = self.description
        if "family" in about:
            raise Error(f"config: got a model of the family {about['family']}, want one of our own; description describes it")
        known = {field.name for field in dataclasses.fields(BitLlamaConfig)}
        return BitLlamaConfig(**{key: value for key, value in about.items() if key in known})

    @property
    def description(self) -> Dict[str, Any]:
        """What the model is: the keys of its config.json, or of a public model "family", "vocab_size" and its other sizes."""
        return dict(self._about["config"])

    @property
    def vocab_size(self) -> int:
        """V, how many tokens there are."""
        return int(self._about["config"]["vocab_size"])

    @property
    def context(self) -> Optional[int]:
        """For how many tokens a session has room, None where there is no limit, as with our own models."""
        return int(self._about["context"]) or None

    def raise_context(self, tokens: int) -> None:
        """Makes room for more tokens in every session of a public model, those that are open, too.

        tokens: for how many in all. Sessions keep what they have read; a text that is being written ends where it would
        have ended. For no more than :attr:`context`, and for our own models, which have no limit, it does nothing.

        Raises ValueError for more than the model was made for, and Error where memory lacks; nothing has changed then.
        """
        library.call("model_raise_context", self._handle, integer("tokens", tokens, 1, 2**31 - 1))
        self._describe()

    @property
    def backend(self) -> str:
        """What the model runs on: "cpu" or "gpu"."""
        return str(self._about["backend"])

    @property
    def device(self) -> str:
        """What the model runs on, in words."""
        return str(self._about["device"])

    @property
    def weight_bytes(self) -> int:
        """The memory that the weights take."""
        return int(self._about["weight_bytes"])

    def session(self) -> Session:
        """Begins another text with an empty memory, on the same weights."""
        handle = c_int64()
        library.call("session_open", self._handle, byref(handle))
        return Session(self, handle.value)

    def chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        enable_thinking: Optional[bool] = None,
        tools: Optional[Sequence[Mapping[str, Any]]] = None,
    ) -> str:
        """Writes a conversation as the model's own template has it, for :meth:`generate`.

        messages: each with "role" and "content", in their order.
        add_generation_prompt: whether it ends with the beginning of an answer.
        enable_thinking: whether the model is to think first, None for what the template does by itself.
        tools: what the model may call, as the template wants them described.

        Raises Error for a model without a template, and ValueError for a conversation that the template refuses.
        """
        given: Dict[str, Any] = {"messages": several("messages", messages), "add_generation_prompt": bool(add_generation_prompt)}
        if enable_thinking is not None:
            given["enable_thinking"] = bool(enable_thinking)
        if tools is not None:
            given["tools"] = several("tools", tools)
        text, length = _Text(), c_size_t()
        library.call("model_render", self._handle, encode_json("messages and tools", given), byref(text), byref(length))
        return library.take(text, length.value)

    def tokenize(self, text: str, special: bool = False) -> List[int]:
        """Turns text into token ids; with special, among those that the tokenizer puts around a text.

        Raises Error for a model without a tokenizer.
        """
        raw, ids, count = encode(text), ctypes.POINTER(c_uint32)(), c_size_t()
        library.call("model_encode", self._handle, raw, len(raw), bool(special), byref(ids), byref(count))
        try:
            return ids[: count.value]
        finally:
            library.free(ids)

    def detokenize(self, token_ids: Tokens) -> str:
        """Turns token ids into text, without special tokens.

        Raises ValueError for an id that is not below V, and Error for a model without a tokenizer.
        """
        ids, text, length = as_ids(token_ids), _Text(), c_size_t()
        library.call("model_decode", self._handle, address(ids), len(ids), byref(text), byref(length))
        return library.take(text, length.value)


def load(
    path: Path,
    device: str = "auto",
    adapter: Union[str, int, None] = None,
    *,
    context: Optional[int] = None,
    masters: Optional[str] = None,
    lora: Union[Path, Sequence[Path], Mapping[Path, float], None] = None,
) -> BitLlama:
    """Loads a ``.bitt`` file, a model directory, a ``.safetensors`` file beside its ``config.json``, or a public model: a
    GGUF file, or a directory as Hugging Face has them.

    See :class:`BitLlama` for the rest.
    """
    return BitLlama(None, path, device, adapter, context=context, masters=masters, lora=lora)


def demo(device: str = "auto", adapter: Union[str, int, None] = None) -> BitLlama:
    """Loads the small model that is inside the library, which writes Shakespeare.

    See :class:`BitLlama` for the rest.
    """
    model, handle = BitLlama.__new__(BitLlama), c_int64()
    name = None if adapter is None else encode_adapter(adapter)
    library.call("model_demo", encode_name("device", device), name, byref(handle))
    model._begin(handle.value, device)
    return model
