"""What a model is."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from typing import Optional, get_type_hints

from ._values import integer, real


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
    hidden_act: Optional[str] = None  #: "silu" or "relu2", of the MLP's gate
    rms_norm_eps: Optional[float] = None  #: of all norms
    tie_word_embeddings: Optional[bool] = None  #: the head is the embedding

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), kinds[field.name]
            if value is None and kind in (Optional[int], Optional[float], Optional[bool]):
                continue
            if kind in (int, Optional[int]):
                value = integer(field.name, value, 1, 2**31 - 1)
            elif kind in (float, Optional[float]):
                if not isinstance(value, numbers.Real) or not math.isfinite(real(field.name, value)):
                    raise ValueError(f"{field.name}: got {value!r}, want a finite number")
                value = float(value)
            elif kind == Optional[bool] and not isinstance(value, bool):
                raise ValueError(f"{field.name}: got {value!r}, want True or False")
            object.__setattr__(self, field.name, value)

    def to_json(self) -> bytes:
        given = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(given).encode()
