// Backward of β = σ(x·wᵀ + bias). With d = dβ·β·(1 − β): dx += d·w, dw += dᵀ·x, dbias += Σ d.

#import shared/grid.wgsl
#import shared/columns.wgsl

struct Params {
    n: u32,
    heads: u32,  // h
    width: u32,  // D
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dbeta: array<f32>;  // (n, h)
@group(0) @binding(2) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(3) var<storage, read> x: array<f32>;  // (n, D)
@group(0) @binding(4) var<storage, read> w: array<f32>;  // (h, D)
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;  // (n, D)
@group(0) @binding(6) var<storage, read_write> dw: array<f32>;  // (h, D)
@group(0) @binding(7) var<storage, read_write> dbias: array<f32>;  // (h)

fn before_sigmoid(at: u32) -> f32 {
    return dbeta[at] * beta[at] * (1.0 - beta[at]);
}

@compute @workgroup_size(WORKGROUP)
fn step_dx(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.width {
        return;
    }
    var sum = 0.0;
    for (var head = 0u; head < params.heads; head++) {
        sum += before_sigmoid(at / params.width * params.heads + head) * w[head * params.width + at % params.width];
    }
    dx[at] += sum;
}

// Workgroup (columns group.x, head group.y); column D is the bias, whose input is 1.
@compute @workgroup_size(16, 16)
fn step_dw(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let k = group.x * COLUMNS + local.x;
    let head = group.y;
    var sum = 0.0;
    if k <= params.width {
        for (var i = local.y; i < params.n; i += 16u) {
            var input = 1.0;
            if k < params.width {
                input = x[i * params.width + k];
            }
            sum += before_sigmoid(i * params.heads + head) * input;
        }
    }
    let total = column_sum(vec4<f32>(sum), local).x;
    if local.y == 0u && k < params.width {
        dw[head * params.width + k] += total;
    }
    if local.y == 0u && k == params.width {
        dbias[head] += total;
    }
}
