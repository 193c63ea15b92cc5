// Copies columns of one matrix into another of as many rows.

#import shared/grid.wgsl

struct Params {
    n: u32,         // rows
    columns: u32,   // that are copied
    src_width: u32,
    src_from: u32,  // the first column
    dst_width: u32,
    dst_from: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> src: array<f32>;  // (n, src_width)
@group(0) @binding(2) var<storage, read_write> dst: array<f32>;  // (n, dst_width)

@compute @workgroup_size(WORKGROUP)
fn copy_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at < params.n * params.columns {
        let row = at / params.columns;
        let column = at % params.columns;
        dst[row * params.dst_width + params.dst_from + column] = src[row * params.src_width + params.src_from + column];
    }
}
