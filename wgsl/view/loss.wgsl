// The inner loss of one layer for the token that was read last, Σ ‖v − W·k‖² over the heads, with the memory W as it was
// before the token. The tied mixer's value is its key, so that this is ‖z − k‖².

#import shared/reduce.wgsl

struct Params {
    width: u32,    // d
    head: u32,     // c, the width of a head
    layer: u32,
    history: u32,  // tokens that `losses` holds of a layer
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> kqv: array<f32>;  // TIED: (d) keys before the norm; else (3, d) key, query, value
@group(0) @binding(2) var<storage, read> before: array<f32>;  // (h, c, c)
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;  // (N, history) token t at t % history
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;  // (N) tokens read

@compute @workgroup_size(WORKGROUP)
fn inner_loss(@builtin(local_invocation_index) thread: u32) {
    let d = params.width;
    let c = params.head;
    var scale = 1.0;
    var value = 2u * d;
    if TIED == 1u {
        var squares = 0.0;
        for (var j = thread; j < d; j += WORKGROUP) {
            squares += kqv[j] * kqv[j];
        }
        scale = 1.0 / (sqrt(workgroup_sum(squares, thread)) + 1e-6);
        value = 0u;
    }
    var sum = 0.0;
    for (var i = thread; i < d; i += WORKGROUP) {
        let first = i / c * c;  // of the head
        var answer = 0.0;
        for (var j = 0u; j < c; j++) {
            answer += before[i * c + j] * kqv[first + j];
        }
        let error = scale * (kqv[value + i] - answer);
        sum += error * error;
    }
    let loss = workgroup_sum(sum, thread);
    if thread == 0u {
        let t = counts[params.layer];
        losses[params.layer * params.history + t % params.history] = loss;
        counts[params.layer] = t + 1u;
    }
}
