"""Operations on vectors in float64 that record how gradients go back; make.py computes with them.

Gradients come from a tape: each operation appends a function that carries its gradient back to its inputs.
"""
import math
from operator import mul


def dot(a, b):
    return sum(map(mul, a, b))


class Node:
    """A vector with its gradient."""

    def __init__(self, value):
        self.value, self.grad = value, [0.0] * len(value)

    def add(self, grad, factor=1.0):
        self.grad = [a + factor * b for a, b in zip(self.grad, grad)]


class Matrix:
    """A parameter (rows, columns), with what it is multiplied as: itself, or its ternary form."""

    def __init__(self, rows, ternary, scale):
        self.rows, self.ternary, self.absmean = rows, ternary, scale == "absmean"
        self.grad = [[0.0] * len(row) for row in rows]
        self.used, self.factor, self.straight = rows, 1.0, 1.0
        if ternary:
            count = len(rows) * len(rows[0])
            gamma = max(sum(abs(w) for row in rows for w in row) / count, 1e-5)
            self.used = [[max(-1, min(1, half_away(w / gamma))) for w in row] for row in rows]
            self.factor = gamma if self.absmean else 1.0
            self.straight = 1.0 if self.absmean else 1 / gamma
        self.columns = list(zip(*self.used))


def half_away(x):
    return math.copysign(math.floor(abs(x) + 0.5), x)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


class Tape:
    def __init__(self):
        self.steps = []

    def backward(self):
        for step in reversed(self.steps):
            step()

    def linear(self, w, x):
        y = Node([w.factor * dot(row, x.value) for row in w.used])

        def back():
            for grad, dy in zip(w.grad, y.grad):
                if dy:
                    f = w.straight * dy
                    grad[:] = [a + f * b for a, b in zip(grad, x.value)]
            x.add([dot(column, y.grad) for column in w.columns], w.factor)

        self.steps.append(back)
        return y

    def look_up(self, table, token):
        y = Node(list(table.rows[token]))

        def back():
            table.grad[token] = [a + b for a, b in zip(table.grad[token], y.grad)]

        self.steps.append(back)
        return y

    def sum(self, a, b):
        y = Node([p + q for p, q in zip(a.value, b.value)])

        def back():
            a.add(y.grad)
            b.add(y.grad)

        self.steps.append(back)
        return y

    def rms_norm(self, x, gain):
        n = len(x.value)
        r = 1 / math.sqrt(dot(x.value, x.value) / n + 1e-5)
        y = Node([r * a * g for a, g in zip(x.value, gain.value)])

        def back():
            gain.add([r * a * d for a, d in zip(x.value, y.grad)])
            g = [a * b for a, b in zip(y.grad, gain.value)]
            mean = dot(g, x.value) / n
            x.add([r * (a - b * r * r * mean) for a, b in zip(g, x.value)])

        self.steps.append(back)
        return y

    def each(self, f, slope, *inputs):
        """f of the elements of each input, and its derivative by each of them."""
        y = Node([f(*v) for v in zip(*(x.value for x in inputs))])

        def back():
            slopes = [slope(*v) for v in zip(*(x.value for x in inputs))]
            for i, x in enumerate(inputs):
                x.add([s[i] * d for s, d in zip(slopes, y.grad)])

        self.steps.append(back)
        return y

    def unit(self, f):
        """f / (‖f‖ + 1e-6)"""
        length = math.sqrt(dot(f.value, f.value))
        s = 1 / (length + 1e-6)
        k = Node([s * a for a in f.value])

        def back():
            f.add(k.grad, s)
            if length > 0:
                f.add(f.value, -s * s * dot(f.value, k.grad) / length)

        self.steps.append(back)
        return k

    def part(self, x, start, end):
        y = Node(x.value[start:end])

        def back():
            for i, d in enumerate(y.grad):
                x.grad[start + i] += d

        self.steps.append(back)
        return y

    def join(self, parts):
        y = Node([a for p in parts for a in p.value])

        def back():
            at = 0
            for p in parts:
                p.add(y.grad[at:at + len(p.value)])
                at += len(p.value)

        self.steps.append(back)
        return y

    def read(self, W, k):
        """W·k of a state W (c, c), row by row in one vector."""
        c = len(k.value)
        z = Node([dot(W.value[i * c:(i + 1) * c], k.value) for i in range(c)])

        def back():
            W.add([d * b for d in z.grad for b in k.value])
            k.add([dot(W.value[i::c], z.grad) for i in range(c)])

        self.steps.append(back)
        return z

    def write(self, W, rate, e, k):
        """W + rate·e·kᵀ; rate is a number or a node of one."""
        fixed = not isinstance(rate, Node)
        r = rate if fixed else rate.value[0]
        c = len(k.value)
        after = Node([w + r * a * b for w, (a, b) in zip(W.value, ((a, b) for a in e.value for b in k.value))])

        def back():
            W.add(after.grad)
            rows = [dot(after.grad[i * c:(i + 1) * c], k.value) for i in range(c)]
            e.add(rows, r)
            k.add([dot(after.grad[j::c], e.value) for j in range(c)], r)
            if not fixed:
                rate.grad[0] += dot(rows, e.value)

        self.steps.append(back)
        return after

    def convolve(self, taps, inputs):
        """Σ taps[j, i]·inputs[i][j] over four inputs, the oldest first."""
        y = Node([sum(taps.rows[j][i] * inputs[i].value[j] for i in range(4)) for j in range(len(taps.rows))])

        def back():
            for j, d in enumerate(y.grad):
                for i in range(4):
                    taps.grad[j][i] += d * inputs[i].value[j]
                    inputs[i].grad[j] += d * taps.rows[j][i]

        self.steps.append(back)
        return y

    def cross_entropy(self, logits, target, share):
        top = max(logits.value)
        powers = [math.exp(a - top) for a in logits.value]
        total = sum(powers)

        def back():
            logits.add(powers, share / total)
            logits.grad[target] -= share

        self.steps.append(back)
        return share * (math.log(total) + top - logits.value[target])


def silu(tape, x):
    return tape.each(lambda a: a * sigmoid(a), lambda a: (sigmoid(a) * (1 + a * (1 - sigmoid(a))),), x)


def difference(tape, a, b):
    return tape.each(lambda p, q: p - q, lambda p, q: (1.0, -1.0), a, b)
