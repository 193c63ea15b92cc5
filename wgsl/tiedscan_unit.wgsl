// Backward of k = f / (‖f‖ + ε), in place of dk, a workgroup a row.

#import shared/grid.wgsl
#import shared/unit.wgsl

struct Params {
    n: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> f: array<f32>;  // (n, d)
@group(0) @binding(2) var<storage, read_write> df: array<f32>;  // (n, d) dk, then df

@compute @workgroup_size(WORKGROUP)
fn unit_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let row = min(i, params.n - 1u) * params.width;
    var sums = vec2<f32>(0.0);
    for (var j = thread; j < params.width; j += WORKGROUP) {
        sums += vec2<f32>(f[row + j], df[row + j]) * f[row + j];
    }
    let pull = unit_pull(sums, thread);
    if i < params.n {
        for (var j = thread; j < params.width; j += WORKGROUP) {
            df[row + j] = df[row + j] * pull.x - f[row + j] * pull.y;
        }
    }
}
