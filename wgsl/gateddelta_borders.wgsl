// Marks the beginnings of documents in the input of the decays: where it is RESET, the rule drops the state. A thread for each of
// n·V.

#import shared/grid.wgsl

struct Params {
    n: u32,
    heads: u32,  // V
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;  // (n, V)
@group(0) @binding(2) var<storage, read> documents: array<u32>;  // (n, 2), see shared/documents.wgsl
@group(0) @binding(3) var<storage, read_write> marked: array<f32>;  // (n, V)

const RESET = 3.0e38;

@compute @workgroup_size(WORKGROUP)
fn gated_borders(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.heads {
        return;
    }
    marked[at] = select(a[at], RESET, documents[2u * (at / params.heads)] == 0u);
}
