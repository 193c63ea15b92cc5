#!/usr/bin/env python3
"""The same model in PyTorch, as somebody would write it there: eager float32, and where there is CUDA also
with torch.compile and as a CUDA graph. It is a peer to measure beside, never a dependency; see README.md."""

import argparse
import json
import pathlib
import statistics
import struct
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CHUNK = 16  # tokens that the exact scan takes together


def quantize(w):
    """Q and gamma of BitNet b1.58, arXiv 2402.17764; halves are rounded away from zero."""
    gamma = w.abs().mean().clamp(min=1e-5)
    x = w / gamma
    return (x.sign() * (x.abs() + 0.5).floor()).clamp(-1, 1), gamma


class BitLinear(nn.Module):
    """y = s x Q^T; the gradient goes straight through the rounding."""

    def __init__(self, inputs, outputs, absmean):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (2 / inputs) ** 0.5)
        self.absmean = absmean
        self.fixed = None

    def forward(self, x):
        if self.fixed is not None:
            return F.linear(x, self.fixed)
        w = self.weight
        with torch.no_grad():
            q, gamma = quantize(w)
        straight = w / gamma
        straight = straight + (q - straight).detach()
        return F.linear(x, gamma * straight if self.absmean else straight)

    @torch.no_grad()
    def freeze(self):
        """Quantises once, for inference."""
        q, gamma = quantize(self.weight)
        self.fixed = gamma * q if self.absmean else q


class TTT(nn.Module):
    """The tied mixer under the sequential rule: W <- W - rate (W k - k) k^T."""

    def __init__(self, width, rate, absmean):
        super().__init__()
        self.rate = rate
        self.down = BitLinear(width, width // 4, absmean)
        self.up = BitLinear(width // 4, width, absmean)

    def keys(self, x):
        f = self.down(x)
        return f / (f.norm(dim=-1, keepdim=True) + 1e-6)

    def forward(self, x, state):
        """Reads x (B, T, D) a chunk at a time; returns y (B, T, D) and the state (B, d, d)."""
        k = self.keys(x)
        read = []
        for c in k.split(CHUNK, dim=1):
            r = c - c @ state.transpose(1, 2)
            a = self.rate * (c @ c.transpose(1, 2)).tril(-1)
            a = a + torch.eye(c.shape[1], device=c.device)
            e = torch.linalg.solve_triangular(a, r, upper=False, unitriangular=True)
            read.append(c - e)
            state = state + self.rate * e.transpose(1, 2) @ c
        return self.up(torch.cat(read, dim=1)), state

    def step(self, x, state):
        """Reads one token x (B, D) and changes the state in place."""
        k = self.keys(x)
        z = torch.bmm(state, k.unsqueeze(2)).squeeze(2)
        state.baddbmm_((k - z).unsqueeze(2), k.unsqueeze(1), alpha=self.rate)
        return self.up(z)


class MLP(nn.Module):
    def __init__(self, width, absmean):
        super().__init__()
        self.gate_proj = BitLinear(width, 4 * width, absmean)
        self.up_proj = BitLinear(width, 4 * width, absmean)
        self.down_proj = BitLinear(4 * width, width, absmean)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, width, rate, absmean):
        super().__init__()
        self.norm1 = nn.RMSNorm(width, eps=1e-5)
        self.ttt = TTT(width, rate, absmean)
        self.norm2 = nn.RMSNorm(width, eps=1e-5)
        self.mlp = MLP(width, absmean)


class Model(nn.Module):
    def __init__(self, vocab, width, layers, rate=0.1, absmean=True):
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(Block(width, rate, absmean) for _ in range(layers))
        self.norm_f = nn.RMSNorm(width, eps=1e-5)
        self.lm_head = nn.Linear(width, vocab, bias=False)

    def freeze(self):
        for m in self.modules():
            if isinstance(m, BitLinear):
                m.freeze()
        return self

    def states(self, batch):
        d = self.width // 4
        return [torch.zeros(batch, d, d, device=self.lm_head.weight.device) for _ in self.layers]

    def read(self, tokens, states):
        """The residual stream (B, T, D) after tokens (B, T), and the new states."""
        h, after = self.embed(tokens), []
        for block, state in zip(self.layers, states):
            y, state = block.ttt(block.norm1(h), state)
            after.append(state)
            h = h + y
            h = h + block.mlp(block.norm2(h))
        return h, after

    def forward(self, tokens):
        """Logits (B, T, V) of tokens (B, T) from an empty memory."""
        h, _ = self.read(tokens, self.states(tokens.shape[0]))
        return self.lm_head(self.norm_f(h))

    def step(self, tokens, states):
        """Logits (B, V) after one more token (B) of each sequence; changes the states."""
        h = self.embed(tokens)
        for block, state in zip(self.layers, states):
            h = h + block.ttt.step(block.norm1(h), state)
            h = h + block.mlp(block.norm2(h))
        return self.lm_head(self.norm_f(h))


def sample(logits):
    """Temperature 0.8 after top-k 40 and top-p 0.95, as the benchmark samples; tokens (B)."""
    top, ids = logits.topk(min(40, logits.shape[-1]))
    p = top.softmax(-1)
    p = (top / 0.8).softmax(-1) * (p.cumsum(-1) - p < 0.95)
    return ids.gather(1, p.multinomial(1)).squeeze(1)


class Meter:
    """Times what it is given on one device, and collects rows for `bitgpu bench --peer`."""

    def __init__(self, device, repeats, longest):
        self.device, self.repeats, self.longest, self.rows = device, repeats, longest, []
        self.name = torch.cuda.get_device_name() if device == "cuda" else "cpu"

    def once(self, run):
        start = time.perf_counter()
        run()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def add(self, peer, key, tokens, run):
        self.once(run)  # compiles, allocates
        seconds = [self.once(run)]
        if 0 < self.longest < seconds[0]:
            print(f"{key} with {peer}: measured once, it takes {seconds[0]:.1f} s", file=sys.stderr)
        else:
            seconds += [self.once(run) for _ in range(self.repeats - 1)]
        seconds = [s / tokens for s in seconds]
        sample = {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds), "count": len(seconds)}
        self.rows.append({
            "peer": f"PyTorch {torch.__version__} {peer}", "device": self.name, "key": key, "mixer": "tied", "seconds": sample,
        })


def measure(meter, width, layers, vocab, o):
    """Prompt, text and training of one size for every batch."""
    size = f"model/{width}x{layers}/V{vocab}"
    model = Model(vocab, width, layers).to(meter.device)
    inference = Model(vocab, width, layers).to(meter.device).eval().freeze()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)

    def tokens(*shape):
        return torch.randint(vocab, shape, device=meter.device)

    @torch.no_grad()
    def read(ids):
        h, _ = inference.read(ids, inference.states(ids.shape[0]))
        return inference.lm_head(inference.norm_f(h[:, -1]))

    def loss(inputs, targets):
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    for batch in o.batches:
        prompt = tokens(batch, max(o.prompt // batch, 16))
        inputs, targets = tokens(batch, o.context), tokens(batch, o.context)
        states, ids = inference.states(batch), tokens(batch)

        @torch.no_grad()
        def token(step=inference.step):
            ids.copy_(sample(step(ids, states)))

        def text(token):
            return lambda: [token() for _ in range(o.text)]

        def train(loss):
            def run():
                optimizer.zero_grad()
                loss(inputs, targets).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1)
                optimizer.step()
            return run

        meter.add("eager", f"{size}/prompt/b{batch}", prompt.numel(), lambda: read(prompt))
        meter.add("eager", f"{size}/text/b{batch}", batch * o.text, text(token))
        meter.add("eager", f"{size}/training/b{batch}", inputs.numel(), train(loss))
        if meter.device == "cuda" or o.compile:
            step = torch.compile(inference.step)
            meter.add("compiled", f"{size}/text/b{batch}", batch * o.text, text(lambda: token(step)))
            meter.add("compiled", f"{size}/training/b{batch}", inputs.numel(), train(torch.compile(loss)))
        if meter.device == "cuda":
            meter.add("CUDA graph", f"{size}/text/b{batch}", batch * o.text, text(graph(token)))


def graph(run):
    """What run does, recorded once as a CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        run()
    return g.replay


def read_safetensors(path):
    """The float32 and int32 tensors of a file."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    dtypes = {"F32": torch.float32, "I32": torch.int32}
    found = {}
    for name, t in header.items():
        start, end = (8 + length + i for i in t["data_offsets"])
        found[name] = torch.frombuffer(bytearray(data[start:end]), dtype=dtypes[t["dtype"]]).reshape(t["shape"])
    return found


@torch.no_grad()
def check(folder):
    """Holds the model against a folder of testdata/reference: read at once, and a token at a time."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    expected = read_safetensors(folder / "expected.safetensors")
    model = Model(config["vocab_size"], config["hidden_dim"], config["num_layers"], config["inner_lr"],
                  config.get("weight_scale", "none") == "absmean")
    model.load_state_dict(read_safetensors(folder / "model.safetensors"))
    tokens, want = expected["tokens"][:, :-1].long(), expected["logits.sequential"]
    states = model.states(tokens.shape[0])
    stepped = torch.stack([model.step(t, states) for t in tokens.T], dim=1)
    worst = max(((got - want).norm() / want.norm()).item() for got in (model(tokens), stepped))
    with torch.enable_grad():
        loss = F.cross_entropy(model(tokens).flatten(0, 1), expected["tokens"][:, 1:].long().flatten())
        loss.backward()
    for name, p in model.named_parameters():
        g = expected["grad." + name]
        worst = max(worst, ((p.grad - g).norm() / g.norm()).item())
    print(f"{folder.name}: logits and gradients differ by {worst:.1e} at most", file=sys.stderr)
    return worst < 1e-4


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--sizes", default="256x8x16384", help="WIDTHxLAYERSxVOCABULARY,…")
    p.add_argument("--batches", type=numbers, default=[1], help="sequences at once, 1,8,…")
    p.add_argument("--prompt", type=int, default=512, help="tokens of a prompt, all sequences together")
    p.add_argument("--text", type=int, default=64, help="tokens of text of each sequence")
    p.add_argument("--context", type=int, default=128, help="tokens of a sequence in training")
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--longest", type=float, default=0, help="seconds after which a row is not repeated, 0 for any")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--compile", action="store_true", help="torch.compile on the CPU too")
    p.add_argument("--check", nargs="+", metavar="FOLDER", help="only hold the model against folders of testdata/reference")
    o = p.parse_args()
    if o.check:
        sys.exit(0 if all([check(folder) for folder in o.check]) else 1)
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False  # float32 against float32
    meter = Meter(o.device, o.repeats, o.longest)
    for size in o.sizes.split(","):
        measure(meter, *map(int, size.split("x")), o)
    json.dump(meter.rows, sys.stdout, indent="\t")


if __name__ == "__main__":
    main()
