// The delta mixer for one token from its projections on, a workgroup for each sequence and head: the learned step
// β = σ(x·wᵀ + bias), the convolution, SiLU, unit length for key and query, the rule, and the norm of the answer.

#import shared/grid.wgsl
#import shared/deltaconv.wgsl
#import shared/deltaoutput.wgsl
#import shared/deltarule.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl
#import shared/slots.wgsl

struct Params {
    width: u32,   // d
    head: u32,    // c, the width of a head
    heads: u32,   // h
    time: u32,    // T = 1
    tail: u32,    // 1: inputs before this one lie in the tail
    n: u32,
    stream: u32,  // D
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;  // (n, D)
@group(0) @binding(2) var<storage, read> w: array<f32>;  // (h, D)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (h)
@group(0) @binding(4) var<storage, read> u: array<f32>;  // (n, 3, d) key, query, value before the convolution
@group(0) @binding(5) var<storage, read> conv: array<f32>;  // (3, d, 4)
@group(0) @binding(6) var<storage, read> gain: array<f32>;  // (c)
@group(0) @binding(7) var<storage, read_write> beta: array<f32>;  // (n, h)
@group(0) @binding(8) var<storage, read_write> kqv: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(9) var<storage, read_write> state: array<f32>;  // (S, h, c, c)
@group(0) @binding(10) var<storage, read_write> tail: array<f32>;  // (S, 3, 3, d)
@group(0) @binding(11) var<storage, read_write> answers: array<f32>;  // (n, d)
@group(0) @binding(12) var<storage, read_write> normed: array<f32>;  // (n, d)
@group(0) @binding(13) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

// Workgroup (sequence in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_decode(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let head = group.z;
    var sum = 0.0;
    for (var k = thread; k < params.stream; k += WORKGROUP) {
        sum += x[row * params.stream + k] * w[head * params.stream + k];
    }
    let step = sigmoid(workgroup_sum(sum, thread) + bias[head]);
    if thread == 0u {
        beta[row * params.heads + head] = step;
    }
    conv_token(row, head, thread);
    delta_rule(row, head, step, thread);
    storageBarrier();
    write_output(row, head, thread);
}
