// Backward of the delta rule, from dZ. delta_reverse runs from the last span to the first, a workgroup for SLAB rows
// of a head:
//
//     dF = lower(M)ᵀ·dZ + K·dWᵀ      dR = A⁻ᵀ (β ∘ dF)      dW ← dW − dRᵀ·K + dZᵀ·Q      A = I + strictly-lower(G)·diag β
//
// and keeps dF, dR and the gradient dW of the state after each span. delta_inputs then has all tiles at once:
//
//     N = lower(dZ·Fᵀ)      P = −strictly-lower(dR·Eᵀ)      S = P·diag β
//     dQ = dZ·W + N·K      dK = F·dW − dR·W + Nᵀ·Q + (S + Sᵀ)·K      dV = dR
//     dβ_t = Σ_i dF_ti·E_ti + Σ_{s>t} P_st·G_st

#import shared/marks.wgsl
#import shared/spans.wgsl
#import shared/slab.wgsl

struct Params {
    width: u32,    // d
    head: u32,     // c, the width of a head
    heads: u32,    // h
    time: u32,     // T of a batch row
    length: u32,   // T
    span: u32,     // tokens that begin with one state
    keep: u32,     // span
    section: u32,  // n·d
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(2) var<storage, read> kqv: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(3) var<storage, read> products: array<f32>;  // (n, h, 2, TILE) row t: G, then M
@group(0) @binding(4) var<storage, read> states: array<f32>;  // (spans, h, c, c) W before each span
@group(0) @binding(5) var<storage, read_write> dstates: array<f32>;  // (spans, h, c, c) dW after each, the last zero
@group(0) @binding(6) var<storage, read_write> work: array<f32>;  // (4, n, d) dZ, E, dR, dF
@group(0) @binding(7) var<storage, read_write> dkqv: array<f32>;  // (n, 3, d)
@group(0) @binding(8) var<storage, read_write> dbeta: array<f32>;  // (n, h)

const DZ = 0u;
const E = 1u;
const DR = 2u;
const DF = 3u;

var<workgroup> column: array<vec4<f32>, 64>;  // (SLAB, QUADS): dF, then dR

fn memory(at: u32) -> f32 {
    return dstates[at];
}

// Element j of a head's key (which = 0), query (1) or value (2).
fn seen(row: u32, which: u32, head: u32, j: u32) -> f32 {
    return kqv[(3u * row + which) * params.width + head * params.head + j];
}

fn key(row: u32, head: u32, j: u32) -> f32 {
    return seen(row, 0u, head, j);
}

// The place in work of element i of a head.
fn place(section: u32, row: u32, head: u32, i: u32) -> u32 {
    return section * params.section + row * params.width + head * params.head + i;
}

// The place of row t of G; M lies TILE further.
fn products_of(row: u32, head: u32) -> u32 {
    return (row * params.heads + head) * 2u * TILE;
}

// The mark of token t of the tile that begins at a row (shared/marks.wgsl), which has the place of a key's product with itself.
fn mark(row: u32, t: u32, head: u32) -> u32 {
    if PACKED == 1u {
        return u32(products[((row + t) * params.heads + head) * 2u * TILE + t]);
    }
    return ONE_DOCUMENT;
}

// Workgroup (slab group.x, batch row and head group.y).
@compute @workgroup_size(64)
fn delta_reverse(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.y % params.heads;
    let seq = sequence(group.y / params.heads);
    let c = params.head;
    let slab = group.x * SLAB;
    let spans = (seq.count + params.span - 1u) / params.span;
    for (var left = spans; left > 0u; left--) {
        let start = (left - 1u) * params.span;
        let count = min(params.span, seq.count - start);
        // Of the slab's first element in dstates.
        let after = (((seq.kept + left - 1u) * params.heads + head) * c + slab) * c;
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
    let rows = min(SLAB, params.head - slab);
    let i = thread / QUADS;
    let quad = thread % QUADS;
    var v = slab_products(row, count, head, after, rows, params.head, thread);
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && i < rows {
            v[e] = select(0.0, v[e], stays(mark(row, t, head)));
            for (var s = t; s < count; s++) {
                v[e] += products[products_of(row + s, head) + TILE + t] * work[place(DZ, row + s, head, slab + i)];
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
        var v = column[i * QUADS + t / 4u][t % 4u];
        for (var s = t + 1u; s < count; s++) {
            v -= products[products_of(row + s, head) + t] * column[i * QUADS + s / 4u][s % 4u];
        }
        column[i * QUADS + t / 4u][t % 4u] = beta[(row + t) * params.heads + head] * v;
    }
}

// Writes the gradient of the state before the span.
fn carry(row: u32, count: u32, head: u32, slab: u32, after: u32, thread: u32) {
    let c = params.head;
    let before = after - params.heads * c * c;
    let kept = sees(mark(row, count - 1u, head), count - 1u);
    for (var j = thread; j < c; j += 64u) {
        var k: array<vec4<f32>, 4>;
        var q: array<vec4<f32>, 4>;
        for (var t = 0u; t < count; t++) {
            if sees(mark(row, t, head), t) {
                k[t / 4u][t % 4u] = seen(row + t, 0u, head, j);
                q[t / 4u][t % 4u] = seen(row + t, 1u, head, j);
            }
        }
        for (var i = 0u; i < min(SLAB, c - slab); i++) {
            var sum = select(0.0, dstates[after + i * c + j], kept);
            for (var t = 0u; t < count; t++) {
                sum += work[place(DZ, row + t, head, slab + i)] * q[t / 4u][t % 4u] -
                    work[place(DR, row + t, head, slab + i)] * k[t / 4u][t % 4u];
            }
            dstates[before + i * c + j] = sum;
        }
    }
}

var<workgroup> dz_tile: array<vec4<f32>, 64>;  // (16 columns, QUADS)
var<workgroup> dr_tile: array<vec4<f32>, 64>;  // likewise
var<workgroup> f_tile: array<vec4<f32>, 64>;   // likewise, β ∘ E
var<workgroup> asked: array<f32, 256>;         // (TILE, TILE) N
var<workgroup> known: array<f32, 256>;         // (TILE, TILE) P

// Workgroup (tile group.x, batch row and head group.y, 64 columns group.z): a thread a column.
@compute @workgroup_size(64)
fn delta_inputs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.y % params.heads;
    let seq = sequence(group.y / params.heads);
    let tile = tile_of(group.x, seq.count);
    let row = seq.row + tile.first;
    let c = params.head;
    let state = ((seq.kept + tile.first / params.span) * params.heads + head) * c * c;
    for (var pair = thread; pair < TILE * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        var n = 0.0;
        var p = 0.0;
        if s <= t && t < tile.count && reaches(mark(row, t, head), t - s) {
            for (var i = 0u; i < c; i++) {
                let error = work[place(E, row + s, head, i)];
                n += work[place(DZ, row + t, head, i)] * error;
                p -= work[place(DR, row + t, head, i)] * error;
            }
            n *= beta[(row + s) * params.heads + head];
            p = select(p, 0.0, s == t);
        }
        asked[pair] = n;
        known[pair] = p;
    }
    workgroupBarrier();
    if group.z == 0u && thread < tile.count {
        step_gradient(row, tile.count, head, thread);
    }
    let j = group.z * 64u + thread;
    var dq: array<vec4<f32>, 4>;
    var dk: array<vec4<f32>, 4>;
    for (var start = 0u; start < c; start += 16u) {
        workgroupBarrier();
        for (var at = thread; at < 256u; at += 64u) {
            let t = at / 16u;
            let i = start + at % 16u;
            var v = vec3<f32>(0.0);
            if t < tile.count && i < c {
                let own = mark(row, t, head);
                if sees(own, t) {
                    v = vec3<f32>(work[place(DZ, row + t, head, i)], work[place(DR, row + t, head, i)], 0.0);
                }
                if stays(own) {
                    v.z = work[place(E, row + t, head, i)] * beta[(row + t) * params.heads + head];
                }
            }
            dz_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.x;
            dr_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.y;
            f_tile[at % 16u * QUADS + t / 4u][t % 4u] = v.z;
        }
        workgroupBarrier();
        if j < c {
            for (var i = 0u; i < min(16u, c - start); i++) {
                let at = state + (start + i) * c + j;
                let w = states[at];
                let dw = dstates[at];
                for (var quad = 0u; quad < QUADS; quad++) {
                    dq[quad] += dz_tile[i * QUADS + quad] * w;
                    dk[quad] += f_tile[i * QUADS + quad] * dw - dr_tile[i * QUADS + quad] * w;
                }
            }
        }
    }
    if j >= c {
        return;
    }
    for (var t = 0u; t < tile.count; t++) {
        var q = dq[t / 4u][t % 4u];
        var k = dk[t / 4u][t % 4u];
        for (var s = 0u; s < tile.count; s++) {
            let other = seen(row + s, 0u, head, j);
            q += asked[t * TILE + s] * other;
            k += asked[s * TILE + t] * seen(row + s, 1u, head, j);
            k += (known[t * TILE + s] * beta[(row + s) * params.heads + head] +
                known[s * TILE + t] * beta[(row + t) * params.heads + head]) * other;
        }
        let at = 3u * (row + t) * params.width + head * c + j;
        dkqv[at] = k;
        dkqv[at + params.width] = q;
        dkqv[at + 2u * params.width] = work[place(DR, row + t, head, j)];
    }
}

// Writes dβ of token t of a tile.
fn step_gradient(row: u32, count: u32, head: u32, t: u32) {
    var sum = 0.0;
    for (var i = 0u; i < params.head; i++) {
        sum += work[place(DF, row + t, head, i)] * work[place(E, row + t, head, i)];
    }
    for (var s = t + 1u; s < count; s++) {
        sum += known[s * TILE + t] * products[products_of(row + s, head) + t];
    }
    dbeta[(row + t) * params.heads + head] = sum;
}
