// x = h·gain / sqrt(mean(h²) + ε), for rows that no product takes in passing.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,
    width: u32,
    start: u32,  // the first row
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> h: array<f32>;  // (…, width)
@group(0) @binding(2) var<storage, read> gain: array<f32>;  // (width)
@group(0) @binding(3) var<storage, read_write> x: array<f32>;  // (…, width)

fn source(at: u32) -> f32 {
    if IN_PLACE == 1u {
        return x[at];
    }
    return h[at];
}

// A workgroup a row.
@compute @workgroup_size(WORKGROUP)
fn rmsnorm_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let row = (params.start + min(i, params.n - 1u)) * params.width;
    var squares = 0.0;
    for (var k = thread; k < params.width; k += WORKGROUP) {
        let v = source(row + k);
        squares += v * v;
    }
    let root = inverse_rms(workgroup_sum(squares, thread), params.width, params.eps);
    if i >= params.n {
        return;
    }
    for (var k = thread; k < params.width; k += WORKGROUP) {
        x[row + k] = source(row + k) * root * gain[k];
    }
}
