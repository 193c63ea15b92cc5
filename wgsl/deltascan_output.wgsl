// The end of the delta mixer's scan: RMSNorm over each head of what the memory answers, and the inputs that the next
// scan's convolutions need. delta_output follows a scan of several tokens; delta_step is the whole rule for one token.

#import shared/grid.wgsl
#import shared/deltarule.wgsl

struct Params {
    width: u32,  // d
    head: u32,   // c, the width of a head
    heads: u32,  // h
    time: u32,   // T
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, 3, d) key, query, value before the convolution
@group(0) @binding(2) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(3) var<storage, read> mixed: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(4) var<storage, read> gain: array<f32>;  // (c)
@group(0) @binding(5) var<storage, read_write> state: array<f32>;  // (B, h, c, c)
@group(0) @binding(6) var<storage, read_write> tail: array<f32>;  // (B, 3, 3, d)
@group(0) @binding(7) var<storage, read_write> answers: array<f32>;  // (n, d)
@group(0) @binding(8) var<storage, read_write> normed: array<f32>;  // (n, d)

const KEPT = 3u;  // inputs that a tail holds

// Workgroup (token of all in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_output(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row < params.n {
        write_output(row, group.z, thread);
    }
}

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
}
