// Backward of the gated delta rule, from dZ, a tile at a time (arXiv 2412.06464). Σ is the sum of g from a tile's first token
// on, γ_t = exp Σ_t, D_ts = exp(Σ_t − Σ_s) and δ_s = exp(Σ_last − Σ_s), whose exponents are never positive; K, Q and M = D ∘ QKᵀ
// are of the tile, W the state before it, E what its values were off by, F = β ∘ E. gated_reverse runs from the last tile to
// the first, a workgroup for SLAB rows of a head:
//
//     dF = lower(M)ᵀ·dZ + δ ∘ K·dWᵀ      dR = A⁻ᵀ (β ∘ dF)      dW ← γ_last·dW − (γ∘dR)ᵀ·K + (γ∘dZ)ᵀ·Q
//
// with A = I + strictly-lower(D ∘ KKᵀ)·diag β, and keeps dF, dR and the gradient dW of the state after each tile.
// gated_inputs then has all tiles at once:
//
//     X = D ∘ lower(dZ·Fᵀ)      P = −D ∘ strictly-lower(dR·Eᵀ)      S = P·diag β
//     dQ = γ∘dZ·W + X·K      dK = δ∘F·dW − γ∘dR·W + Xᵀ·Q + (S + Sᵀ)·K      dV = dR
//     dβ_t = Σ_i dF_ti·E_ti + Σ_{s>t} P_st·(k_s·k_t)
//
// and the gradient of Σ, whose sum from a token on is that of its g, from all that D, γ and δ are in.

#import shared/marks.wgsl
#import shared/spans.wgsl
#import shared/slab.wgsl

struct Params {
    heads: u32,      // V
    key_heads: u32,  // K
    key: u32,        // k
    value: u32,      // v
    channels: u32,   // of a row of qkv
    time: u32,       // T of a batch row
    length: u32,     // T
    span: u32,       // tokens of a tile
    keep: u32,       // span
    section: u32,    // n·V·v
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, channels) queries, keys, values
@group(0) @binding(2) var<storage, read> products: array<f32>;  // (n, K, 2, TILE) row t: k·k, then q·k
@group(0) @binding(3) var<storage, read> gates: array<vec4<f32>>;  // (n, V) β, Σ of the token, Σ of the tile's last, mark
@group(0) @binding(4) var<storage, read> states: array<f32>;  // (tiles, V, v, k) W before each tile
@group(0) @binding(5) var<storage, read_write> dstates: array<f32>;  // (tiles, V, v, k) dW after each, the last zero
@group(0) @binding(6) var<storage, read_write> work: array<f32>;  // (4, n, V·v) dZ, E, dR, dF
@group(0) @binding(7) var<storage, read_write> dqkv: array<f32>;  // (n, channels)
@group(0) @binding(8) var<storage, read_write> dgates: array<vec2<f32>>;  // (n, V) of β and g

const DZ = 0u;
const E = 1u;
const DR = 2u;
const DF = 3u;

var<workgroup> column: array<vec4<f32>, 64>;  // (SLAB, QUADS): dF, then dR

fn memory(at: u32) -> f32 {
    return dstates[at];
}

// Where the query of a value head lies; its key is K·k further.
fn query_at(row: u32, head: u32) -> u32 {
    return row * params.channels + head * params.key_heads / params.heads * params.key;
}

fn query(row: u32, head: u32, j: u32) -> f32 {
    return qkv[query_at(row, head) + j];
}

fn key(row: u32, head: u32, j: u32) -> f32 {
    return qkv[query_at(row, head) + params.key_heads * params.key + j];
}

fn gate(row: u32, head: u32) -> vec4<f32> {
    return gates[row * params.heads + head];
}

// The mark of token t of the tile that begins at a row (shared/marks.wgsl).
fn mark(row: u32, t: u32, head: u32) -> u32 {
    if PACKED == 1u {
        return u32(gate(row + t, head).w);
    }
    return ONE_DOCUMENT;
}

// The place in work of element i of a head.
fn place(section: u32, row: u32, head: u32, i: u32) -> u32 {
    return section * params.section + (row * params.heads + head) * params.value + i;
}

// The place of row t of k·k; q·k lies TILE further.
fn products_of(row: u32, head: u32) -> u32 {
    return (row * params.key_heads + head * params.key_heads / params.heads) * 2u * TILE;
}

// Workgroup (slab group.x, batch row and head group.y).
@compute @workgroup_size(64)
fn gated_reverse(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.y % params.heads;
    let seq = sequence(group.y / params.heads);
    let slab = group.x * SLAB;
    let tiles = (seq.count + params.span - 1u) / params.span;
    for (var left = tiles; left > 0u; left--) {
        let start = (left - 1u) * params.span;
        let count = min(params.span, seq.count - start);
        // Of the slab's first element in dstates.
        let after = (((seq.kept + left - 1u) * params.heads + head) * params.value + slab) * params.key;
        solve(seq.row + start, count, head, slab, after, thread);
        if left > 1u {
            storageBarrier();
            carry(seq.row + start, count, head, slab, after, thread);
            storageBarrier();
        }
    }
}

// Writes dF and dR of `count` tokens from `row` on, for the slab's columns.
fn solve(row: u32, count: u32, head: u32, slab: u32, after: u32, thread: u32) {
    let rows = min(SLAB, params.value - slab);
    let i = thread / QUADS;
    let quad = thread % QUADS;
    var v = slab_products(row, count, head, after, rows, params.key, thread);
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && i < rows {
            let g = gate(row + t, head);
            v[e] = select(0.0, v[e] * exp(g.z - g.y), stays(mark(row, t, head)));
            for (var s = t; s < count; s++) {
                v[e] += exp(gate(row + s, head).y - g.y) * products[products_of(row + s, head) + TILE + t] * work[place(DZ, row + s, head, slab + i)];
            }
            work[place(DF, row + t, head, slab + i)] = v[e];
        }
    }
    column[thread] = v;
    workgroupBarrier();
    if thread < SLAB {
        substitute(row, count, head, thread);
    }
    workgroupBarrier();
    v = column[thread];
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && i < rows {
            work[place(DR, row + t, head, slab + i)] = v[e];
        }
    }
}

// Solves Aᵀ·dR = β ∘ dF for column i of the slab, in place. Each row needs those below it only.
fn substitute(row: u32, count: u32, head: u32, i: u32) {
    for (var left = count; left > 0u; left--) {
        let t = left - 1u;
        let g = gate(row + t, head);
        var v = column[i * QUADS + t / 4u][t % 4u];
        for (var s = t + 1u; s < count; s++) {
            v -= exp(gate(row + s, head).y - g.y) * products[products_of(row + s, head) + t] * column[i * QUADS + s / 4u][s % 4u];
        }
        column[i * QUADS + t / 4u][t % 4u] = g.x * v;
    }
}

// Writes the gradient of the state before the tile.
fn carry(row: u32, count: u32, head: u32, slab: u32, after: u32, thread: u32) {
    let width = params.key;
    let before = after - params.heads * params.value * width;
    let kept = select(0.0, exp(gate(row, head).z), sees(mark(row, count - 1u, head), count - 1u));
    for (var j = thread; j < width; j += 64u) {
        var k: array<vec4<f32>, 4>;
        var q: array<vec4<f32>, 4>;
        for (var t = 0u; t < count; t++) {
            let left = select(0.0, exp(gate(row + t, head).y), sees(mark(row, t, head), t));
            k[t / 4u][t % 4u] = left * key(row + t, head, j);
            q[t / 4u][t % 4u] = left * query(row + t, head, j);
        }
        for (var i = 0u; i < min(SLAB, params.value - slab); i++) {
            var sum = kept * dstates[after + i * width + j];
            for (var t = 0u; t < count; t++) {
                sum += work[place(DZ, row + t, head, slab + i)] * q[t / 4u][t % 4u] -
                    work[place(DR, row + t, head, slab + i)] * k[t / 4u][t % 4u];
            }
            dstates[before + i * width + j] = sum;
        }
    }
}

var<workgroup> dz_tile: array<vec4<f32>, 64>;  // (16 columns, QUADS) γ ∘ dZ
var<workgroup> dr_tile: array<vec4<f32>, 64>;  // likewise, γ ∘ dR
var<workgroup> f_tile: array<vec4<f32>, 64>;   // likewise, δ ∘ F
var<workgroup> asked: array<f32, 256>;         // (TILE, TILE) X
var<workgroup> known: array<f32, 256>;         // (TILE, TILE) P
var<workgroup> pulls: array<vec4<f32>, 256>;   // (64, QUADS) of Σ, what the threads have
var<workgroup> lasts: array<f32, 64>;          // and of the last Σ beside that
var<workgroup> slopes: array<f32, 16>;         // (TILE) the gradient of Σ

// Workgroup (tile group.x, batch row and head of keys group.y), which takes the value heads that share it in turn.
@compute @workgroup_size(64)
fn gated_inputs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let key_head = group.y % params.key_heads;
    let seq = sequence(group.y / params.key_heads);
    let tile = tile_of(group.x, seq.count);
    let each = params.heads / params.key_heads;
    for (var h = 0u; h < each; h++) {
        let head = key_head * each + h;
        let state = ((seq.kept + tile.first / params.span) * params.heads + head) * params.value * params.key;
        inputs(seq.row + tile.first, tile.count, head, state, h > 0u, thread);
    }
}

// dV, dβ and dg of one value head, and its share of dQ and dK, which is added to the earlier ones or written first.
fn inputs(row: u32, count: u32, head: u32, state: u32, add: bool, thread: u32) {
    workgroupBarrier();
    for (var pair = thread; pair < TILE * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        var x = 0.0;
        var p = 0.0;
        if s <= t && t < count && reaches(mark(row, t, head), t - s) {
            for (var i = 0u; i < params.value; i++) {
                let error = work[place(E, row + s, head, i)];
                x += work[place(DZ, row + t, head, i)] * error;
                p -= work[place(DR, row + t, head, i)] * error;
            }
            let other = gate(row + s, head);
            let decay = exp(gate(row + t, head).y - other.y);
            x *= decay * other.x;
            p = select(decay * p, 0.0, s == t);
        }
        asked[pair] = x;
        known[pair] = p;
    }
    var pull: array<vec4<f32>, 4>;
    var last = 0.0;
    for (var first = 0u; first < params.key; first += 64u) {
        columns(row, count, head, state, first + thread, add, &pull, &last, thread);
    }
    for (var quad = 0u; quad < QUADS; quad++) {
        pulls[thread * QUADS + quad] = pull[quad];
    }
    lasts[thread] = last;
    workgroupBarrier();
    if thread < count {
        slopes[thread] = slope(row, count, head, thread);
    }
    workgroupBarrier();
    if thread < count {
        var dg = 0.0;
        for (var s = thread; s < count; s++) {
            if reaches(mark(row, s, head), s - thread) {
                dg += slopes[s];
            }
        }
        let own = mark(row, thread, head);
        for (var l = 0u; l < 64u; l++) {
            dg += select(0.0, lasts[l], stays(own));
        }
        dg = select(dg, 0.0, own / 2u == 0u);  // before the first token of a document nothing can decay
        dgates[(row + thread) * params.heads + head] = vec2<f32>(step_gradient(row, count, head, thread), dg);
    }
    for (var at = thread; at < count * params.value; at += 64u) {
        let t = at / params.value;
        let to = (row + t) * params.channels + 2u * params.key_heads * params.key + head * params.value + at % params.value;
        dqkv[to] = work[place(DR, row + t, head, at % params.value)];
    }
}

// dQ and dK of column j, and what it adds to the gradient of Σ and of the last Σ.
fn columns(row: u32, count: u32, head: u32, state: u32, j: u32, add: bool, pull: ptr<function, array<vec4<f32>, 4>>,
    last: ptr<function, f32>, thread: u32) {
    let width = params.key;
    let end = gate(row, head).z;
    var dq: array<vec4<f32>, 4>;  // γ∘dZ·W
    var dr: array<vec4<f32>, 4>;  // γ∘dR·W
    var df: array<vec4<f32>, 4>;  // δ∘F·dW
    var both = 0.0;               // ⟨W, dW⟩
    for (var start = 0u; start < params.value; start += 16u) {
        workgroupBarrier();
        for (var at = thread; at < 256u; at += 64u) {
            let t = at / 16u;
            let i = start + at % 16u;
            var v = vec3<f32>(0.0);
            if t < count && i < params.value {
                let g = gate(row + t, head);
                let own = mark(row, t, head);
                if sees(own, t) {
                    v = vec3<f32>(exp(g.y) * work[place(DZ, row + t, head, i)], exp(g.y) * work[place(DR, row + t, head, i)], 0.0);
                }
                if stays(own) {
                    v.z = exp(g.z - g.y) * g.x * work[place(E, row + t, head, i)];
                }
            }
            dz_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.x;
            dr_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.y;
            f_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.z;
        }
        workgroupBarrier();
        if j < width {
            for (var i = 0u; i < min(16u, params.value - start); i++) {
                let at = state + (start + i) * width + j;
                let w = states[at];
                let dw = dstates[at];
                both += w * dw;
                for (var quad = 0u; quad < QUADS; quad++) {
                    dq[quad] += dz_tile[i * QUADS + quad] * w;
                    dr[quad] += dr_tile[i * QUADS + quad] * w;
                    df[quad] += f_tile[i * QUADS + quad] * dw;
                }
            }
        }
    }
    if j >= width {
        return;
    }
    var ends = select(0.0, exp(end) * both, sees(mark(row, count - 1u, head), count - 1u));
    for (var t = 0u; t < count; t++) {
        var q = dq[t / 4u][t % 4u];
        let r = dr[t / 4u][t % 4u];
        let f = df[t / 4u][t % 4u];
        let mine = key(row + t, head, j);
        (*pull)[t / 4u][t % 4u] += query(row + t, head, j) * q - mine * (r + f);
        ends += mine * f;
        var k = f - r;
        for (var s = 0u; s < count; s++) {
            let other = key(row + s, head, j);
            q += asked[t * TILE + s] * other;
            k += asked[s * TILE + t] * query(row + s, head, j);
            k += (known[t * TILE + s] * gate(row + s, head).x + known[s * TILE + t] * gate(row + t, head).x) * other;
        }
        let to = query_at(row + t, head) + j;
        let key_to = to + params.key_heads * width;
        if add {
            q += dqkv[to];
            k += dqkv[key_to];
        }
        dqkv[to] = q;
        dqkv[key_to] = k;
    }
    *last += ends;
}

// The gradient of Σ_t through D in M and A and through γ and δ, without the share of the last token.
fn slope(row: u32, count: u32, head: u32, t: u32) -> f32 {
    var sum = 0.0;
    let beta = gate(row + t, head).x;
    for (var s = 0u; s < t; s++) {
        let at = products_of(row + t, head) + s;
        sum += asked[t * TILE + s] * products[at + TILE] + known[t * TILE + s] * gate(row + s, head).x * products[at];
    }
    for (var s = t + 1u; s < count; s++) {
        let at = products_of(row + s, head) + t;
        sum -= asked[s * TILE + t] * products[at + TILE] + known[s * TILE + t] * beta * products[at];
    }
    for (var l = 0u; l < 64u; l++) {
        sum += pulls[l * QUADS + t / 4u][t % 4u];
    }
    return sum;
}

// dβ of token t of a tile.
fn step_gradient(row: u32, count: u32, head: u32, t: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < params.value; i++) {
        sum += work[place(DF, row + t, head, i)] * work[place(E, row + t, head, i)];
    }
    for (var s = t + 1u; s < count; s++) {
        sum += known[s * TILE + t] * products[products_of(row + s, head) + t];
    }
    return sum;
}
