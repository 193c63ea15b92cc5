# Writes blocks.safetensors: random blocks and what gguf-py makes of them.  pip install gguf==0.19.0 numpy
import json, struct
import numpy as np
from gguf import GGMLQuantizationType as T, quants

random = np.random.default_rng(11)
header, data = {}, b""


def add(name, dtype, shape, raw):
    global data
    header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw


# type, weights and bytes of a block, places of its float16 scales
for t, weights, size, scales in ((T.Q4_0, 32, 18, [0]), (T.Q8_0, 32, 34, [0]), (T.Q4_K, 256, 144, [0, 2]), (T.Q6_K, 256, 210, [208]),
                                 (T.TQ1_0, 256, 54, [52]), (T.TQ2_0, 256, 66, [64]), (T.BF16, 1, 2, [])):
    blocks = random.integers(0, 256, (4 if weights > 1 else 64, size), dtype=np.uint8)
    for at in scales:
        blocks[:, at + 1] = (blocks[:, at + 1] & 0x83) | 0x28  # finite
    if t == T.BF16:
        blocks[:, 1] = (blocks[:, 1] & 0x80) | 0x3F
    if t == T.TQ2_0:
        q = blocks[:, :64]
        blocks[:, :64] = q & ~((q & (q >> 1) & 0x55) * 2)  # no code 3
    floats = quants.dequantize(blocks, t).astype(np.float32)
    add(t.name, "U8", blocks.shape, blocks.tobytes())
    add(t.name + ".floats", "F32", (len(blocks), weights), floats.tobytes())

text = json.dumps(header).encode()
text += b" " * (-len(text) % 64)
with open("blocks.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
