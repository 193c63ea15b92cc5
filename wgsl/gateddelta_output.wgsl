// Norm and gate of the gated delta rule's output, a workgroup for each row and head. It also writes the last inputs of the
// convolution to the tail, which has been read by then.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl
#import shared/slots.wgsl

struct Params {
    n: u32,
    time: u32,      // T
    heads: u32,     // V
    value: u32,     // v
    channels: u32,  // of the convolution
    inputs: u32,    // of a row of u
    taps: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, inputs), behind the channels the gates (V·v)
@group(0) @binding(2) var<storage, read> gain: array<f32>;  // (v)
@group(0) @binding(3) var<storage, read_write> tail: array<f32>;  // (S, taps−1, channels)
@group(0) @binding(4) var<storage, read_write> o: array<f32>;  // (n, V·v)
@group(0) @binding(5) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

// Workgroup (row in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn gated_output(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let at = (row * params.heads + group.z) * params.value;
    let z = row * params.inputs + params.channels + group.z * params.value;
    var squares = 0.0;
    for (var j = thread; j < params.value; j += WORKGROUP) {
        squares += o[at + j] * o[at + j];
    }
    let root = inverse_rms(workgroup_sum(squares, thread), params.value, params.eps);
    for (var j = thread; j < params.value; j += WORKGROUP) {
        o[at + j] *= root * gain[j] * silu(u[z + j]);
    }
    if row % params.time == params.time - 1u {
        let share = (params.channels + params.heads - 1u) / params.heads;
        let end = min((group.z + 1u) * share, params.channels);
        for (var ch = group.z * share + thread; ch < end; ch += WORKGROUP) {
            move_tail(row / params.time, ch);
        }
    }
}

fn move_tail(sequence: u32, channel: u32) {
    let last = params.taps - 1u;
    let slot = slot_of(sequence);
    for (var j = 0u; j < last; j++) {
        let to = (slot * last + j) * params.channels + channel;
        if params.time + j >= last {
            tail[to] = u[(sequence * params.time + params.time + j - last) * params.inputs + channel];
        } else {
            tail[to] = tail[to + params.time * params.channels];
        }
    }
}
