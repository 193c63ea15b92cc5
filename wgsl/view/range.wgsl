// The ranges of the axes, found on the device: peak_of_memory takes the largest |w| of a layer, and choose_ranges the
// first step of the ladder that holds the largest of all layers, and likewise for the losses that are shown. Numbers
// that are not finite count for nothing.

struct Params {
    layer: u32,
    layers: u32,
    history: u32,  // tokens that `losses` holds of a layer
    steps: u32,    // of the ladder
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<f32>;  // one layer's memory
@group(0) @binding(2) var<storage, read> losses: array<f32>;  // (N, history)
@group(0) @binding(3) var<storage, read> counts: array<u32>;  // (N)
@group(0) @binding(4) var<storage, read> ladder: array<f32>;  // (steps), rising
@group(0) @binding(5) var<storage, read_write> peaks: array<f32>;  // (N)
@group(0) @binding(6) var<storage, read_write> ranges: array<u32>;  // the step of the memories, then of the losses

var<workgroup> largest: array<f32, WORKGROUP>;

fn workgroup_max(v: f32, thread: u32) -> f32 {
    largest[thread] = v;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if thread < half {
            largest[thread] = max(largest[thread], largest[thread + half]);
        }
        workgroupBarrier();
    }
    return largest[0];
}

// |v|, or 0 if v is not finite, which comparisons need not tell.
fn size_of(v: f32) -> f32 {
    let bits = bitcast<u32>(v) & 0x7fffffffu;
    return bitcast<f32>(select(0u, bits, bits < 0x7f800000u));
}

// A unit key's loss before anything was learned is 1 but for rounding, and must not take the next step.
const SLACK = 1.0001;

fn step_of(v: f32) -> u32 {
    var step = 0u;
    while step + 1u < params.steps && SLACK * ladder[step] < v {
        step++;
    }
    return step;
}

@compute @workgroup_size(WORKGROUP)
fn peak_of_memory(@builtin(local_invocation_index) thread: u32) {
    var most = 0.0;
    for (var at = thread; at < arrayLength(&state); at += WORKGROUP) {
        most = max(most, size_of(state[at]));
    }
    most = workgroup_max(most, thread);
    if thread == 0u {
        peaks[params.layer] = most;
    }
}

@compute @workgroup_size(WORKGROUP)
fn choose_ranges(@builtin(local_invocation_index) thread: u32) {
    let shown = min(counts[0], params.history);
    var most = 0.0;
    for (var at = thread; at < params.layers * shown; at += WORKGROUP) {
        let t = counts[0] - 1u - at % shown;
        most = max(most, size_of(losses[at / shown * params.history + t % params.history]));
    }
    most = workgroup_max(most, thread);
    if thread == 0u {
        ranges[1] = step_of(most);
        var peak = 0.0;
        for (var layer = 0u; layer < params.layers; layer++) {
            peak = max(peak, peaks[layer]);
        }
        ranges[0] = step_of(peak);
    }
}
