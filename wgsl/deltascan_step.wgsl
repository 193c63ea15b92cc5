// The delta rule for one token and the norm of the answer, after deltascan_conv.wgsl: for devices that cannot bind as many buffers
// as deltascan_token.wgsl needs.

#import shared/deltanorm.wgsl
#import shared/deltarule.wgsl
#import shared/grid.wgsl
#import shared/slots.wgsl

struct Params {
    width: u32,  // d
    head: u32,   // c, the width of a head
    heads: u32,  // h
    n: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(2) var<storage, read> kqv: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(3) var<storage, read> gain: array<f32>;  // (c)
@group(0) @binding(4) var<storage, read_write> state: array<f32>;  // (S, h, c, c)
@group(0) @binding(5) var<storage, read_write> answers: array<f32>;  // (n, d)
@group(0) @binding(6) var<storage, read_write> normed: array<f32>;  // (n, d)
@group(0) @binding(7) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

// Workgroup (sequence in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    delta_rule(row, group.z, beta[row * params.heads + group.z], thread);
    storageBarrier();
    normalise(row, group.z, thread);
}
