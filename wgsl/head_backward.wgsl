// Backward of logits = x·headᵀ for rows from… of x. A head that is trained is in float32, another in any format.

#import shared/grid.wgsl
#import shared/weights.wgsl
#import shared/scales.wgsl
#import shared/gradients.wgsl

struct Params {
    n: u32,       // rows of logits
    width: u32,
    stride: u32,  // blocks of 16 bytes of a row of the head
    rows: u32,    // rows of this part of the head
    first: u32,   // the part's first row
    total: u32,   // V
    start: u32,   // the first row of x
    block_rows: u32,  // rows that share a γ
    absmean: u32,     // 1: a row is multiplied by its γ
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dlogits: array<f32>;  // (n, total)
@group(0) @binding(2) var<storage, read> x: array<f32>;  // (…, width)
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;  // (rows, stride)
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;  // (…, width)
@group(0) @binding(5) var<storage, read_write> dhead: array<f32>;  // (rows, width)
@group(0) @binding(6) var<storage, read> scales: array<u32>;  // of shared/scales.wgsl, or of the rows of an I8 head

fn upstream(i: u32, r: u32) -> f32 {
    if i >= params.n || r >= params.rows {
        return 0.0;
    }
    let v = dlogits[i * params.total + params.first + r];
    if FORMAT == I8 {
        return v * bitcast<f32>(scales[params.first + r]);
    }
    if FORMAT == TERNARY && params.absmean == 1u {
        return v * bitcast<f32>(scales[(params.first + r) / params.block_rows]);
    }
    return v;
}

fn scaled4(row: u32, k: u32) -> vec4<f32> {
    return scale4(row, k, weights4(row, k));
}

fn activation(i: u32, k: u32) -> f32 {
    if i >= params.n || k >= params.width {
        return 0.0;
    }
    return x[(params.start + i) * params.width + k];
}

// The first part writes, the others add.
fn store_dx(i: u32, k: u32, v: f32) {
    let at = (params.start + i) * params.width + k;
    if params.first == 0u {
        dx[at] = v;
    } else {
        dx[at] += v;
    }
}

fn store_dw(r: u32, k: u32, v: f32) {
    dhead[r * params.width + k] += v;
}

@compute @workgroup_size(SIDE, SIDE)
fn head_dx(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    input_gradient(flat_group(group, groups), group.z, local);
}

@compute @workgroup_size(SIDE, SIDE)
fn head_dw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    weight_gradient(flat_group(group, groups), group.z, local);
}
