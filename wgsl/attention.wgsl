// Causal attention with a cache and an online softmax (arXiv 2205.14135). A workgroup handles QUERIES rows of heads that share one
// head of keys and values, 64 keys at a time: for the scores each thread has a key, and for the sums each thread has four channels,
// of which there are QUADS, of every (64/QUADS)th value. A dispatch serves the slots of one part of the cache, which is float16 with
// HALF = 1. With SPLIT = 1 a workgroup handles only a part of the keys, and attention_join.wgsl combines the parts (arXiv 2311.01282).

#import shared/attended.wgsl
#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/slots.wgsl

struct Params {
    first: u32,       // slot of this part of the cache
    count: u32,       // slots of it
    time: u32,        // T, rows of a sequence
    qkv_stride: u32,  // of a row of qkv
    heads: u32,       // H
    kv_heads: u32,    // G
    head: u32,        // c, a multiple of 4, up to 4·QUADS
    length: u32,      // L
    gate: u32,        // 1: the last H·c of a row of qkv are gates
    parts: u32,       // of the keys, 1 without SPLIT
    scale: f32,       // 1/√c
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (…, qkv_stride)
@group(0) @binding(2) var<storage, read> keys: array<vec2<u32>>;  // (count, L, G·c)
@group(0) @binding(3) var<storage, read> values: array<vec2<u32>>;  // (count, L, G·c)
@group(0) @binding(4) var<storage, read> position: array<u32>;  // (S)
@group(0) @binding(5) var<storage, read_write> o: array<f32>;  // (…, H·c), or with SPLIT (…, H, parts, c + 2): sums of values, of weights, the largest score
@group(0) @binding(6) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

const THREADS = 64u;
const KEYS = 64u;
const LOWEST = -3.4028234e38;

var<workgroup> queries: array<vec4<f32>, QUERY_QUADS>;  // (QUERIES, QUADS)
var<workgroup> scores: array<f32, 512>;  // (QUERIES, KEYS)
var<workgroup> shares: array<vec4<f32>, 64>;
var<workgroup> reduced: array<f32, 64>;
var<workgroup> factors: array<f32, 8>;  // what sums so far are multiplied by

// Workgroup (queries and parts in x and y, sequence and head of keys group.z).
@compute @workgroup_size(64)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let each = params.heads / params.kv_heads;  // queries of a row that share a head of keys
    let all = params.time * each;
    let flat = flat_group(group, groups);
    let first = flat / params.parts * QUERIES;
    let part = flat % params.parts;
    if first >= all {
        return;
    }
    let sequence = group.z / params.kv_heads;
    let kv = group.z % params.kv_heads;
    let slot = slot_of(sequence);
    if slot < params.first || slot >= params.first + params.count {
        return;
    }
    let quads = params.head / 4u;
    let before = position[slot];
    for (var e = thread; e < QUERY_QUADS; e += THREADS) {
        let query = min(first + e / QUADS, all - 1u);
        let k = 4u * (e % QUADS);
        var v = vec4<f32>(0.0);
        if k < params.head {
            let at = row_of(sequence, query, each) * params.qkv_stride + (kv * each + query % each) * params.head + k;
            v = params.scale * vec4<f32>(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
        }
        queries[e] = v;
    }
    // How many keys a query sees: the last query, and those that a thread computes scores for.
    let seen = before + min(first + QUERIES - 1u, all - 1u) / each + 1u;
    let lanes = vec4<u32>(first, first + 1u, first + 2u, first + 3u);
    let seen_low = min(lanes, vec4<u32>(all - 1u)) / each + before + 1u;
    let seen_high = min(lanes + 4u, vec4<u32>(all - 1u)) / each + before + 1u;
    // The first key that a query sees. Documents follow each other, so the first query looks back the furthest.
    var from_low = vec4<u32>(0u);
    var from_high = vec4<u32>(0u);
    var begin = 0u;
    if PACKED == 1u {
        for (var e = 0u; e < 4u; e++) {
            from_low[e] = begin_of(sequence, min(first + e, all - 1u), each);
            from_high[e] = begin_of(sequence, min(first + 4u + e, all - 1u), each);
        }
        begin = from_low.x / KEYS * KEYS;
    }

    let per = THREADS / QUERIES;  // threads of a query in the softmax
    let mine = thread / per;
    var largest = LOWEST;
    var sum = 0.0;
    let channel = thread % QUADS;
    var a0 = vec4<f32>(0.0);
    var a1 = vec4<f32>(0.0);
    var a2 = vec4<f32>(0.0);
    var a3 = vec4<f32>(0.0);
    var a4 = vec4<f32>(0.0);
    var a5 = vec4<f32>(0.0);
    var a6 = vec4<f32>(0.0);
    var a7 = vec4<f32>(0.0);
    let share = ((seen - begin + KEYS - 1u) / KEYS + params.parts - 1u) / params.parts * KEYS;  // keys of a part
    let end = min(seen, begin + (part + 1u) * share);
    for (var start = begin + part * share; start < end; start += KEYS) {
        let here = min(end - start, KEYS);
        let row = ((slot - params.first) * params.length + start) * params.kv_heads + kv;  // of the first key, in heads
        workgroupBarrier();
        var low = vec4<f32>(LOWEST);
        var high = vec4<f32>(LOWEST);
        if thread < here {
            low = vec4<f32>(0.0);
            high = vec4<f32>(0.0);
            let at = (row + thread * params.kv_heads) * quads;
            for (var q = 0u; q < quads; q++) {
                let k = key4(at + q);
                low += vec4<f32>(dot(k, queries[q]), dot(k, queries[QUADS + q]), dot(k, queries[2u * QUADS + q]), dot(k, queries[3u * QUADS + q]));
                if QUERIES > 4u {
                    let other = 4u * QUADS + q;
                    high += vec4<f32>(dot(k, queries[other]), dot(k, queries[other + QUADS]), dot(k, queries[other + 2u * QUADS]),
                        dot(k, queries[other + 3u * QUADS]));
                }
            }
            let key = vec4<u32>(start + thread);
            low = select(vec4<f32>(LOWEST), low, (key >= from_low) & (key < seen_low));
            high = select(vec4<f32>(LOWEST), high, (key >= from_high) & (key < seen_high));
        }
        scores[thread] = low.x;
        scores[KEYS + thread] = low.y;
        scores[2u * KEYS + thread] = low.z;
        scores[3u * KEYS + thread] = low.w;
        if QUERIES > 4u {
            scores[4u * KEYS + thread] = high.x;
            scores[5u * KEYS + thread] = high.y;
            scores[6u * KEYS + thread] = high.z;
            scores[7u * KEYS + thread] = high.w;
        }
        workgroupBarrier();
        var peak = LOWEST;
        for (var j = thread % per; j < KEYS; j += per) {
            peak = max(peak, scores[mine * KEYS + j]);
        }
        reduced[thread] = peak;
        workgroupBarrier();
        peak = largest;
        for (var l = 0u; l < per; l++) {
            peak = max(peak, reduced[mine * per + l]);
        }
        let factor = exp(largest - peak);
        largest = peak;
        sum *= factor;
        for (var j = thread % per; j < KEYS; j += per) {
            let e = exp(scores[mine * KEYS + j] - peak);
            scores[mine * KEYS + j] = e;
            sum += e;
        }
        if thread % per == 0u {
            factors[mine] = factor;
        }
        workgroupBarrier();
        a0 *= factors[0];
        a1 *= factors[1];
        a2 *= factors[2];
        a3 *= factors[3];
        if QUERIES > 4u {
            a4 *= factors[4];
            a5 *= factors[5];
            a6 *= factors[6];
            a7 *= factors[7];
        }
        if channel < quads {
            for (var j = thread / QUADS; j < here; j += THREADS / QUADS) {
                let v = value4((row + j * params.kv_heads) * quads + channel);
                a0 += scores[j] * v;
                a1 += scores[KEYS + j] * v;
                a2 += scores[2u * KEYS + j] * v;
                a3 += scores[3u * KEYS + j] * v;
                if QUERIES > 4u {
                    a4 += scores[4u * KEYS + j] * v;
                    a5 += scores[5u * KEYS + j] * v;
                    a6 += scores[6u * KEYS + j] * v;
                    a7 += scores[7u * KEYS + j] * v;
                }
            }
        }
    }
    reduced[thread] = sum;
    if SPLIT == 1u {
        workgroupBarrier();
        if thread % per == 0u {
            factors[mine] = largest;
        }
    }
    finish(a0, 0u, first, part, sequence, kv, thread);
    finish(a1, 1u, first, part, sequence, kv, thread);
    finish(a2, 2u, first, part, sequence, kv, thread);
    finish(a3, 3u, first, part, sequence, kv, thread);
    if QUERIES > 4u {
        finish(a4, 4u, first, part, sequence, kv, thread);
        finish(a5, 5u, first, part, sequence, kv, thread);
        finish(a6, 6u, first, part, sequence, kv, thread);
        finish(a7, 7u, first, part, sequence, kv, thread);
    }
}

// Four numbers of the cache.
fn key4(quad: u32) -> vec4<f32> {
    if HALF == 1u {
        let pairs = keys[quad];
        return vec4<f32>(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(keys[2u * quad], keys[2u * quad + 1u]));
}

fn value4(quad: u32) -> vec4<f32> {
    if HALF == 1u {
        let pairs = values[quad];
        return vec4<f32>(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
    }
    return bitcast<vec4<f32>>(vec4<u32>(values[2u * quad], values[2u * quad + 1u]));
}

// The row of qkv and o that a query of a sequence belongs to.
fn row_of(sequence: u32, query: u32, each: u32) -> u32 {
    return sequence * params.time + query / each;
}

// The first token of the document that a query of a sequence belongs to.
fn begin_of(sequence: u32, query: u32, each: u32) -> u32 {
    let t = query / each;
    return t - before_of(sequence * params.time + t, t);
}

// Sums the threads' parts of query m, and stores the result.
fn finish(sums: vec4<f32>, m: u32, first: u32, part: u32, sequence: u32, kv: u32, thread: u32) {
    workgroupBarrier();
    shares[thread] = sums;
    workgroupBarrier();
    let each = params.heads / params.kv_heads;
    let query = first + m;
    if thread * 4u >= params.head || query >= params.time * each {
        return;
    }
    let per = THREADS / QUERIES;
    var sum = 0.0;
    for (var l = 0u; l < per; l++) {
        sum += reduced[m * per + l];
    }
    var v = vec4<f32>(0.0);
    for (var at = thread; at < THREADS; at += QUADS) {
        v += shares[at];
    }
    let row = row_of(sequence, query, each);
    let head = kv * each + query % each;
    if SPLIT == 1u {
        let at = ((row * params.heads + head) * params.parts + part) * (params.head + 2u);
        for (var e = 0u; e < 4u; e++) {
            o[at + 4u * thread + e] = v[e];
        }
        if thread == 0u {
            o[at + params.head] = sum;
            o[at + params.head + 1u] = factors[m];
        }
        return;
    }
    write_attended(row, head * params.head + 4u * thread, v / sum);
}
