// relu(gate)² ⊙ up.

#import shared/grid.wgsl

struct Params {
    n: u32,
    hidden: u32,  // H
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;  // (n, 2·hidden)
@group(0) @binding(2) var<storage, read_write> act: array<f32>;  // (n, hidden)

@compute @workgroup_size(WORKGROUP)
fn squared_relu(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at < params.n * params.hidden {
        let i = at / params.hidden;
        let gate = gate_up[at + i * params.hidden];
        let positive = select(gate, 0.0, gate < 0.0);  // and not max, which would hide a NaN
        act[at] = positive * positive * gate_up[at + (i + 1u) * params.hidden];
    }
}
