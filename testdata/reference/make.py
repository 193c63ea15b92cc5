#!/usr/bin/env python3
"""Computes the reference vectors of a model in float64, from docs/equations.md and nothing else.

    python3 testdata/reference/make.py testdata/reference/d32-none            # compare with the vectors that are there
    python3 testdata/reference/make.py testdata/reference/d32-none new.safetensors    # write them to a file

It needs Python alone, and takes some ten seconds a model. The tests do not run it: they read the vectors. The tokens are those
of the vectors that are there; without any, random ones.

Everything is computed a token at a time, by the recurrences and not by their chunk forms. Gradients come from a tape: each
operation appends a function that carries its gradient back to its inputs (tape.py).
"""
import array, json, math, os, random, struct, sys

from tape import Matrix, Node, Tape, difference, sigmoid, silu


class Model:
    def __init__(self, config, weights):
        self.config, self.layers = config, config["num_layers"]
        self.delta = config.get("ttt_mixer", "tied") == "delta"
        self.width = config.get("ttt_dim", config["hidden_dim"] // 4)
        self.heads = config.get("ttt_heads", max(1, self.width // 64)) if self.delta else 1
        self.load(weights)

    def load(self, weights):
        """Takes masters, by name (shape, numbers), and quantises them."""
        scale, self.params = self.config.get("weight_scale", "none"), {}
        for name, (shape, values) in weights.items():
            if len(shape) == 1:
                self.params[name] = Node(list(values))
                continue
            rows = [list(values[i * shape[1]:(i + 1) * shape[1]]) for i in range(shape[0])]
            kept = name in ("embed.weight", "lm_head.weight") or ".conv_" in name or ".step." in name
            self.params[name] = Matrix(rows, not kept, scale)

    def forward(self, tape, tokens, chunk=None):
        """The logits after each token, the states in the end, and the last inputs of the convolutions. With a chunk it is the
        minibatch rule."""
        p, c = self.params, self.width // self.heads
        head = p["embed.weight" if self.config.get("tie_word_embeddings") else "lm_head.weight"]
        states = [[Node([0.0] * c * c) for _ in range(self.heads)] for _ in range(self.layers)]
        starts = [s[0] for s in states]
        tails = [[[Node([0.0] * self.width) for _ in range(3)] for _ in range(3)] for _ in range(self.layers)]
        logits = []
        for t, token in enumerate(tokens):
            h = tape.look_up(p["embed.weight"], token)
            for n in range(self.layers):
                at = "layers.%d." % n
                x = tape.rms_norm(h, p[at + "norm1.weight"])
                if self.delta:
                    out = self.mix(tape, at + "ttt.", x, states[n], tails[n])
                else:
                    if chunk and t % chunk == 0:
                        starts[n] = states[n][0]
                    k = tape.unit(tape.linear(p[at + "ttt.down.weight"], x))
                    out = tape.read(starts[n] if chunk else states[n][0], k)
                    states[n][0] = tape.write(states[n][0], -self.config["inner_lr"], difference(tape, out, k), k)
                h = tape.sum(h, tape.linear(p[at + "ttt.up.weight"], out))
                x = tape.rms_norm(h, p[at + "norm2.weight"])
                gate = tape.linear(p[at + "mlp.gate_proj.weight"], x)
                up = tape.linear(p[at + "mlp.up_proj.weight"], x)
                gated = tape.each(lambda a, b: a * b, lambda a, b: (b, a), silu(tape, gate), up)
                h = tape.sum(h, tape.linear(p[at + "mlp.down_proj.weight"], gated))
            logits.append(tape.linear(head, tape.rms_norm(h, p["norm_f.weight"])))
        return logits, states, tails

    def mix(self, tape, at, x, states, tails):
        """The delta mixer's outputs of all heads for one token."""
        p, c = self.params, self.width // self.heads
        kqv = []
        for i, (weight, taps) in enumerate((("down", "conv_key"), ("query", "conv_query"), ("value", "conv_value"))):
            u = tape.linear(p[at + weight + ".weight"], x)
            kqv.append(silu(tape, tape.convolve(p[at + taps + ".weight"], tails[i] + [u])))
            tails[i] = tails[i][1:] + [u]
        steps = tape.sum(tape.linear(p[at + "step.weight"], x), p[at + "step.bias"])
        steps = tape.each(sigmoid, lambda a: (sigmoid(a) * (1 - sigmoid(a)),), steps)
        outs = []
        for head in range(self.heads):
            k, q, v = (tape.part(a, head * c, (head + 1) * c) for a in kqv)
            k, q = tape.unit(k), tape.unit(q)
            e = difference(tape, v, tape.read(states[head], k))
            states[head] = tape.write(states[head], tape.part(steps, head, head + 1), e, k)
            outs.append(tape.rms_norm(tape.read(states[head], q), p[at + "norm.weight"]))
        return tape.join(outs)

    def gradients(self, rows):
        """The mean cross-entropy of all rows, and its gradients by name."""
        tape, count, loss = Tape(), sum(len(r) - 1 for r in rows), 0.0
        for row in rows:
            logits, _, _ = self.forward(tape, row[:-1])
            for node, target in zip(logits, row[1:]):
                loss += tape.cross_entropy(node, target, 1 / count)
        tape.backward()
        grads = {}
        for name, param in self.params.items():
            grads[name] = param.grad if isinstance(param, Node) else [a for row in param.grad for a in row]
        return loss, grads


def adamw(weights, moments, grads, step, rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    for name, (_, w) in weights.items():
        m, v = moments.setdefault(name, ([0.0] * len(w), [0.0] * len(w)))
        for i, g in enumerate(grads[name]):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            w[i] -= rate * decay * w[i]
            w[i] -= rate * (m[i] / (1 - beta1 ** step)) / (math.sqrt(v[i] / (1 - beta2 ** step)) + eps)


def read_tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, t in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            start, end = t["data_offsets"]
            values = array.array({"F32": "f", "I32": "i"}[t["dtype"]], data[8 + size + start:8 + size + end])
            tensors[name] = (t["shape"], [float(x) if t["dtype"] == "F32" else x for x in values])
    return tensors


def write_tensors(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        kind = "i" if name == "tokens" else "f"
        data = array.array(kind, values).tobytes()
        header[name] = {"dtype": {"i": "I32", "f": "F32"}[kind], "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def compute(directory):
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    weights = read_tensors(os.path.join(directory, "model.safetensors"))
    try:
        shape, ids = read_tensors(os.path.join(directory, "expected.safetensors"))["tokens"]
    except FileNotFoundError:
        shape = [2, 49]
        ids = [random.randrange(config["vocab_size"]) for _ in range(shape[0] * shape[1])]
    rows = [ids[i * shape[1]:(i + 1) * shape[1]] for i in range(shape[0])]
    out = {"tokens": (shape, ids)}
    model = Model(config, weights)
    batch, time, vocab, c = len(rows), shape[1] - 1, config["vocab_size"], model.width // model.heads
    rules = [("sequential", None)] + ([] if model.delta else [("minibatch16", 16)])
    for rule, chunk in rules:
        logits, states, tails = [], [], []
        for row in rows:
            l, s, u = model.forward(Tape(), row[:-1], chunk)
            logits += [a for node in l for a in node.value]
            states.append(s)
            tails.append(u)
        out["logits." + rule] = ([batch, time, vocab], logits)
        for n in range(model.layers):
            heads = [model.heads] if model.delta else []
            out["state.%s.%d" % (rule, n)] = ([batch] + heads + [c, c], [a for s in states for W in s[n] for a in W.value])
            if model.delta:
                out["conv.%s.%d" % (rule, n)] = ([batch, 3, 3, model.width], [a for u in tails for part in u[n] for x in part for a in x.value])
    losses, moments = [], {}
    for step in range(1, 4):
        model.load(weights)
        loss, grads = model.gradients(rows)
        if step == 1:
            out["loss"] = ([1], [loss])
            out.update({"grad." + name: (weights[name][0], g) for name, g in grads.items()})
        losses.append(loss)
        adamw(weights, moments, grads, step)
    out["adamw.losses"] = ([3], losses)
    out.update({"adamw.step3." + name: w for name, w in weights.items()})
    return out


def compare(directory, out):
    """Says how far the vectors lie apart, as a share of their length, and gives the largest."""
    worst = 0.0
    for name, (shape, values) in read_tensors(os.path.join(directory, "expected.safetensors")).items():
        if name not in out or out[name][0] != shape:
            sys.exit("%s: %s: got %s, want shape %s" % (directory, name, out.get(name, ["nothing"])[0], shape))
        apart = math.sqrt(sum((a - b) ** 2 for a, b in zip(values, out[name][1])))
        apart /= math.sqrt(sum(b * b for b in values)) or 1.0
        if apart > 1e-6:
            print("%s: relative error %.1e" % (name, apart))
        worst = max(worst, apart)
    return worst


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    vectors = compute(sys.argv[1])
    if len(sys.argv) == 3:
        write_tensors(sys.argv[2], vectors)
    else:
        error = compare(sys.argv[1], vectors)
        print("%s: largest relative error %.1e" % (sys.argv[1], error))
        sys.exit(error > 1e-6)
