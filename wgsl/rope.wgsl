// Prepares rows of queries, keys and values for attention, a workgroup for each row and head: it normalises queries and keys, rotates
// them by their positions, and writes keys and values to the cache, which is float16 with HALF = 1. A dispatch serves the slots of
// one part of the cache.

#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/half.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/slots.wgsl

struct Params {
    n: u32,           // rows
    time: u32,        // T, rows of a sequence
    qkv_stride: u32,  // of a row of qkv
    heads: u32,       // H
    kv_heads: u32,    // G
    head: u32,        // c
    turned: u32,      // R
    length: u32,      // L
    normed: u32,      // 1: queries and keys are normalised
    first: u32,       // slot of this part of the cache
    count: u32,       // slots of it
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> qkv: array<f32>;  // (…, qkv_stride)
@group(0) @binding(2) var<storage, read> query_gain: array<f32>;  // (c)
@group(0) @binding(3) var<storage, read> key_gain: array<f32>;  // (c)
@group(0) @binding(4) var<storage, read> angles: array<f32>;  // (L, R) cosines, then sines
@group(0) @binding(5) var<storage, read> position: array<u32>;  // (S)
@group(0) @binding(6) var<storage, read_write> keys: array<u32>;  // (count, L, G·c)
@group(0) @binding(7) var<storage, read_write> values: array<u32>;  // (count, L, G·c)
@group(0) @binding(8) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

// Values of normed.
const NORM_QUERIES = 1u;
const NORM_KEYS = 2u;

// Workgroup (row in x and y, head group.z: queries, keys, values).
@compute @workgroup_size(WORKGROUP)
fn rope(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    if i >= params.n {
        return;
    }
    let slot = slot_of(i / params.time);
    if slot < params.first || slot >= params.first + params.count {
        return;
    }
    let c = params.head;
    let is_key = group.z >= params.heads && group.z < params.heads + params.kv_heads;
    let at = position[slot] + i % params.time;
    let turn = position[slot] + before_of(i, i % params.time);
    let row = i * params.qkv_stride + group.z * c;
    // The row of the cache that belongs to it, at this head's place.
    let cached = ((slot - params.first) * params.length + at) * params.kv_heads * c;
    if group.z >= params.heads + params.kv_heads {
        let place = cached + (group.z - params.heads - params.kv_heads) * c;
        if HALF == 1u {
            for (var k = 2u * thread; k < c; k += 2u * WORKGROUP) {
                values[(place + k) / 2u] = halves(qkv[row + k], qkv[row + k + 1u]);
            }
            return;
        }
        for (var k = thread; k < c; k += WORKGROUP) {
            values[place + k] = bitcast<u32>(qkv[row + k]);
        }
        return;
    }
    let norms = (is_key && (params.normed & NORM_KEYS) != 0u) || (!is_key && (params.normed & NORM_QUERIES) != 0u);
    var root = 1.0;
    if norms {
        var squares = 0.0;
        for (var k = thread; k < c; k += WORKGROUP) {
            squares += qkv[row + k] * qkv[row + k];
        }
        root = inverse_rms(workgroup_sum(squares, thread), c, params.eps);
    }
    let half = params.turned / 2u;
    for (var p = thread; p < half; p += WORKGROUP) {
        let a = normed(row, p, is_key, norms, root);
        let b = normed(row, p + half, is_key, norms, root);
        let cosine = angles[turn * params.turned + p];
        let sine = angles[turn * params.turned + half + p];
        qkv[row + p] = a * cosine - b * sine;
        qkv[row + p + half] = b * cosine + a * sine;
    }
    for (var k = params.turned + thread; k < c; k += WORKGROUP) {
        qkv[row + k] = normed(row, k, is_key, norms, root);
    }
    if !is_key {
        return;
    }
    storageBarrier();
    let place = cached + (group.z - params.heads) * c;
    if HALF == 1u {
        for (var k = 2u * thread; k < c; k += 2u * WORKGROUP) {
            keys[(place + k) / 2u] = halves(qkv[row + k], qkv[row + k + 1u]);
        }
        return;
    }
    for (var k = thread; k < c; k += WORKGROUP) {
        keys[place + k] = bitcast<u32>(qkv[row + k]);
    }
}

fn normed(row: u32, k: u32, is_key: bool, norms: bool, root: f32) -> f32 {
    let v = qkv[row + k];
    if !norms {
        return v;
    }
    if is_key {
        return v * root * key_gain[k];
    }
    return v * root * query_gain[k];
}
