// Backward of what rope.wgsl does with queries and keys: turns their gradient back by the angles of its row, in place, and
// takes it through their norms. Where the gradients of the gains are wanted, raw becomes what each row adds to them. A workgroup
// for each row and head.

#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,
    time: u32,        // T, rows of a sequence
    qkv_stride: u32,  // of a row of dqkv
    heads: u32,       // H
    kv_heads: u32,    // G
    head: u32,        // c
    turned: u32,      // R
    normed: u32,      // as in rope.wgsl
    gains: u32,       // not 0: the gradients of gains are wanted
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> dqkv: array<f32>;  // (n, qkv_stride)
@group(0) @binding(2) var<storage, read_write> raw: array<f32>;  // (n, (H+G)·c) queries and keys before norms and turns
@group(0) @binding(3) var<storage, read> query_gain: array<f32>;  // (c)
@group(0) @binding(4) var<storage, read> key_gain: array<f32>;  // (c)
@group(0) @binding(5) var<storage, read> angles: array<f32>;  // (L, R) cosines, then sines
@group(0) @binding(6) var<storage, read> position: array<u32>;  // (1)
@group(0) @binding(7) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

const NORM_QUERIES = 1u;
const NORM_KEYS = 2u;

// Workgroup (row in x and y, head group.z: queries, then keys).
@compute @workgroup_size(WORKGROUP)
fn rope_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    if i >= params.n {
        return;
    }
    let c = params.head;
    let is_key = group.z >= params.heads;
    let turn = (position[0] + before_of(i, i % params.time)) * params.turned;
    let row = i * params.qkv_stride + group.z * c;
    let before = (i * (params.heads + params.kv_heads) + group.z) * c;
    let half = params.turned / 2u;
    let norms = (is_key && (params.normed & NORM_KEYS) != 0u) || (!is_key && (params.normed & NORM_QUERIES) != 0u);
    var root = 1.0;
    var pull = 0.0;
    if norms {
        var shares = vec2<f32>(0.0);  // Σ raw², Σ raw·gain·d
        for (var k = thread; k < c; k += WORKGROUP) {
            let v = raw[before + k];
            shares += vec2<f32>(v, gain(k, is_key) * back(row, turn, k, half)) * v;
        }
        let sums = workgroup_sums(shares, thread);
        root = inverse_rms(sums.x, c, params.eps);
        pull = root * root * sums.y / f32(c);
    }
    // A thread writes the pairs that nobody else reads.
    for (var p = thread; p < half; p += WORKGROUP) {
        let a = back(row, turn, p, half);
        let b = back(row, turn, p + half, half);
        dqkv[row + p] = through(a, before, p, is_key, norms, root, pull);
        dqkv[row + p + half] = through(b, before, p + half, is_key, norms, root, pull);
    }
    for (var k = params.turned + thread; k < c; k += WORKGROUP) {
        dqkv[row + k] = through(dqkv[row + k], before, k, is_key, norms, root, pull);
    }
}

fn gain(k: u32, is_key: bool) -> f32 {
    if is_key {
        return key_gain[k];
    }
    return query_gain[k];
}

// Element k of the gradient before the turn.
fn back(row: u32, turn: u32, k: u32, half: u32) -> f32 {
    if k >= params.turned {
        return dqkv[row + k];
    }
    let p = k % half;
    let a = dqkv[row + p];
    let b = dqkv[row + p + half];
    let cosine = angles[turn + p];
    let sine = angles[turn + half + p];
    return select(b * cosine - a * sine, a * cosine + b * sine, k < half);
}

// The gradient d of a normalised element as that of the element.
fn through(d: f32, before: u32, k: u32, is_key: bool, norms: bool, root: f32, pull: f32) -> f32 {
    if !norms {
        return d;
    }
    let v = raw[before + k];
    if params.gains != 0u {
        raw[before + k] = d * v * root;
    }
    return root * (gain(k, is_key) * d - v * pull);
}
