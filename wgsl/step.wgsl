// β = σ(x·wᵀ + bias) of the delta mixer, a workgroup for each token and head.

#import shared/grid.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl

struct Params {
    count: u32,  // n·h
    heads: u32,  // h
    width: u32,  // D
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;  // (n, D)
@group(0) @binding(2) var<storage, read> w: array<f32>;  // (h, D)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (h)
@group(0) @binding(4) var<storage, read_write> beta: array<f32>;  // (n, h)

@compute @workgroup_size(WORKGROUP)
fn step_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups);
    let row = min(at, params.count - 1u) / params.heads * params.width;
    let head = at % params.heads;
    var sum = 0.0;
    for (var k = thread; k < params.width; k += WORKGROUP) {
        sum += x[row + k] * w[head * params.width + k];
    }
    let total = workgroup_sum(sum, thread) + bias[head];
    if thread == 0u && at < params.count {
        beta[at] = sigmoid(total);
    }
}
