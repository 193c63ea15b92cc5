// Backward of the tied scan, from dZ. tied_reverse runs from the last span to the first, a workgroup for SLAB rows:
//
//     dE = η·X·dWᵀ − dZ      dR = (I + η·strictly-lower G)⁻ᵀ dE      dW ← dW − dRᵀ·X
//
// and keeps dR and the gradient dW of the state after each span. tied_inputs then has all tiles at once:
//
//     dX = dZ + dR + η·E·dW − dR·W + (L + Lᵀ)·X      L = −η·strictly-lower(dR·Eᵀ)
//
// The minibatch rule has dR = dE and no L. E is X − Z.

#import shared/marks.wgsl
#import shared/spans.wgsl
#import shared/slab.wgsl

struct Params {
    width: u32,      // d
    time: u32,       // T of a batch row
    length: u32,     // T
    span: u32,       // tokens that begin with one state
    keep: u32,       // span
    minibatch: u32,  // 1: the minibatch rule
    rate: f32,       // η
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<f32>;  // (n, d) X
@group(0) @binding(2) var<storage, read> products: array<f32>;  // (n, TILE) G
@group(0) @binding(3) var<storage, read> z: array<f32>;  // (n, d)
@group(0) @binding(4) var<storage, read> dz: array<f32>;  // (n, d)
@group(0) @binding(5) var<storage, read> states: array<f32>;  // (spans, d, d) W before each span
@group(0) @binding(6) var<storage, read_write> dstates: array<f32>;  // (spans, d, d) dW after each span, the last zero
@group(0) @binding(7) var<storage, read_write> dr: array<f32>;  // (n, d)
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;  // (n, d)

var<workgroup> column: array<vec4<f32>, 64>;  // (SLAB, QUADS): dE, then dR

fn memory(at: u32) -> f32 {
    return dstates[at];
}

fn key(row: u32, head: u32, j: u32) -> f32 {
    return keys[row * params.width + j];
}

// The mark of token t of the tile that begins at a row (shared/marks.wgsl), which has the place of a key's product with itself.
fn mark(row: u32, t: u32) -> u32 {
    if PACKED == 1u {
        return u32(products[(row + t) * TILE + t]);
    }
    return ONE_DOCUMENT;
}

// Workgroup (slab group.x, batch row group.y).
@compute @workgroup_size(64)
fn tied_reverse(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let seq = sequence(group.y);
    let d = params.width;
    let slab = group.x * SLAB;
    let spans = (seq.count + params.span - 1u) / params.span;
    for (var left = spans; left > 0u; left--) {
        let start = (left - 1u) * params.span;
        let end = min(start + params.span, seq.count);
        let after = ((seq.kept + left - 1u) * d + slab) * d;  // of the slab's first element in dstates
        for (var t = start; t < end; t += TILE) {
            solve(seq.row + t, min(TILE, end - t), slab, after, thread);
        }
        if left > 1u {
            storageBarrier();
            for (var t = start; t < end; t += TILE) {
                carry(seq.row + t, min(TILE, end - t), slab, after, t == start, thread);
            }
            storageBarrier();
        }
    }
}

// Writes dR of `count` tokens from `row` on, for the slab's columns.
fn solve(row: u32, count: u32, slab: u32, after: u32, thread: u32) {
    let rows = min(SLAB, params.width - slab);
    let i = thread / QUADS;
    let quad = thread % QUADS;
    var v = params.rate * slab_products(row, count, 0u, after, rows, params.width, thread);
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && i < rows {
            v[e] = select(0.0, v[e], stays(mark(row, t))) - dz[(row + t) * params.width + slab + i];
        }
    }
    column[thread] = v;
    workgroupBarrier();
    if thread < SLAB && params.minibatch == 0u {
        substitute(row, count, thread);
    }
    workgroupBarrier();
    v = column[thread];
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && i < rows {
            dr[(row + t) * params.width + slab + i] = v[e];
        }
    }
}

// Solves (I + η·strictly-lower G)ᵀ·dR = dE for column i of the slab, in place. Each row needs those below it only.
fn substitute(row: u32, count: u32, i: u32) {
    for (var left = count; left > 0u; left--) {
        let t = left - 1u;
        var sum = 0.0;
        for (var s = t + 1u; s < count; s++) {
            sum += products[(row + s) * TILE + t] * column[i * QUADS + s / 4u][s % 4u];
        }
        column[i * QUADS + t / 4u][t % 4u] -= params.rate * sum;
    }
}

// Subtracts dRᵀ·X of `count` tokens from the gradient of the state before the span, which begins as that after it.
fn carry(row: u32, count: u32, slab: u32, after: u32, begin: bool, thread: u32) {
    let d = params.width;
    let before = after - d * d;
    let kept = sees(mark(row, count - 1u), count - 1u);
    for (var j = thread; j < d; j += 64u) {
        var x: array<vec4<f32>, 4>;
        for (var t = 0u; t < count; t++) {
            if sees(mark(row, t), t) {
                x[t / 4u][t % 4u] = keys[(row + t) * d + j];
            }
        }
        for (var i = 0u; i < min(SLAB, d - slab); i++) {
            var sum = 0.0;
            for (var t = 0u; t < count; t++) {
                sum += dr[(row + t) * d + slab + i] * x[t / 4u][t % 4u];
            }
            let at = i * d + j;
            if begin {
                dstates[before + at] = select(0.0, dstates[after + at], kept) - sum;
            } else {
                dstates[before + at] -= sum;
            }
        }
    }
}

var<workgroup> error_tile: array<vec4<f32>, 64>;  // (16 columns, QUADS) η·E
var<workgroup> dr_tile: array<vec4<f32>, 64>;     // likewise, dR
var<workgroup> both: array<f32, 256>;             // (TILE, TILE) L + Lᵀ

// Workgroup (tile group.x, batch row group.y, 64 columns group.z): a thread a column.
@compute @workgroup_size(64)
fn tied_inputs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let seq = sequence(group.y);
    let tile = tile_of(group.x, seq.count);
    let row = seq.row + tile.first;
    let d = params.width;
    let state = (seq.kept + tile.first / params.span) * d * d;
    for (var pair = thread; pair < TILE * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        if s <= t {
            var sum = 0.0;
            if s < t && t < tile.count && params.minibatch == 0u && reaches(mark(row, t), t - s) {
                for (var i = 0u; i < d; i++) {
                    let at = (row + s) * d + i;
                    sum -= params.rate * dr[(row + t) * d + i] * (keys[at] - z[at]);
                }
            }
            both[pair] = sum;
            both[s * TILE + t] = sum;
        }
    }
    let j = group.z * 64u + thread;
    var sum: array<vec4<f32>, 4>;
    for (var start = 0u; start < d; start += 16u) {
        workgroupBarrier();
        for (var at = thread; at < 256u; at += 64u) {
            let t = at / 16u;
            let i = start + at % 16u;
            var e = 0.0;
            var r = 0.0;
            if t < tile.count && i < d {
                let place = (row + t) * d + i;
                let own = mark(row, t);
                e = select(0.0, params.rate * (keys[place] - z[place]), stays(own));
                r = select(0.0, dr[place], sees(own, t));
            }
            error_tile[at % 16u * QUADS + t / 4u][t % 4u] = e;
            dr_tile[at % 16u * QUADS + t / 4u][t % 4u] = r;
        }
        workgroupBarrier();
        if j < d {
            for (var i = 0u; i < min(16u, d - start); i++) {
                let at = state + (start + i) * d + j;
                let dw = dstates[at];
                let w = states[at];
                for (var quad = 0u; quad < QUADS; quad++) {
                    sum[quad] += error_tile[i * QUADS + quad] * dw - dr_tile[i * QUADS + quad] * w;
                }
            }
        }
    }
    if j >= d {
        return;
    }
    for (var t = 0u; t < tile.count; t++) {
        let at = (row + t) * d + j;
        var v = sum[t / 4u][t % 4u] + dz[at] + dr[at];
        for (var s = 0u; s < tile.count; s++) {
            v += both[t * TILE + s] * keys[(row + s) * d + j];
        }
        dx[at] = v;
    }
}
