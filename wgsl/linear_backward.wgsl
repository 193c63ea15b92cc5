// Backward of y = s·x·Qᵀ for a ternary Q, straight through the rounding: dx = s·dy·Q, and dw = dyᵀ·x as if Q were w/γ.

#import shared/grid.wgsl
#import shared/weights.wgsl
#import shared/scales.wgsl
#import shared/gradients.wgsl

struct Params {
    n: u32,
    width: u32,       // K
    stride: u32,      // blocks of 16 bytes of a row of weights
    rows: u32,        // rows of this part of the weights, or of dw
    first: u32,       // the part's first row
    total: u32,       // R, rows of all parts
    block_rows: u32,  // rows that share a γ
    absmean: u32,     // 1: s is γ, and dw is of w/γ times γ
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;  // (n, total)
@group(0) @binding(2) var<storage, read> x: array<f32>;  // (n, width); with INT8 = 1 rounded, and behind it what a row is divided by
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;  // (rows, stride)
@group(0) @binding(4) var<storage, read> scales: array<u32>;  // of shared/scales.wgsl
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;  // (n, width)
@group(0) @binding(6) var<storage, read_write> dw: array<f32>;  // (rows, width)

// SCALED is 1 in linear_dx, whose sum over rows needs the scale of each.
fn upstream(i: u32, r: u32) -> f32 {
    if i >= params.n || r >= params.rows {
        return 0.0;
    }
    let row = params.first + r;
    let v = dy[i * params.total + row];
    if SCALED == 1u && params.absmean == 1u {
        return v * bitcast<f32>(scales[row / params.block_rows]);
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
    if INT8 == 1u {
        return x[i * params.width + k] / x[params.n * params.width + i];
    }
    return x[i * params.width + k];
}

// The first part writes, the others add.
fn store_dx(i: u32, k: u32, v: f32) {
    let at = i * params.width + k;
    if params.first == 0u {
        dx[at] = v;
    } else {
        dx[at] += v;
    }
}

fn store_dw(r: u32, k: u32, v: f32) {
    var straight = v;
    if params.absmean == 0u {
        straight /= bitcast<f32>(scales[(params.first + r) / params.block_rows]);
    }
    dw[r * params.width + k] += straight;
}

@compute @workgroup_size(SIDE, SIDE)
fn linear_dx(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    input_gradient(flat_group(group, groups), group.z, local);
}

@compute @workgroup_size(SIDE, SIDE)
fn linear_dw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    weight_gradient(flat_group(group, groups), group.z, local);
}
