// Backward of y += scale·b(a·x): dlow = scale·dy·b, db += scale·dyᵀ·low, da += dlowᵀ·x, dx += dlow·a.

#import shared/grid.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,
    width: u32,   // K
    between: u32, // rows of a
    rank: u32,    // r
    total: u32,   // R
    first: u32,   // of the rows of dy that belong to one group of a
    rows: u32,
    group: u32,
    add: u32,     // 0: the first rows of the group, which write dlow
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;  // (n, total)
@group(0) @binding(2) var<storage, read> x: array<f32>;  // (n, width); with INT8 = 1 rounded, and behind it what a row is divided by
@group(0) @binding(3) var<storage, read> a: array<f32>;  // (between, width)
@group(0) @binding(4) var<storage, read> b: array<f32>;  // (total, rank)
@group(0) @binding(5) var<storage, read> low: array<f32>;  // (n, between)
@group(0) @binding(6) var<storage, read_write> dlow: array<f32>;  // (n, between)
@group(0) @binding(7) var<storage, read_write> change: array<f32>;  // db (total, rank), da (between, width) or dx (n, width)

// A workgroup a number of the group.
@compute @workgroup_size(WORKGROUP)
fn low_rank_dlow(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups);
    let i = min(at / params.rank, params.n - 1u);
    let t = at % params.rank;
    var sum = 0.0;
    for (var r = thread; r < params.rows; r += WORKGROUP) {
        let row = params.first + r;
        sum += dy[i * params.total + row] * b[row * params.rank + t];
    }
    let total = params.scale * workgroup_sum(sum, thread);
    if thread == 0u && at < params.n * params.rank {
        let to = i * params.between + params.group * params.rank + t;
        if params.add == 1u {
            dlow[to] += total;
        } else {
            dlow[to] = total;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn low_rank_db(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.rows * params.rank {
        return;
    }
    let row = params.first + at / params.rank;
    let t = at % params.rank;
    var sum = 0.0;
    for (var i = 0u; i < params.n; i++) {
        sum += dy[i * params.total + row] * low[i * params.between + params.group * params.rank + t];
    }
    change[row * params.rank + t] += params.scale * sum;
}

@compute @workgroup_size(WORKGROUP)
fn low_rank_da(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.between * params.width {
        return;
    }
    let j = at / params.width;
    let k = at % params.width;
    var sum = 0.0;
    for (var i = 0u; i < params.n; i++) {
        var v = x[i * params.width + k];
        if INT8 == 1u {
            v /= x[params.n * params.width + i];
        }
        sum += dlow[i * params.between + j] * v;
    }
    change[at] += sum;
}

@compute @workgroup_size(WORKGROUP)
fn low_rank_dx(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.width {
        return;
    }
    let i = at / params.width;
    let k = at % params.width;
    var sum = 0.0;
    for (var j = 0u; j < params.between; j++) {
        sum += dlow[i * params.between + j] * a[j * params.width + k];
    }
    change[at] += sum;
}
