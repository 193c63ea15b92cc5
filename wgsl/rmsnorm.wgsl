// Backward of x = h·root·gain with root = 1 / sqrt(mean(h²) + ε), whose forward is part of the products that read x. With
// g = dx·gain, dh += root·(g − h·root²·mean(g·h)), and dgain += Σ dx·h·root over the rows.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/columns.wgsl

struct Params {
    n: u32,
    width: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dx: array<f32>;  // (n, width)
@group(0) @binding(2) var<storage, read> h: array<f32>;  // (n, width)
@group(0) @binding(3) var<storage, read> gain: array<f32>;  // (width)
@group(0) @binding(4) var<storage, read_write> roots: array<f32>;  // (n)
@group(0) @binding(5) var<storage, read_write> dh: array<f32>;  // (n, width)
@group(0) @binding(6) var<storage, read_write> dgain: array<f32>;  // (width)

// A workgroup a row.
@compute @workgroup_size(WORKGROUP)
fn rmsnorm_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let row = min(i, params.n - 1u) * params.width;
    var shares = vec2<f32>(0.0);
    for (var k = thread; k < params.width; k += WORKGROUP) {
        let v = h[row + k];
        shares += vec2<f32>(v, dx[row + k] * gain[k]) * v;
    }
    let sums = workgroup_sums(shares, thread);
    let root = inverse_rms(sums.x, params.width, params.eps);
    let pull = root * root * sums.y / f32(params.width);
    if i >= params.n {
        return;
    }
    if thread == 0u {
        roots[i] = root;
    }
    for (var k = thread; k < params.width; k += WORKGROUP) {
        dh[row + k] += root * (dx[row + k] * gain[k] - h[row + k] * pull);
    }
}

@compute @workgroup_size(16, 16)
fn rmsnorm_gain(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let k = group.x * COLUMNS + local.x;
    var sum = 0.0;
    if k < params.width {
        for (var i = local.y; i < params.n; i += 16u) {
            let at = i * params.width + k;
            sum += dx[at] * h[at] * roots[i];
        }
    }
    let total = column_sum(vec4<f32>(sum), local).x;
    if local.y == 0u && k < params.width {
        dgain[k] += total;
    }
}
