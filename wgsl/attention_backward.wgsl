// Backward of causal attention over sequences that began with an empty cache, in blocks of 32 queries and 32 keys (arXiv
// 2307.08691). attention_rows computes the largest score of each row, 1/Σ exp and Σ P ∘ dP. From these, the other two compute P and
// dS = P ∘ (dP − ΣP ∘ dP)/√c of a block whenever they need it: attention_queries for dQ = dS·K and the gates, attention_keys for
// dK = dSᵀ·Q and dV = Pᵀ·dO. The contributions of query heads that share a key head are summed in a fixed order.

#import shared/documents.wgsl
#import shared/grid.wgsl

struct Params {
    time: u32,        // T, rows of a sequence
    qkv_stride: u32,  // of a row of qkv, in quads
    heads: u32,       // H
    kv_heads: u32,    // G
    quads: u32,       // of a head, c/4
    gate: u32,        // 1: the last H·c of a row of qkv are gates
    scale: f32,       // 1/√c
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;  // (n, qkv_stride) as RoPE leaves it
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;  // (n, H·c)
@group(0) @binding(3) var<storage, read_write> stats: array<vec4<f32>>;  // (n, H) of rows of scores: largest, 1/Σ exp, ΣP ∘ dP
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<f32>>;  // (n, qkv_stride)
@group(0) @binding(5) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

const THREADS = 64u;
const BLOCK = 32u;    // queries, and keys
const AHEAD = 128u;   // of the stage: the keys' half
const ROW = 33u;      // of a tile; odd, so that a column lies in different banks
const PULLS = 1056u;  // where the second tile begins
const LOWEST = -3.4028234e38;

// Rows of four quads of queries beside those of keys, or 32 rows of eight quads.
var<workgroup> stage: array<vec4<f32>, 256>;
// Scores and dP of a block, a row a query; then P and dS.
var<workgroup> tiles: array<f32, 2112>;
var<workgroup> shares: array<vec4<f32>, 64>;

// What a workgroup works on. Queries are counted over the rows and the heads that share one head of keys.
struct Place {
    row: u32,   // first of the sequence
    kv: u32,
    each: u32,  // queries of a row
    all: u32,   // of the sequence
}

fn place_of(z: u32) -> Place {
    let each = params.heads / params.kv_heads;
    return Place(z / params.kv_heads * params.time, z % params.kv_heads, each, params.time * each);
}

// Number of a row of scores: row and head of a query.
fn number(at: Place, query: u32) -> u32 {
    return (at.row + query / at.each) * params.heads + at.kv * at.each + query % at.each;
}

// Where in a row's quads a query, and its gate, begin.
fn query_at(at: Place, query: u32) -> u32 {
    return (at.row + query / at.each) * params.qkv_stride + (at.kv * at.each + query % at.each) * params.quads;
}

fn gate_at(at: Place, query: u32) -> u32 {
    return query_at(at, query) + params.qkv_stride - params.heads * params.quads;
}

fn query4(at: Place, query: u32, quad: u32) -> vec4<f32> {
    if query >= at.all || quad >= params.quads {
        return vec4<f32>(0.0);
    }
    return qkv[query_at(at, query) + quad];
}

// Key (which = 0) or value (1) of a row of the sequence.
fn key4(at: Place, which: u32, t: u32, quad: u32) -> vec4<f32> {
    if t >= params.time || quad >= params.quads {
        return vec4<f32>(0.0);
    }
    return qkv[(at.row + t) * params.qkv_stride + (params.heads + which * params.kv_heads + at.kv) * params.quads + quad];
}

fn sigmoid4(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-x));
}

// The gradient of a query's output before its gate.
fn upstream4(at: Place, query: u32, quad: u32) -> vec4<f32> {
    if query >= at.all || quad >= params.quads {
        return vec4<f32>(0.0);
    }
    let d = dy[number(at, query) * params.quads + quad];
    if params.gate == 1u {
        return d * sigmoid4(qkv[gate_at(at, query) + quad]);
    }
    return d;
}

// Adds the products of the 32 rows of queries in stage with the 32 of keys: a thread's rows are thread/8 + 8a, its columns
// thread % 8 + 8b.
fn products(sum: ptr<function, array<vec4<f32>, 4>>, thread: u32) {
    let x = AHEAD + thread % 8u;
    let y = thread / 8u;
    for (var q = 0u; q < AHEAD; q += BLOCK) {
        let k0 = stage[q + x];
        let k1 = stage[q + x + 8u];
        let k2 = stage[q + x + 16u];
        let k3 = stage[q + x + 24u];
        for (var a = 0u; a < 4u; a++) {
            let v = stage[q + y + 8u * a];
            (*sum)[a] += vec4<f32>(dot(v, k0), dot(v, k1), dot(v, k2), dot(v, k3));
        }
    }
}

// Fills the tiles with the scores and dP of a block.
fn score(at: Place, query: u32, key: u32, thread: u32) {
    var s: array<vec4<f32>, 4>;
    var d: array<vec4<f32>, 4>;
    for (var quad = 0u; quad < params.quads; quad += 4u) {
        workgroupBarrier();
        for (var e = thread; e < AHEAD; e += THREADS) {
            let to = e % 4u * BLOCK + e / 4u;
            stage[to] = query4(at, query + e / 4u, quad + e % 4u);
            stage[AHEAD + to] = key4(at, 0u, key + e / 4u, quad + e % 4u);
        }
        workgroupBarrier();
        products(&s, thread);
        workgroupBarrier();
        for (var e = thread; e < AHEAD; e += THREADS) {
            let to = e % 4u * BLOCK + e / 4u;
            stage[to] = upstream4(at, query + e / 4u, quad + e % 4u);
            stage[AHEAD + to] = key4(at, 1u, key + e / 4u, quad + e % 4u);
        }
        workgroupBarrier();
        products(&d, thread);
    }
    for (var a = 0u; a < 4u; a++) {
        for (var b = 0u; b < 4u; b++) {
            let to = (thread / 8u + 8u * a) * ROW + thread % 8u + 8u * b;
            tiles[to] = s[a][b] * params.scale;
            tiles[PULLS + to] = d[a][b];
        }
    }
    workgroupBarrier();
}

// Whether a query sees a key.
fn sees(at: Place, query: u32, key: u32) -> bool {
    if query >= at.all {
        return false;
    }
    let t = query / at.each;
    return key <= t && t - key <= before_of(at.row + t, t);
}

// Turns the tiles of a block into P and dS.
fn soften(at: Place, query: u32, key: u32, thread: u32) {
    for (var e = thread; e < BLOCK * BLOCK; e += THREADS) {
        let i = e / BLOCK * ROW + e % BLOCK;
        var p = 0.0;
        var d = 0.0;
        if sees(at, query + e / BLOCK, key + e % BLOCK) {
            let row = stats[number(at, query + e / BLOCK)];
            p = exp(tiles[i] - row.x) * row.y;
            d = p * (tiles[PULLS + i] - row.z) * params.scale;
        }
        tiles[i] = p;
        tiles[PULLS + i] = d;
    }
    workgroupBarrier();
}

// How many keys the queries of a block see.
fn seen(at: Place, query: u32) -> u32 {
    return min(query + BLOCK - 1u, at.all - 1u) / at.each + 1u;
}

// The first block of keys that the queries of a block see.
fn begin_of(at: Place, query: u32) -> u32 {
    let t = query / at.each;
    return (t - before_of(at.row + t, t)) / BLOCK * BLOCK;
}

// Workgroup (32 queries in x and y, sequence and head of keys group.z), two threads a query.
@compute @workgroup_size(64)
fn attention_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = place_of(group.z);
    let first = flat_group(group, groups) * BLOCK;
    if first >= at.all {
        return;
    }
    let query = first + thread / 2u;
    var largest = LOWEST;
    var sum = 0.0;
    var pull = 0.0;
    for (var key = begin_of(at, first); key < seen(at, first); key += BLOCK) {
        score(at, first, key, thread);
        for (var j = thread % 2u; j < BLOCK; j += 2u) {
            if sees(at, query, key + j) {
                let i = thread / 2u * ROW + j;
                let s = tiles[i];
                if s > largest {
                    let factor = exp(largest - s);
                    sum *= factor;
                    pull *= factor;
                    largest = s;
                }
                let e = exp(s - largest);
                sum += e;
                pull += e * tiles[PULLS + i];
            }
        }
    }
    shares[thread] = vec4<f32>(largest, sum, pull, 0.0);
    workgroupBarrier();
    if thread % 2u == 0u && query < at.all {
        let other = shares[thread + 1u];
        let top = max(largest, other.x);
        let mine = exp(largest - top);
        let theirs = exp(other.x - top);
        let total = sum * mine + other.y * theirs;
        stats[number(at, query)] = vec4<f32>(top, 1.0 / total, (pull * mine + other.z * theirs) / total, 0.0);
    }
}

// A thread's four rows, thread/8 + 8a, of a tile that begins at `tile`, times its quad, thread % 8, of the 32 rows in stage.
// Neighbours of the sum lie `along` apart in the tile, rows `across`.
fn spread(tile: u32, along: u32, across: u32, thread: u32) -> mat4x4<f32> {
    var sum: array<vec4<f32>, 4>;
    let first = tile + thread / 8u * across;
    for (var j = 0u; j < BLOCK; j++) {
        let v = stage[j * 8u + thread % 8u];
        for (var a = 0u; a < 4u; a++) {
            sum[a] += tiles[first + 8u * a * across + j * along] * v;
        }
    }
    return mat4x4<f32>(sum[0], sum[1], sum[2], sum[3]);
}

// Workgroup (32 queries in x and y, sequence and head of keys group.z). The sums so far are kept in the result, and each thread
// returns only to what it has written itself.
@compute @workgroup_size(64)
fn attention_queries(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = place_of(group.z);
    let first = flat_group(group, groups) * BLOCK;
    if first >= at.all {
        return;
    }
    let end = seen(at, first);
    let begin = begin_of(at, first);
    for (var key = begin; key < end; key += BLOCK) {
        score(at, first, key, thread);
        soften(at, first, key, thread);
        for (var quad = 0u; quad < params.quads; quad += 8u) {
            gather(at, 0u, key, quad, thread);
            var sum = spread(PULLS, 1u, ROW, thread);
            for (var a = 0u; a < 4u; a++) {
                let query = first + thread / 8u + 8u * a;
                let mine = quad + thread % 8u;
                if query < at.all && mine < params.quads {
                    let to = query_at(at, query) + mine;
                    var v = sum[a];
                    if key > begin {
                        v += dqkv[to];
                    }
                    dqkv[to] = v;
                }
            }
            if params.gate == 0u {
                continue;
            }
            gather(at, 1u, key, quad, thread);
            sum = spread(0u, 1u, ROW, thread);
            for (var a = 0u; a < 4u; a++) {
                let query = first + thread / 8u + 8u * a;
                let mine = quad + thread % 8u;
                if query < at.all && mine < params.quads {
                    let to = gate_at(at, query) + mine;
                    var v = sum[a];
                    if key > begin {
                        v += dqkv[to];
                    }
                    if key + BLOCK >= end {  // the output is complete
                        let open = sigmoid4(qkv[to]);
                        v *= dy[number(at, query) * params.quads + mine] * open * (1.0 - open);
                    }
                    dqkv[to] = v;
                }
            }
        }
    }
}

// Fills the stage with eight quads of 32 keys or values.
fn gather(at: Place, which: u32, key: u32, quad: u32, thread: u32) {
    workgroupBarrier();
    for (var e = thread; e < 256u; e += THREADS) {
        stage[e] = key4(at, which, key + e / 8u, quad + e % 8u);
    }
    workgroupBarrier();
}

// Workgroup (32 keys in x and y, sequence and head of keys group.z).
@compute @workgroup_size(64)
fn attention_keys(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = place_of(group.z);
    let key = flat_group(group, groups) * BLOCK;
    if key >= params.time {
        return;
    }
    let begin = key * at.each;
    let last = min(key + BLOCK, params.time) - 1u;
    let end = (last + behind_of(at.row + last, last, params.time) + 1u) * at.each;  // of the queries of the last document
    for (var first = begin; first < end; first += BLOCK) {
        score(at, first, key, thread);
        soften(at, first, key, thread);
        for (var quad = 0u; quad < params.quads; quad += 8u) {
            workgroupBarrier();
            for (var e = thread; e < 256u; e += THREADS) {
                stage[e] = query4(at, first + e / 8u, quad + e % 8u);
            }
            workgroupBarrier();
            collect(at, 0u, key, quad + thread % 8u, first > begin, spread(PULLS, ROW, 1u, thread), thread);
            workgroupBarrier();
            for (var e = thread; e < 256u; e += THREADS) {
                stage[e] = upstream4(at, first + e / 8u, quad + e % 8u);
            }
            workgroupBarrier();
            collect(at, 1u, key, quad + thread % 8u, first > begin, spread(0u, ROW, 1u, thread), thread);
        }
    }
}

// Adds to the gradient of keys (which = 0) or values (1), or writes the first contribution.
fn collect(at: Place, which: u32, key: u32, quad: u32, add: bool, part: mat4x4<f32>, thread: u32) {
    var sum = part;
    for (var a = 0u; a < 4u; a++) {
        let t = key + thread / 8u + 8u * a;
        if t < params.time && quad < params.quads {
            let to = (at.row + t) * params.qkv_stride + (params.heads + which * params.kv_heads + at.kv) * params.quads + quad;
            var v = sum[a];
            if add {
                v += dqkv[to];
            }
            dqkv[to] = v;
        }
    }
}
