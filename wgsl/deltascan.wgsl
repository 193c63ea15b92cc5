// The delta rule over several tokens: delta_products makes, a tile, G = K·Kᵀ and M = Q·Kᵀ; then delta_scan runs, from
// span to span,
//
//     E = (I + strictly-lower(G)·diag β)⁻¹ (V − K·Wᵀ)      F = β ∘ E      Z = Q·Wᵀ + lower(M)·F      W ← W + Fᵀ·K
//
// with a workgroup for SLAB rows of a head's W, which do not depend on the other rows. A span is one tile. In a sequence of several
// documents, G and M are zero between documents, and the state before a tile only concerns the tokens of its document.

#import shared/documents.wgsl
#import shared/marks.wgsl
#import shared/slots.wgsl
#import shared/spans.wgsl

struct Params {
    width: u32,   // d
    head: u32,    // c, the width of a head
    heads: u32,   // h
    time: u32,    // T of a batch row
    length: u32,  // tokens of a sequence
    span: u32,    // tokens that begin with one state
    keep: u32,    // tokens between the states kept
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(2) var<storage, read> kqv: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(3) var<storage, read_write> products: array<f32>;  // (n, h, 2, TILE) row t: G, then M
@group(0) @binding(4) var<storage, read_write> state: array<f32>;  // (S, h, c, c)
@group(0) @binding(5) var<storage, read_write> starts: array<f32>;  // (…, h, c, c) the state before every keep tokens
@group(0) @binding(6) var<storage, read_write> answers: array<f32>;  // (n, d) Z
@group(0) @binding(7) var<storage, read_write> errors: array<f32>;  // (n, d) E, where the constant ERRORS is 1
@group(0) @binding(8) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

const SLAB = 16u;
const SEGMENT = 32u;  // columns of W, K and Q in workgroup memory at a time
const TILE_QUADS = 4u;

var<workgroup> key_tile: array<vec4<f32>, 128>;    // (SEGMENT, TILE/4): four tokens a vec4
var<workgroup> query_tile: array<vec4<f32>, 128>;  // likewise
var<workgroup> state_tile: array<f32, 528>;        // (SLAB, SEGMENT + 1)
var<workgroup> error_tile: array<vec4<f32>, 64>;   // (SLAB, TILE/4): four tokens a vec4; E, then F

// Element j of a head's key (which = 0), query (1) or value (2).
fn seen(row: u32, which: u32, head: u32, j: u32) -> f32 {
    return kqv[(3u * row + which) * params.width + head * params.head + j];
}

// The mark of token t of the tile that begins at a row (shared/marks.wgsl), which has the place of a key's product with itself.
fn mark(row: u32, t: u32, head: u32) -> u32 {
    if PACKED == 1u {
        return u32(products[((row + t) * params.heads + head) * 2u * TILE + t]);
    }
    return ONE_DOCUMENT;
}

// Workgroup (tile group.x, sequence and head group.y).
@compute @workgroup_size(64)
fn delta_products(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.y % params.heads;
    let seq = sequence(group.y / params.heads);
    let tile = tile_of(group.x, seq.count);
    let row = seq.row + tile.first;
    for (var pair = thread; pair < tile.count * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        if s > t {
            continue;
        }
        var sum = vec2<f32>(0.0);
        for (var j = 0u; j < params.head; j++) {
            sum += vec2<f32>(seen(row + t, 0u, head, j), seen(row + t, 1u, head, j)) * seen(row + s, 0u, head, j);
        }
        let at = ((row + t) * params.heads + head) * 2u * TILE + s;
        if PACKED == 1u {
            let own = mark_of(before_of(row + t, 0u), behind_of(row + t, 0u, 0u), tile.count - 1u - t);
            if !reaches(own, t - s) {
                sum = vec2<f32>(0.0);
            }
            if s == t {
                sum.x = f32(own);
            }
        }
        products[at] = sum.x;
        products[at + TILE] = sum.y;
    }
}

// Workgroup (slab group.x, sequence and head group.y).
@compute @workgroup_size(64)
fn delta_scan(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.y % params.heads;
    let seq = sequence(group.y / params.heads);
    let c = params.head;
    let slab = group.x * SLAB;
    let W = ((slot_of(group.y / params.heads) * params.heads + head) * c + slab) * c;  // of the slab's first element in state
    let elements = min(SLAB, c - slab) * c;
    for (var start = 0u; start < seq.count; start += params.span) {
        if STARTS == 1u && start % params.keep == 0u {
            let to = (((seq.kept + start / params.keep) * params.heads + head) * c + slab) * c;
            for (var at = thread; at < elements; at += 64u) {
                starts[to + at] = state[W + at];
            }
        }
        let count = min(params.span, seq.count - start);
        answer(seq.row + start, count, head, slab, W, thread);
        storageBarrier();
        learn(seq.row + start, count, head, slab, W, thread);
        storageBarrier();
    }
}

// Writes the answers to `count` tokens from `row` on, for the slab's columns, and leaves F in error_tile.
fn answer(row: u32, count: u32, head: u32, slab: u32, W: u32, thread: u32) {
    let c = params.head;
    let i = thread / TILE_QUADS;
    let quad = thread % TILE_QUADS;
    var known = vec4<f32>(0.0);  // K·Wᵀ of row slab + i of the state, for the four tokens of the quad
    var asked = vec4<f32>(0.0);  // Q·Wᵀ
    for (var start = 0u; start < c; start += SEGMENT) {
        for (var at = thread; at < SLAB * SEGMENT; at += 64u) {
            let r = at / SEGMENT;
            let j = start + at % SEGMENT;
            var w = 0.0;
            if slab + r < c && j < c {
                w = state[W + r * c + j];
            }
            state_tile[r * (SEGMENT + 1u) + at % SEGMENT] = w;
            var k = 0.0;
            var q = 0.0;
            if r < count && j < c {
                k = seen(row + r, 0u, head, j);
                q = seen(row + r, 1u, head, j);
            }
            key_tile[at % SEGMENT * TILE_QUADS + r / 4u][r % 4u] = k;
            query_tile[at % SEGMENT * TILE_QUADS + r / 4u][r % 4u] = q;
        }
        workgroupBarrier();
        for (var j = 0u; j < SEGMENT; j++) {
            let w = state_tile[i * (SEGMENT + 1u) + j];
            known += w * key_tile[j * TILE_QUADS + quad];
            asked += w * query_tile[j * TILE_QUADS + quad];
        }
        workgroupBarrier();
    }
    var error = vec4<f32>(0.0);
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && slab + i < c {
            error[e] = seen(row + t, 2u, head, slab + i);
            if sees(mark(row, t, head), t) {
                error[e] -= known[e];
            }
        }
    }
    error_tile[thread] = error;
    workgroupBarrier();
    if thread < SLAB && slab + thread < c {
        substitute(row, count, head, slab, thread);
    }
    workgroupBarrier();
    for (var e = 0u; e < 4u; e++) {
        let t = 4u * quad + e;
        if t < count && slab + i < c {
            var sum = select(0.0, asked[e], sees(mark(row, t, head), t));
            let at = ((row + t) * params.heads + head) * 2u * TILE + TILE;
            for (var s = 0u; s <= t; s++) {
                sum += products[at + s] * error_tile[i * TILE_QUADS + s / 4u][s % 4u];
            }
            answers[(row + t) * params.width + head * c + slab + i] = sum;
        }
    }
}

// Solves for E in column i of the slab and turns it into F, in place. Each row needs those above it only.
fn substitute(row: u32, count: u32, head: u32, slab: u32, i: u32) {
    for (var t = 0u; t < count; t++) {
        let at = ((row + t) * params.heads + head) * 2u * TILE;
        var error = error_tile[i * TILE_QUADS + t / 4u][t % 4u];
        for (var s = 0u; s < t; s++) {
            error -= products[at + s] * error_tile[i * TILE_QUADS + s / 4u][s % 4u];
        }
        error_tile[i * TILE_QUADS + t / 4u][t % 4u] = beta[(row + t) * params.heads + head] * error;
        if ERRORS == 1u {
            errors[(row + t) * params.width + head * params.head + slab + i] = error;
        }
    }
}

// Adds Fᵀ·K of `count` tokens to the slab.
fn learn(row: u32, count: u32, head: u32, slab: u32, W: u32, thread: u32) {
    let c = params.head;
    let kept = sees(mark(row, count - 1u, head), count - 1u);
    for (var j = thread; j < c; j += 64u) {
        var k: array<vec4<f32>, 4>;
        for (var t = 0u; t < count; t++) {
            if stays(mark(row, t, head)) {
                k[t / 4u][t % 4u] = seen(row + t, 0u, head, j);
            }
        }
        for (var i = 0u; i < min(SLAB, c - slab); i++) {
            let e = i * TILE_QUADS;
            state[W + i * c + j] = select(0.0, state[W + i * c + j], kept) + (dot(error_tile[e], k[0]) + dot(error_tile[e + 1u], k[1]) +
                dot(error_tile[e + 2u], k[2]) + dot(error_tile[e + 3u], k[3]));
        }
    }
}
