#!/usr/bin/env python3
"""A LoRA step of a Qwen3-shaped model in PyTorch with PEFT, in float32 on the processor: what bitgpu's own is measured beside. A
peer, never a dependency; see ../README.md. Nothing is downloaded but packages: the model has random weights."""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

PACKAGES = ["torch", "transformers", "peft"]

# Of the shapes that `bitgpu bench --family` knows, the ones that this peer makes.
SHAPES = {
    "qwen3-100M": dict(vocab_size=32000, hidden_size=640, num_hidden_layers=16, intermediate_size=1920, num_attention_heads=10,
                       num_key_value_heads=5, head_dim=64),
    "qwen3-100M-tiny": dict(vocab_size=512, hidden_size=256, num_hidden_layers=2, intermediate_size=512, num_attention_heads=4,
                            num_key_value_heads=2, head_dim=64),
}


def install(folder):
    """Makes a virtual environment with what is needed, and runs this again in it."""
    python = pathlib.Path(folder) / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
    done = subprocess.run([python, "-c", "import " + ", ".join(PACKAGES)], stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
    rest = sys.argv[1:]
    at = rest.index("--install")
    os.execv(python, [str(python), __file__, *rest[:at], *rest[at + 2:]])


def model(shape, rank, tokens):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(1)
    config = Qwen3Config(**shape, max_position_embeddings=tokens, rms_norm_eps=1e-6, rope_theta=1e6, tie_word_embeddings=True,
                         attention_bias=False, use_cache=False, attn_implementation="sdpa")
    plain = Qwen3ForCausalLM(config).to(torch.float32)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return get_peft_model(plain, LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, target_modules=names))


def measure(o):
    """Seconds of each of o.repeats steps, and the bytes of the program at their end and at the most."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(o.threads)
    lora = model(SHAPES[o.key.removeprefix("family/")], o.rank, o.learn).train()
    optimizer = torch.optim.AdamW([p for p in lora.parameters() if p.requires_grad], lr=1e-4, weight_decay=0)
    vocab = lora.config.vocab_size
    ids = torch.randint(vocab, (1, o.learn + 1))

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = lora(input_ids=ids[:, :-1]).logits
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lora.parameters(), 1)
        optimizer.step()
        return loss.item()

    for _ in range(2):
        step()
    seconds = []
    for _ in range(o.repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, peak


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--install", metavar="DIR", help="make a virtual environment in DIR with PyTorch and PEFT from PyPI, and use it")
    p.add_argument("--key", default="family/qwen3-100M")
    p.add_argument("--learn", type=int, default=512, help="tokens of a step")
    p.add_argument("--rank", type=int, default=8)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    for name in ["gguf", "type", "prompt", "text"]:  # of other rows
        p.add_argument("--" + name)
    o = p.parse_args()
    if o.install:
        install(o.install)
    if o.key.removeprefix("family/") not in SHAPES:
        sys.exit(f"--key: got {o.key}, want one of " + ", ".join("family/" + s for s in SHAPES))
    import peft
    import torch

    seconds, peak = measure(o)
    seconds = [s / o.learn for s in seconds]
    json.dump([{
        "peer": f"PyTorch {torch.__version__}, PEFT {peft.__version__}", "device": "cpu", "key": o.key + "/learn/b1", "mixer": "f32", "resident": peak,
        "seconds": {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds), "count": len(seconds)},
    }], sys.stdout, indent="\t")


if __name__ == "__main__":
    main()
