// Backward of act = relu(gate)² ⊙ up, a thread for each of n·hidden.

#import shared/grid.wgsl

struct Params {
    n: u32,
    hidden: u32,  // H
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dact: array<f32>;  // (n, hidden)
@group(0) @binding(2) var<storage, read> gate_up: array<f32>;  // (n, 2·hidden)
@group(0) @binding(3) var<storage, read_write> dgate_up: array<f32>;  // (n, 2·hidden)

@compute @workgroup_size(WORKGROUP)
fn squared_relu_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.hidden {
        return;
    }
    let gate = at / params.hidden * 2u * params.hidden + at % params.hidden;
    let up = gate + params.hidden;
    let positive = select(gate_up[gate], 0.0, gate_up[gate] < 0.0);  // and not max, which would hide a NaN
    dgate_up[gate] = 2.0 * positive * gate_up[up] * dact[at];
    dgate_up[up] = positive * positive * dact[at];
}
