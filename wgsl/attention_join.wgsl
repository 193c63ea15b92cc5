// Combines the results of attention.wgsl for parts of the keys into that for all keys. A thread handles four channels of a head of a
// row.

#import shared/attended.wgsl
#import shared/grid.wgsl

struct Params {
    n: u32,
    qkv_stride: u32,  // of a row of qkv
    heads: u32,       // H
    head: u32,        // c, a multiple of 4
    parts: u32,
    gate: u32,        // 1: the last H·c of a row of qkv are gates
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, qkv_stride)
@group(0) @binding(2) var<storage, read> given: array<f32>;  // (n, H, parts, c + 2), as attention.wgsl says
@group(0) @binding(3) var<storage, read_write> o: array<f32>;  // (n, H·c)

@compute @workgroup_size(WORKGROUP)
fn attention_join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + thread;
    let quads = params.head / 4u;
    if index >= params.n * params.heads * quads {
        return;
    }
    let head = index / quads;  // of all rows
    let channel = 4u * (index % quads);
    let stride = params.head + 2u;
    let begin = head * params.parts * stride;
    let end = begin + params.parts * stride;
    var largest = given[begin + params.head + 1u];
    for (var at = begin + stride; at < end; at += stride) {
        largest = max(largest, given[at + params.head + 1u]);
    }
    var sum = 0.0;
    var v = vec4<f32>(0.0);
    for (var at = begin; at < end; at += stride) {
        let factor = exp(given[at + params.head + 1u] - largest);
        sum += factor * given[at + params.head];
        let k = at + channel;
        v += factor * vec4<f32>(given[k], given[k + 1u], given[k + 2u], given[k + 3u]);
    }
    v /= sum;
    write_attended(head / params.heads, head % params.heads * params.head + channel, v);
}
