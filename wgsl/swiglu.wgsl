// silu(gate) ⊙ up of RMSNorm(h)·wᵀ, where w holds the rows of gate, then those of up. A quad is two of gate with the
// two of up that belong to them, so that one thread has both.

#import shared/grid.wgsl
#import shared/vector.wgsl
#import shared/matrix.wgsl
#import shared/silu.wgsl

struct Params {
    n: u32,
    width: u32,
    stride: u32,      // blocks of 16 bytes of a row of weights
    hidden: u32,      // H
    block_rows: u32,  // rows that share a γ
    absmean: u32,     // 1: multiply by γ
    eps: f32,         // of the norm
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;  // (n, width)
@group(0) @binding(2) var<storage, read> gain: array<f32>;  // (width)
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;  // (2·hidden, stride)
@group(0) @binding(4) var<storage, read> scales: array<u32>;  // γ of each block of rows, or (rows, words) of groups
@group(0) @binding(5) var<storage, read_write> x: array<f32>;  // (n, width) the normalised source
@group(0) @binding(6) var<storage, read_write> gate_up: array<f32>;  // (n, 2·hidden)
@group(0) @binding(7) var<storage, read_write> act: array<f32>;  // (n, hidden)

fn source_row(i: u32) -> u32 {
    return i;
}

fn quads() -> u32 {
    return (params.hidden + 1u) / 2u;
}

fn row_of(quad: u32, e: u32) -> u32 {
    return min(2u * quad + e % 2u, params.hidden - 1u) + e / 2u * params.hidden;
}

fn store(i: u32, quad: u32, v: vec4<f32>) {
    for (var e = 0u; e < min(2u, params.hidden - 2u * quad); e++) {
        let j = 2u * quad + e;
        var gate = v[e];
        var up = v[e + 2u];
        if params.absmean == 1u {
            gate *= bitcast<f32>(scales[j / params.block_rows]);
            up *= bitcast<f32>(scales[(params.hidden + j) / params.block_rows]);
        }
        gate_up[2u * i * params.hidden + j] = gate;
        gate_up[(2u * i + 1u) * params.hidden + j] = up;
        act[i * params.hidden + j] = silu(gate) * up;
    }
}

@compute @workgroup_size(WORKGROUP)
fn swiglu_vector(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    vector_product(flat_group(group, groups), groups.x * groups.y, group.z, thread);
}

@compute @workgroup_size(SIDE, SIDE)
fn swiglu_matrix(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    matrix_product(flat_group(group, groups), groups.x * groups.y, group.z, local);
}

// The last step alone, for weights in several parts: gate_up is there.
@compute @workgroup_size(WORKGROUP)
fn swiglu_activate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at < params.n * params.hidden {
        let i = at / params.hidden;
        let j = at % params.hidden;
        act[at] = silu(gate_up[2u * i * params.hidden + j]) * gate_up[(2u * i + 1u) * params.hidden + j];
    }
}
