// Backward of gateddelta.wgsl for sequences that began with a tail of zeros. gated_conv_activation turns the gradient of queries,
// keys and values into that of the convolution's output, in place; gated_conv_inputs continues to the convolution's input.

#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl

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
@group(0) @binding(3) var<storage, read_write> dqkv: array<f32>;  // (n, channels)
@group(0) @binding(4) var<storage, read_write> du: array<f32>;  // (n, inputs), of which the channels' part is written
@group(0) @binding(5) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

fn convolve(row: u32, channel: u32) -> f32 {
    let last = params.taps - 1u;
    let t = row % params.time;
    var sum = 0.0;
    for (var back = 0u; back < min(params.taps, before_of(row, t) + 1u); back++) {
        sum += conv[channel * params.taps + last - back] * u[(row - back) * params.inputs + channel];
    }
    return sum;
}

// Workgroup (row in x and y, head group.z: queries, keys, values).
@compute @workgroup_size(WORKGROUP)
fn gated_conv_activation(
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
    var scale = 1.0;
    var pull = 0.0;
    if unit {  // y = scale·x/√(Σx² + 1e-6)
        var shares = vec2<f32>(0.0);
        for (var j = thread; j < width; j += WORKGROUP) {
            let x = silu(convolve(row, first + j));
            shares += vec2<f32>(x, dqkv[at + j]) * x;
        }
        let sums = workgroup_sums(shares, thread);
        scale = inverseSqrt(sums.x + 1e-6);
        pull = scale * scale * sums.y;
        if group.z < params.key_heads {
            scale *= params.scale;
        }
    }
    for (var j = thread; j < width; j += WORKGROUP) {
        let before = convolve(row, first + j);
        dqkv[at + j] = scale * (dqkv[at + j] - silu(before) * pull) * silu_slope(before);
    }
}

// A thread for each of n·channels.
@compute @workgroup_size(WORKGROUP)
fn gated_conv_inputs(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.channels {
        return;
    }
    let row = at / params.channels;
    let channel = at % params.channels;
    var sum = 0.0;
    for (var ahead = 0u; ahead < min(params.taps, behind_of(row, row % params.time, params.time) + 1u); ahead++) {
        sum += dqkv[at + ahead * params.channels] * conv[channel * params.taps + params.taps - 1u - ahead];
    }
    du[row * params.inputs + channel] = sum;
}
