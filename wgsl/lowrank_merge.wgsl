// Masters with an adapter inside their quantiser, w = base + scale·b·a, a thread for each number of rows that have one group of a.

#import shared/grid.wgsl

struct Params {
    width: u32,   // K
    rank: u32,    // r
    rows: u32,    // to do
    base: u32,    // the first of them in base
    to: u32,      // and in w
    first: u32,   // and in b
    group: u32,   // of a
    merge: u32,   // 0: there is no adapter, and base is copied
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> base: array<f32>;  // (…, width)
@group(0) @binding(2) var<storage, read> a: array<f32>;  // (groups·rank, width)
@group(0) @binding(3) var<storage, read> b: array<f32>;  // (…, rank)
@group(0) @binding(4) var<storage, read_write> w: array<f32>;  // (…, width)

@compute @workgroup_size(WORKGROUP)
fn low_rank_merge(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.rows * params.width {
        return;
    }
    let r = at / params.width;
    let k = at % params.width;
    var sum = 0.0;
    if params.merge == 1u {
        for (var t = 0u; t < params.rank; t++) {
            sum += b[(params.first + r) * params.rank + t] * a[(params.group * params.rank + t) * params.width + k];
        }
    }
    w[(params.to + r) * params.width + k] = base[(params.base + r) * params.width + k] + params.scale * sum;
}
