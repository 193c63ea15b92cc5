// Rows of the embedding at the tokens, for a part of a table of any format: rows of other parts are left as they are.

#import shared/grid.wgsl
#import shared/table.wgsl

struct Params {
    n: u32,
    width: u32,
    stride: u32,  // blocks of 16 bytes of a row of the table
    rows: u32,    // rows of this part of the table
    first: u32,   // the part's first row
    block_rows: u32,  // rows that share a γ
    absmean: u32,     // 1: multiply by γ
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;  // (rows, stride)
@group(0) @binding(2) var<storage, read> scales: array<u32>;  // I8: one a row of all parts; ternary: γ, or (rows, words) of groups
@group(0) @binding(3) var<storage, read> tokens: array<u32>;  // (n)
@group(0) @binding(4) var<storage, read_write> h: array<f32>;  // (n, width)

@compute @workgroup_size(WORKGROUP)
fn embed(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = 4u * (flat_group(group, groups) * WORKGROUP + thread);
    if at >= params.n * params.width {
        return;
    }
    let token = tokens[at / params.width];
    let r = token - params.first;
    if token < params.first || r >= params.rows {
        return;
    }
    let v = table4(r, token, at % params.width);
    h[at] = v.x;
    h[at + 1u] = v.y;
    h[at + 2u] = v.z;
    h[at + 3u] = v.w;
}
