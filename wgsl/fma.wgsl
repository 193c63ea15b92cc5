// Repeats x = x * scale + shift on 8 independent vec4s a thread: enough of them to hide the latency of one.

#import shared/grid.wgsl

struct Params {
    iterations: u32,
    scale: f32,
    shift: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;  // one a thread, so that no result is unused

@compute @workgroup_size(WORKGROUP)
fn fma_loop(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_group(group, groups) * WORKGROUP + lane;
    let scale = vec4<f32>(params.scale);
    let shift = vec4<f32>(params.shift);
    let start = vec4<f32>(f32(lane), f32(lane) + 1.0, f32(lane) + 2.0, f32(lane) + 3.0);
    var x0 = start;
    var x1 = start + 4.0;
    var x2 = start + 8.0;
    var x3 = start + 12.0;
    var x4 = start + 16.0;
    var x5 = start + 20.0;
    var x6 = start + 24.0;
    var x7 = start + 28.0;
    for (var n = 0u; n < params.iterations; n++) {
        x0 = fma(x0, scale, shift);
        x1 = fma(x1, scale, shift);
        x2 = fma(x2, scale, shift);
        x3 = fma(x3, scale, shift);
        x4 = fma(x4, scale, shift);
        x5 = fma(x5, scale, shift);
        x6 = fma(x6, scale, shift);
        x7 = fma(x7, scale, shift);
    }
    if i < arrayLength(&sums) {
        sums[i] = dot(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7, vec4<f32>(1.0));
    }
}
