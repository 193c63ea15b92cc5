"""What a model is."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from typing import Optional

from ._values import integer


@dataclasses.dataclass(frozen=True)
class BitLlamaConfig:
    """What a model is, in the keys of its ``config.json``.

    The optional fields that are None are left to the file, or to their defaults where a file has no config.
    Raises ValueError where a number is not one.
    """

    vocab_size: int  #: V
    hidden_dim: int  #: D, a multiple of 4
    num_layers: int
    inner_lr: float  #: the step with which the memory learns, 0 to 2
    weight_scale: Optional[str] = None  #: "none" or "absmean"
    ttt_rule: Optional[str] = None  #: "sequential" or "minibatch"
    ttt_chunk: Optional[int] = None  #: of the minibatch rule
    ttt_mixer: Optional[str] = None  #: "tied" or "delta"
    ttt_dim: Optional[int] = None  #: d, of the delta mixer
    ttt_heads: Optional[int] = None  #: h, of the delta mixer
    mlp_dim: Optional[int] = None  #: H, the width inside the MLP, 4 times hidden_dim where it is None

    def __post_init__(self) -> None:
        required = ("vocab_size", "hidden_dim", "num_layers")
        for field in (*required, "ttt_chunk", "ttt_dim", "ttt_heads", "mlp_dim"):
            value = getattr(self, field)
            if value is not None or field in required:
                object.__setattr__(self, field, integer(field, value, 1, 2**31 - 1))
        if not isinstance(self.inner_lr, numbers.Real) or not math.isfinite(self.inner_lr):
            raise ValueError(f"inner_lr: got {self.inner_lr!r}, want a finite number")
        object.__setattr__(self, "inner_lr", float(self.inner_lr))

    def to_json(self) -> bytes:
        given = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(given).encode()
