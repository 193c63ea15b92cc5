// Σ g²: a sum a workgroup, then the sum of those, in a fixed order.

#import shared/reduce.wgsl

struct Params {
    n: u32,
    groups: u32,  // workgroups of square_sums
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> g: array<f32>;  // (n)
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;  // (groups)
@group(0) @binding(3) var<storage, read_write> sum: array<f32>;  // (1)

@compute @workgroup_size(WORKGROUP)
fn square_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var squares = 0.0;
    for (var i = group.x * WORKGROUP + thread; i < params.n; i += params.groups * WORKGROUP) {
        squares += g[i] * g[i];
    }
    let total = workgroup_sum(squares, thread);
    if thread == 0u {
        partial[group.x] = total;
    }
}

// One workgroup.
@compute @workgroup_size(WORKGROUP)
fn square_total(@builtin(local_invocation_index) thread: u32) {
    var squares = 0.0;
    for (var i = thread; i < params.groups; i += WORKGROUP) {
        squares += partial[i];
    }
    let total = workgroup_sum(squares, thread);
    if thread == 0u {
        sum[0] += total;
    }
}
