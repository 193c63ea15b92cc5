// Queries, keys and values of the gated delta rule: convolution, SiLU, and unit length for queries and keys, a workgroup for
// each row and head.

#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl
#import shared/slots.wgsl

struct Params {
    n: u32,
    time: u32,       // T
    key_heads: u32,  // K
    key: u32,        // k
    value: u32,      // v
    channels: u32,   // 2·K·k + V·v
    inputs: u32,     // of a row of u
    taps: u32,
    scale: f32,      // of the queries, 1/√k
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, inputs)
@group(0) @binding(2) var<storage, read> conv: array<f32>;  // (channels, taps)
@group(0) @binding(3) var<storage, read> tail: array<f32>;  // (S, taps−1, channels)
@group(0) @binding(4) var<storage, read_write> qkv: array<f32>;  // (n, channels)
@group(0) @binding(5) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl; with PACKED = 1 documents, (n, 2)

fn documents_at(at: u32) -> u32 {
    return slots[at];
}

fn convolve(row: u32, channel: u32) -> f32 {
    let last = params.taps - 1u;
    let sequence = row / params.time;
    let t = row % params.time;
    var sum = 0.0;
    for (var tap = 0u; tap < params.taps; tap++) {
        var x = 0.0;
        if last - tap <= before_of(row, t) {
            x = u[(row + tap - last) * params.inputs + channel];
        } else if PACKED == 0u {
            x = tail[(slot_of(sequence) * last + t + tap) * params.channels + channel];
        }
        sum += conv[channel * params.taps + tap] * x;
    }
    return sum;
}

// Workgroup (row in x and y, head group.z: queries, keys, values).
@compute @workgroup_size(WORKGROUP)
fn gated_conv(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let unit = group.z < 2u * params.key_heads;
    var first = group.z * params.key;
    var width = params.key;
    if !unit {
        first = 2u * params.key_heads * params.key + (group.z - 2u * params.key_heads) * params.value;
        width = params.value;
    }
    let at = row * params.channels + first;
    var squares = 0.0;
    for (var j = thread; j < width; j += WORKGROUP) {
        let v = silu(convolve(row, first + j));
        squares += v * v;
        qkv[at + j] = v;
    }
    if unit {
        var scale = inverseSqrt(workgroup_sum(squares, thread) + 1e-6);
        if group.z < params.key_heads {
            scale *= params.scale;
        }
        for (var j = thread; j < width; j += WORKGROUP) {
            qkv[at + j] *= scale;
        }
    }
}
