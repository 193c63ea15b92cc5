// The range of an axis, found on the device: the first step of the ladder that holds the largest number, of a whole memory
// (range_of_memory) or of the curves that are shown (range_of_losses). Numbers that are not finite count for nothing.

struct Params {
    axis: u32,     // whose range it is
    steps: u32,    // of the ladder
    wide: u32,     // columns of the chart, where `values` are those of its curves
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;  // one layer's memory, or (curves, wide, 4) as view/trace.wgsl makes them
@group(0) @binding(2) var<storage, read> curves: array<vec4<u32>>;  // how many
@group(0) @binding(3) var<storage, read> ladder: array<f32>;  // (steps), rising
@group(0) @binding(4) var<storage, read_write> ranges: array<u32>;  // the step of each axis

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

// What stands for losses that are not finite is above this, as are means with one of them.
const FAR = 1e30;

// A unit key's loss before anything was learned is 1 but for rounding, and must not take the next step.
const SLACK = 1.0001;

// Writes the range for the largest of what each thread found.
fn choose(found: f32, thread: u32) {
    let most = workgroup_max(found, thread);
    if thread == 0u {
        var step = 0u;
        while step + 1u < params.steps && SLACK * ladder[step] < most {
            step++;
        }
        ranges[params.axis] = step;
    }
}

@compute @workgroup_size(WORKGROUP)
fn range_of_memory(@builtin(local_invocation_index) thread: u32) {
    var most = 0.0;
    for (var at = thread; at < arrayLength(&values); at += WORKGROUP) {
        most = max(most, size_of(values[at]));
    }
    choose(most, thread);
}

@compute @workgroup_size(WORKGROUP)
fn range_of_losses(@builtin(local_invocation_index) thread: u32) {
    var most = 0.0;
    for (var i = thread; i < curves[0].x * params.wide; i += WORKGROUP) {
        let highest = size_of(values[4u * i + 3u]);
        most = max(most, select(highest, 0.0, highest > FAR));
    }
    choose(most, thread);
}
