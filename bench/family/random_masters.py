"""Writes small models of Qwen3's and BitNet's shape with random float masters, as Hugging Face has them, for docs/learn.md to train.

usage: python random_masters.py TOKENIZER.json OUT      (numpy only; makes OUT/qwen3 and OUT/bitnet)
"""
import json, os, shutil, struct, sys
import numpy as np

WIDTH, LAYERS, HEADS, KV_HEADS, HEAD_WIDTH, MLP, VOCAB = 256, 4, 4, 2, 64, 704, 1024


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, x in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for x in tensors.values():
            f.write(x.tobytes())


def model(folder, tokenizer, bitnet):
    random = np.random.default_rng(1)
    normal = lambda *shape: (0.02 * random.standard_normal(shape)).astype("f4")
    ones = lambda *shape: np.ones(shape, "f4")
    inner, kv = HEADS * HEAD_WIDTH, KV_HEADS * HEAD_WIDTH
    tensors = {"model.embed_tokens.weight": normal(VOCAB, WIDTH), "model.norm.weight": ones(WIDTH)}
    if not bitnet:
        tensors["lm_head.weight"] = normal(VOCAB, WIDTH)
    for i in range(LAYERS):
        layer = {
            "input_layernorm": ones(WIDTH), "post_attention_layernorm": ones(WIDTH),
            "self_attn.q_proj": normal(inner, WIDTH), "self_attn.k_proj": normal(kv, WIDTH), "self_attn.v_proj": normal(kv, WIDTH),
            "self_attn.o_proj": normal(WIDTH, inner),
            "mlp.gate_proj": normal(MLP, WIDTH), "mlp.up_proj": normal(MLP, WIDTH), "mlp.down_proj": normal(WIDTH, MLP),
        }
        if bitnet:
            layer |= {"self_attn.attn_sub_norm": ones(inner), "mlp.ffn_sub_norm": ones(MLP)}
        else:
            layer |= {"self_attn.q_norm": ones(HEAD_WIDTH), "self_attn.k_norm": ones(HEAD_WIDTH)}
        tensors |= {f"model.layers.{i}.{name}.weight": x for name, x in layer.items()}
    config = {
        "architectures": ["BitNetForCausalLM" if bitnet else "Qwen3ForCausalLM"], "model_type": "bitnet" if bitnet else "qwen3",
        "vocab_size": VOCAB, "hidden_size": WIDTH, "intermediate_size": MLP, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_WIDTH, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "relu2" if bitnet else "silu", "tie_word_embeddings": bitnet, "torch_dtype": "float32",
    }
    if bitnet:
        config["quantization_config"] = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}
    else:
        config["bitgpu_masters"] = {"group": 64}
    os.makedirs(folder, exist_ok=True)
    write_safetensors(f"{folder}/model.safetensors", tensors)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f, indent=1)
    shutil.copy(tokenizer, f"{folder}/tokenizer.json")


if __name__ == "__main__":
    model(sys.argv[2] + "/qwen3", sys.argv[1], False)
    model(sys.argv[2] + "/bitnet", sys.argv[1], True)
