// Keeps queries and keys as they are before RoPE turns them, a workgroup for each row and head.

#import shared/grid.wgsl

struct Params {
    n: u32,           // rows
    time: u32,
    qkv_stride: u32,  // of a row of qkv
    heads: u32,       // H
    kv_heads: u32,    // G
    head: u32,        // c
    turned: u32,
    length: u32,
    normed: u32,
    first: u32,
    count: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, qkv_stride)
@group(0) @binding(2) var<storage, read_write> raw: array<f32>;  // (n, (H+G)·c)

// Workgroup (row in x and y, head group.z: queries, keys).
@compute @workgroup_size(WORKGROUP)
fn rope_raw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    if i >= params.n {
        return;
    }
    let row = i * params.qkv_stride + group.z * params.head;
    let to = (i * (params.heads + params.kv_heads) + group.z) * params.head;
    for (var k = thread; k < params.head; k += WORKGROUP) {
        raw[to + k] = qkv[row + k];
    }
}
