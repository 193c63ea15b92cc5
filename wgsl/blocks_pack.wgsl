// A ternary matrix laid out for the blocks kernel: block b of row e of quad q at (4·b + e)·quads + q, so that
// neighbouring threads, each with a quad of its own, load neighbouring blocks.

#import shared/grid.wgsl

struct Params {
    rows: u32,
    stride: u32,  // blocks of 16 bytes of a row
    first: u32,   // where the matrix begins in packed
    halves: u32,  // 1: a quad is two rows of the upper half with the two of the lower half that belong to them
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;  // (rows, stride)
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP)
fn blocks_pack(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let quads = (params.rows + 3u) / 4u;
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= 4u * quads * params.stride {
        return;
    }
    let quad = at % quads;
    let e = at / quads % 4u;
    var row = 4u * quad + e;
    if params.halves == 1u {
        row = 2u * quad + e % 2u + e / 2u * (params.rows / 2u);
    }
    packed[params.first + at] = weights[min(row, params.rows - 1u) * params.stride + at / (4u * quads)];
}
