// Backward of deltascan_conv.wgsl for sequences that began with a tail of zeros. delta_conv_activation turns the gradient of keys,
// queries and values into that of the convolution's output, in place; the other two continue from there.

#import shared/conv.wgsl
#import shared/columns.wgsl
#import shared/documents.wgsl
#import shared/grid.wgsl
#import shared/silu.wgsl
#import shared/unit.wgsl

struct Params {
    width: u32,  // d
    head: u32,   // c, the width of a head
    time: u32,   // T
    tail: u32,   // 0
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(2) var<storage, read> conv: array<f32>;  // (3, d, 4)
@group(0) @binding(3) var<storage, read> tail: array<f32>;  // unused
@group(0) @binding(4) var<storage, read_write> dkqv: array<f32>;  // (n, 3, d)
@group(0) @binding(5) var<storage, read_write> du: array<f32>;  // (n, 3, d)
@group(0) @binding(6) var<storage, read_write> dconv: array<f32>;  // (3, d, 4)
@group(0) @binding(7) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

// There is no tail.
fn slot_of(sequence: u32) -> u32 {
    return sequence;
}

// Workgroup (token of all in x and y, head of the 3·h group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_conv_activation(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    if i >= params.n {
        return;
    }
    let b = i / params.time;
    let t = i % params.time;
    let row = i * 3u * params.width;
    let first = group.z * params.head;
    var sums = vec2<f32>(0.0);
    for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
        let f = silu(convolve(b, t, j));
        sums += vec2<f32>(f, dkqv[row + j]) * f;
    }
    var pull = unit_pull(sums, thread);
    if 3u * group.z >= 2u * groups.z {
        pull = vec2<f32>(1.0, 0.0);  // a value, which has no unit length
    }
    for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
        let before = convolve(b, t, j);
        dkqv[row + j] = (dkqv[row + j] * pull.x - silu(before) * pull.y) * silu_slope(before);
    }
}

// A thread for each of n·3·d inputs.
@compute @workgroup_size(WORKGROUP)
fn delta_conv_inputs(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    let channels = 3u * params.width;
    if at >= params.n * channels {
        return;
    }
    let t = at / channels % params.time;
    var sum = 0.0;
    for (var ahead = 0u; ahead < min(TAPS, behind_of(at / channels, t, params.time) + 1u); ahead++) {
        sum += dkqv[at + ahead * channels] * conv[at % channels * TAPS + TAPS - 1u - ahead];
    }
    du[at] = sum;
}

@compute @workgroup_size(16, 16)
fn delta_conv_taps(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let j = group.x * COLUMNS + local.x;
    var sum = vec4<f32>(0.0);
    if j < 3u * params.width {
        for (var i = local.y; i < params.n; i += 16u) {
            let b = i / params.time;
            let t = i % params.time;
            sum += dkqv[i * 3u * params.width + j] * vec4<f32>(
                conv_input(b, t, 3u, j), conv_input(b, t, 2u, j), conv_input(b, t, 1u, j), conv_input(b, t, 0u, j));
        }
    }
    let total = column_sum(sum, local);
    if local.y == 0u && j < 3u * params.width {
        for (var i = 0u; i < TAPS; i++) {
            dconv[j * TAPS + i] += total[i];
        }
    }
}
