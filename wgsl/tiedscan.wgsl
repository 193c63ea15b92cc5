// The tied mixer's memory. Several tokens: tied_keys makes unit keys X and, a tile, the products G = X·Xᵀ; then
// tied_scan runs, from span to span,
//
//     R = X − X·Wᵀ      E = (I + η·strictly-lower G)⁻¹ R      Z = X − E      W ← W + η·Eᵀ·X
//
// with a workgroup for SLAB rows of W, which do not depend on the other rows. The minibatch rule has E = R. One token: tied_step. In a
// sequence of several documents, which only the exact rule supports, G is zero between documents, and the state before a tile only
// concerns the tokens of its document.

#import shared/documents.wgsl
#import shared/marks.wgsl
#import shared/slots.wgsl
#import shared/spans.wgsl
#import shared/slab.wgsl
#import shared/reduce.wgsl

struct Params {
    width: u32,      // d
    time: u32,       // T of a batch row
    length: u32,     // tokens of a sequence
    span: u32,       // tokens that begin with one state
    keep: u32,       // tokens between the states kept
    minibatch: u32,  // 1: the minibatch rule
    rate: f32,       // η
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> f: array<f32>;  // (n, d)
@group(0) @binding(2) var<storage, read_write> keys: array<f32>;  // (n, d)
@group(0) @binding(3) var<storage, read_write> products: array<f32>;  // (n, TILE) row t: its key times those of its tile
@group(0) @binding(4) var<storage, read_write> state: array<f32>;  // (S, d, d)
@group(0) @binding(5) var<storage, read_write> starts: array<f32>;  // (…, d, d) the state before every keep tokens
@group(0) @binding(6) var<storage, read_write> z: array<f32>;  // (n, d)
@group(0) @binding(7) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

var<workgroup> lengths: array<f32, TILE>;
var<workgroup> shares: array<f32, 64>;
var<workgroup> errors: array<vec4<f32>, 64>;      // (SLAB, QUADS): four tokens a vec4

// The mark of token t of the tile that begins at a row (shared/marks.wgsl), which has the place of a key's product with itself.
fn mark(row: u32, t: u32) -> u32 {
    if PACKED == 1u {
        return u32(products[(row + t) * TILE + t]);
    }
    return ONE_DOCUMENT;
}

// A workgroup of 64 threads, four a token, makes the keys of tile group.x of sequence group.y, and their products.
@compute @workgroup_size(64)
fn tied_keys(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let seq = sequence(group.y);
    let tile = tile_of(group.x, seq.count);
    let count = tile.count;
    let row = seq.row + tile.first;
    let d = params.width;
    var squares = 0.0;
    if thread / 4u < count {
        for (var j = thread % 4u; j < d; j += 4u) {
            let v = f[(row + thread / 4u) * d + j];
            squares += v * v;
        }
    }
    shares[thread] = squares;
    workgroupBarrier();
    if thread < TILE {
        let at = 4u * thread;
        lengths[thread] = sqrt(shares[at] + shares[at + 1u] + shares[at + 2u] + shares[at + 3u]) + 1e-6;
    }
    workgroupBarrier();
    for (var at = thread; at < count * d; at += 64u) {
        keys[row * d + at] = f[row * d + at] / lengths[at / d];
    }
    storageBarrier();
    for (var pair = thread; pair < count * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        if s < t {
            var product = 0.0;
            for (var j = 0u; j < d; j++) {
                product += keys[(row + t) * d + j] * keys[(row + s) * d + j];
            }
            if before_of(row + t, TILE) < t - s {
                product = 0.0;
            }
            products[(row + t) * TILE + s] = product;
        }
        if PACKED == 1u && s == t {
            products[(row + t) * TILE + t] = f32(mark_of(before_of(row + t, 0u), behind_of(row + t, 0u, 0u), count - 1u - t));
        }
    }
}

// Workgroup (slab group.x, sequence group.y).
@compute @workgroup_size(64)
fn tied_scan(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let seq = sequence(group.y);
    let d = params.width;
    let slab = group.x * SLAB;
    let W = (slot_of(group.y) * d + slab) * d;  // of the slab's first element in state
    let elements = min(SLAB, d - slab) * d;
    for (var start = 0u; start < seq.count; start += params.span) {
        if STARTS == 1u && start % params.keep == 0u {
            let to = ((seq.kept + start / params.keep) * d + slab) * d;
            for (var at = thread; at < elements; at += 64u) {
                starts[to + at] = state[W + at];
            }
        }
        let end = min(start + params.span, seq.count);
        for (var t = start; t < end; t += TILE) {
            predict(seq.row + t, min(TILE, end - t), slab, W, thread);
        }
        storageBarrier();
        for (var t = start; t < end; t += TILE) {
            learn(seq.row + t, min(TILE, end - t), slab, W, thread);
        }
        storageBarrier();
    }
}

// Writes z of `count` tokens from `row` on, for the slab's columns.
fn predict(row: u32, count: u32, slab: u32, W: u32, thread: u32) {
    let i = thread / QUADS;
    let quad = thread % QUADS;
    let answer = slab_products(row, count, 0u, W, min(SLAB, params.width - slab), params.width, thread);
    var error = vec4<f32>(0.0);
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && slab + i < params.width {
            error[e] = keys[(row + t) * params.width + slab + i] - select(0.0, answer[e], sees(mark(row, t), t));
        }
    }
    errors[thread] = error;
    workgroupBarrier();
    if thread < SLAB && params.minibatch == 0u {
        substitute(row, count, thread);
    }
    workgroupBarrier();
    error = errors[thread];
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && slab + i < params.width {
            let at = (row + t) * params.width + slab + i;
            z[at] = keys[at] - error[e];
        }
    }
}

fn memory(at: u32) -> f32 {
    return state[at];
}

fn key(row: u32, head: u32, j: u32) -> f32 {
    return keys[row * params.width + j];
}

// Solves (I + η·strictly-lower G)·E = R for column i of the slab, in place. Each row needs those above it only, and no
// other column.
fn substitute(row: u32, count: u32, i: u32) {
    for (var t = 1u; t < count; t++) {
        var sum = 0.0;
        for (var s = 0u; s < t; s++) {
            sum += products[(row + t) * TILE + s] * errors[i * QUADS + s / 4u][s % 4u];
        }
        errors[i * QUADS + t / 4u][t % 4u] -= params.rate * sum;
    }
}

// Adds η·Eᵀ·X of `count` tokens to the slab.
fn learn(row: u32, count: u32, slab: u32, W: u32, thread: u32) {
    let d = params.width;
    let rows = min(SLAB, d - slab);
    workgroupBarrier();
    for (var at = thread; at < SLAB * TILE; at += 64u) {
        let t = at / SLAB;
        let i = at % SLAB;
        var e = 0.0;
        if t < count && i < rows && stays(mark(row, t)) {
            let place = (row + t) * d + slab + i;
            e = params.rate * (keys[place] - z[place]);
        }
        errors[i * QUADS + t / 4u][t % 4u] = e;
    }
    workgroupBarrier();
    let kept = sees(mark(row, count - 1u), count - 1u);
    for (var j = thread; j < d; j += 64u) {
        var x: array<vec4<f32>, 4>;
        for (var t = 0u; t < count; t++) {
            x[t / 4u][t % 4u] = keys[(row + t) * d + j];
        }
        for (var i = 0u; i < rows; i++) {
            let e = i * QUADS;
            state[W + i * d + j] = select(0.0, state[W + i * d + j], kept) + (dot(errors[e], x[0]) + dot(errors[e + 1u], x[1]) +
                dot(errors[e + 2u], x[2]) + dot(errors[e + 3u], x[3]));
        }
    }
}

// One token of sequence group.y: a team of 16 threads takes four rows of W, and W is read and written once. A
// workgroup has 4·WORKGROUP/16 rows.
const LANES = 16u;

var<workgroup> unit: array<f32, KEY>;  // KEY is at least d
var<workgroup> answer_shares: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn tied_step(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let d = params.width;
    let base = group.y * d;
    var squares = 0.0;
    for (var j = thread; j < d; j += WORKGROUP) {
        let v = f[base + j];
        squares += v * v;
    }
    let size = sqrt(workgroup_sum(squares, thread)) + 1e-6;
    for (var j = thread; j < d; j += WORKGROUP) {
        unit[j] = f[base + j] / size;
    }
    workgroupBarrier();
    let lane = thread % LANES;
    let team = thread - lane;
    let first = 4u * (group.x * (WORKGROUP / LANES) + thread / LANES);
    let rows = min(4u, d - min(first, d));
    let W = (slot_of(group.y) * d + first) * d;
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < rows; i++) {
        for (var j = lane; j < d; j += LANES) {
            sum[i] += state[W + i * d + j] * unit[j];
        }
    }
    answer_shares[thread] = sum;
    workgroupBarrier();
    sum = vec4<f32>(0.0);
    for (var t = 0u; t < LANES; t++) {
        sum += answer_shares[team + t];
    }
    for (var i = 0u; i < rows; i++) {
        let step = params.rate * (sum[i] - unit[first + i]);
        for (var j = lane; j < d; j += LANES) {
            state[W + i * d + j] -= step * unit[j];
        }
        if lane == 0u {
            z[base + first + i] = sum[i];
        }
    }
}
