// The gradients of the gains of the heads' norms: the sums over rows and heads of what rope_backward.wgsl left in raw.
// The gated delta rule, too, adds rows of its own up by it, whose heads are taken for those of queries.

#import shared/columns.wgsl

struct Params {
    n: u32,
    time: u32,
    qkv_stride: u32,
    heads: u32,       // H
    kv_heads: u32,    // G
    head: u32,        // c
    turned: u32,
    normed: u32,
    gains: u32,       // which gradients are wanted, as in rope.wgsl
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> raw: array<f32>;  // (n, (H+G)·c)
@group(0) @binding(2) var<storage, read_write> query_gradient: array<f32>;  // (c)
@group(0) @binding(3) var<storage, read_write> key_gradient: array<f32>;  // (c)

// Workgroup (columns group.x, queries or keys group.z).
@compute @workgroup_size(16, 16)
fn head_gain(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let k = group.x * COLUMNS + local.x;
    let first = select(0u, params.heads, group.z == 1u);
    let heads = select(params.heads, params.kv_heads, group.z == 1u);
    let wanted = k < params.head && (params.gains & (1u << group.z)) != 0u;
    var sum = 0.0;
    if wanted {
        for (var i = local.y; i < params.n * heads; i += 16u) {
            let head = i / heads * (params.heads + params.kv_heads) + first + i % heads;
            sum += raw[head * params.head + k];
        }
    }
    let total = column_sum(vec4<f32>(sum), local).x;
    if local.y == 0u && wanted {
        if group.z == 1u {
            key_gradient[k] += total;
        } else {
            query_gradient[k] += total;
        }
    }
}
