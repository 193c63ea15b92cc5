// Copies n vec4s, one a thread.

#import shared/grid.wgsl

struct Params {
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> src: array<vec4<u32>>;  // (n)
@group(0) @binding(2) var<storage, read_write> dst: array<vec4<u32>>;  // (n)

@compute @workgroup_size(WORKGROUP)
fn copy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    if i < params.n {
        dst[i] = src[i];
    }
}
