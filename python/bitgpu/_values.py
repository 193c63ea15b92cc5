"""What the library takes and gives, from and to Python's values."""

from __future__ import annotations

import array
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


def floats(logits: array.array[float], rows: Optional[int] = None) -> Floats:
    """The numbers as numpy's where it is installed; in so many rows, if any."""
    size = 0 if not rows else len(logits) // rows
    if numpy is not None:
        values = numpy.frombuffer(logits, numpy.float32)
        return values if rows is None else values.reshape(rows, size)
    several: Any = logits if rows is None else [logits[row * size : (row + 1) * size] for row in range(rows)]
    return several


def encode(text: str, what: str = "text") -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what}: got {text!r}, want a str")
    return text.encode()


def encode_name(what: str, text: str) -> bytes:
    raw = encode(text, what)
    if not raw and what != "stop":
        raise ValueError(f"{what}: got '', want a word or None")
    if b"\0" in raw:
        raise ValueError(f"{what}: got {text!r}, want a text without zeros")
    return raw


def encode_path(path: Path) -> bytes:
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise ValueError(f"path: got {path!r}, want one without zeros")
    return raw


def adapters(lora: Union[Path, Sequence[Path], Mapping[Path, float]]) -> List[Dict[str, Any]]:
    """Gives adapters as the library takes them, each with its weight."""
    if isinstance(lora, (str, bytes, os.PathLike)):
        lora = [lora]
    if not isinstance(lora, Iterable):
        raise TypeError(f"lora: got {lora!r}, want a path, several, or a dict of each path's weight")
    weights = lora if isinstance(lora, Mapping) else {path: 1.0 for path in lora}
    all_of_them: List[Dict[str, Any]] = [{"path": os.fsdecode(encode_path(path)), "weight": real("lora", weight)} for path, weight in weights.items()]
    for adapter in all_of_them:
        if not math.isfinite(adapter["weight"]):
            raise ValueError(f"lora: got the weight {adapter['weight']!r}, want a finite number")
    return all_of_them


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
    return float(value)


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
