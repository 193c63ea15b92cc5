"""What the library takes and gives, from and to Python's values."""

from __future__ import annotations

import array
import json
import math
import numbers
import operator
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence, SupportsIndex, Union

if TYPE_CHECKING:
    import numpy  # type: ignore[import-not-found,unused-ignore]  # where it is not installed, Floats is Any
    import numpy.typing  # type: ignore[import-not-found,unused-ignore]

    Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
    Floats = numpy.typing.NDArray[numpy.float32]
    Tokens = Iterable[SupportsIndex]
else:
    try:
        import numpy
    except ImportError:
        numpy = None


def floats(logits: array.array[float], size: int, rows: Optional[int] = None) -> Floats:
    """The numbers as numpy's where it is installed; in so many rows of that size, if any."""
    if numpy is not None:
        values = numpy.frombuffer(logits, numpy.float32)
        return values if rows is None else values.reshape(rows, size)
    several: Any = logits if rows is None else [logits[row * size : (row + 1) * size] for row in range(rows)]
    return several


def encode(text: str, what: str = "text") -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what}: got {text!r}, want a str")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what}: got {text[error.start]!r} at {error.start}, half of a character, want whole ones") from None


def encode_name(what: str, text: str) -> bytes:
    raw = encode(text, what)
    if not raw and what != "stop":
        raise ValueError(f"{what}: got '', want a word or None")
    if b"\0" in raw:
        raise ValueError(f"{what}: got {text!r}, want a text without zeros")
    return raw


def encode_path(path: Path) -> bytes:
    try:
        raw = os.fsencode(path)
    except TypeError:
        raise TypeError(f"path: got {path!r}, want a str, bytes or os.PathLike") from None
    if not raw or b"\0" in raw:
        raise ValueError(f"path: got {path!r}, want one that is not empty, without zeros")
    return raw


def encode_adapter(adapter: Union[str, int]) -> bytes:
    if not isinstance(adapter, str):
        adapter = str(integer("adapter", adapter, 0, 2**31 - 1))
    return encode_name("adapter", adapter)


def adapters(lora: Union[Path, Sequence[Path], Mapping[Path, float]]) -> List[Dict[str, Any]]:
    """Gives adapters as the library takes them, each with its weight."""
    if isinstance(lora, (str, bytes, os.PathLike)):
        lora = [lora]
    if not isinstance(lora, Iterable):
        raise TypeError(f"lora: got {lora!r}, want a path, several, or a dict of each path's weight")
    weighted = lora.items() if isinstance(lora, Mapping) else [(path, 1.0) for path in lora]  # the same path may come twice
    all_of_them: List[Dict[str, Any]] = [{"path": os.fsdecode(encode_path(path)), "weight": real("lora", weight)} for path, weight in weighted]
    for adapter in all_of_them:
        if not math.isfinite(adapter["weight"]):
            raise ValueError(f"lora: got the weight {adapter['weight']!r}, want a finite number")
    return all_of_them


def several(what: str, given: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"{what}: got {given!r:.80}, want a sequence of dicts")
    return list(given)


def encode_json(what: str, given: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(given, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from None
    return encode(text, what)


def integer(what: str, value: Any, least: int, most: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{what}: got {value!r}, want a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{what}: got {number}, want {least} to {most}")
    return number


def real(what: str, value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{what}: got {value!r}, want a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{what}: got a number of more digits than a float holds") from None


def as_ids(tokens: Union[SupportsIndex, Tokens]) -> array.array[int]:
    """Token ids as the library takes them; it checks them against V."""
    try:
        several = [operator.index(tokens)]  # type: ignore[arg-type]
    except TypeError:  # an array of numpy's has __index__ too
        try:
            if isinstance(tokens, (str, bytes)):
                raise TypeError
            several = [operator.index(token) for token in tokens]  # type: ignore[union-attr]
        except TypeError:
            raise TypeError(f"token ids: got {tokens!r:.80}, want a whole number or several") from None
    try:
        return array.array("I", several)
    except OverflowError:
        raise ValueError("token id out of range: want a number of 32 bits that is not negative") from None


def address(values: array.array[Any]) -> int:
    return values.buffer_info()[0]
