// Rows out of slots, and back into them: gather copies row slots[i] of src to row i of dst, scatter the other way.

#import shared/grid.wgsl

struct Params {
    n: u32,      // rows in the list
    width: u32,  // of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> src: array<u32>;  // gather (S, width), scatter (n, width)
@group(0) @binding(2) var<storage, read> slots: array<u32>;  // (n)
@group(0) @binding(3) var<storage, read_write> dst: array<u32>;  // gather (n, width), scatter (S, width)

@compute @workgroup_size(WORKGROUP)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at < params.n * params.width {
        dst[at] = src[slots[at / params.width] * params.width + at % params.width];
    }
}

@compute @workgroup_size(WORKGROUP)
fn scatter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at < params.n * params.width {
        dst[slots[at / params.width] * params.width + at % params.width] = src[at];
    }
}
