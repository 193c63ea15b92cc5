// The keys, queries and values of the delta rule from its projections: a causal convolution over four tokens, SiLU, and unit length
// for keys and queries. A workgroup computes the key, query or value of one head and token.

#import shared/conv.wgsl
#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl
#import shared/slots.wgsl

struct Params {
    width: u32,  // d
    head: u32,   // c, the width of a head
    time: u32,   // T
    tail: u32,   // 1: inputs before the first lie in the tail; 0: they are zero
    keep: u32,   // 1: of one token, its input goes into the tail
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(2) var<storage, read> conv: array<f32>;  // (3, d, 4)
@group(0) @binding(3) var<storage, read_write> tail: array<f32>;  // (S, 3, 3, d)
@group(0) @binding(4) var<storage, read_write> kqv: array<f32>;  // (n, 3, d)
@group(0) @binding(5) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

// Shifts channel j of a sequence's tail by one token. No other thread uses the channel.
fn keep(row: u32, j: u32) {
    let at = (slot_of(row) * 3u + j / params.width) * KEPT * params.width + j % params.width;
    tail[at] = tail[at + params.width];
    tail[at + params.width] = tail[at + 2u * params.width];
    tail[at + 2u * params.width] = u[row * 3u * params.width + j];
}

// Workgroup (token of all in x and y, head of the 3·h group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_conv(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let first = group.z * params.head;
    var squares = 0.0;
    for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
        let v = silu(convolve(row / params.time, row % params.time, j));
        squares += v * v;
        kqv[row * 3u * params.width + j] = v;
        if params.keep == 1u {
            keep(row, j);
        }
    }
    if 3u * group.z >= 2u * groups.z {
        return;  // a value
    }
    let size = sqrt(workgroup_sum(squares, thread)) + 1e-6;
    for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
        kqv[row * 3u * params.width + j] /= size;
    }
}
