// Adds the rows of dh into a part of dtable at the tokens. The first row of a token gathers all rows of that token, in
// their order, so that nothing is added by two threads and every run gives the same sum.

#import shared/grid.wgsl

struct Params {
    n: u32,
    width: u32,
    rows: u32,   // rows of this part of the table
    first: u32,  // the part's first row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;  // (n)
@group(0) @binding(2) var<storage, read> dh: array<f32>;  // (n, width)
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;  // (rows, width)

@compute @workgroup_size(WORKGROUP)
fn embed_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let k = group.z * WORKGROUP + thread;
    if i >= params.n || k >= params.width {
        return;
    }
    let token = tokens[i];
    if token < params.first || token - params.first >= params.rows {
        return;
    }
    for (var j = 0u; j < i; j++) {
        if tokens[j] == token {
            return;
        }
    }
    var sum = 0.0;
    for (var j = i; j < params.n; j++) {
        if tokens[j] == token {
            sum += dh[j * params.width + k];
        }
    }
    dtable[(token - params.first) * params.width + k] += sum;
}
