// The low-rank adapter of a product, y += scale·b(a·x): first low = a·x, with a workgroup for each number, then the rows of y that
// belong to one group of a.

#import shared/grid.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,
    width: u32,   // K
    between: u32, // rows of a
    rank: u32,    // r
    total: u32,   // R
    first: u32,   // of the rows of y
    rows: u32,
    group: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;  // (n, width); with INT8 = 1 rounded, and behind it what a row is divided by
@group(0) @binding(2) var<storage, read> a: array<f32>;  // (between, width)
@group(0) @binding(3) var<storage, read> b: array<f32>;  // (total, rank)
@group(0) @binding(4) var<storage, read_write> low: array<f32>;  // (n, between)
@group(0) @binding(5) var<storage, read_write> y: array<f32>;  // (n, total)

@compute @workgroup_size(WORKGROUP)
fn low_rank_in(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups);
    let i = min(at / params.between, params.n - 1u);
    let j = at % params.between;
    var sum = 0.0;
    for (var k = thread; k < params.width; k += WORKGROUP) {
        sum += x[i * params.width + k] * a[j * params.width + k];
    }
    var total = workgroup_sum(sum, thread);
    if INT8 == 1u {
        total /= x[params.n * params.width + i];
    }
    if thread == 0u && at < params.n * params.between {
        low[at] = total;
    }
}

@compute @workgroup_size(WORKGROUP)
fn low_rank_out(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.rows {
        return;
    }
    let i = at / params.rows;
    let row = params.first + at % params.rows;
    var sum = 0.0;
    for (var t = 0u; t < params.rank; t++) {
        sum += b[row * params.rank + t] * low[i * params.between + params.group * params.rank + t];
    }
    y[i * params.total + row] += params.scale * sum;
}
