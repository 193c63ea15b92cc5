// The normalised Walsh-Hadamard transform of every BLOCK neighbours of a row, with signs applied before it or, for the inverse, after
// it. With IN_PLACE = 1 it reads y. SOURCE says what comes first: nothing, an RMSNorm, for which a workgroup handles all blocks of a
// row, or the SwiGLU or SquaredReLU of rows with gate beside up.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/silu.wgsl

struct Params {
    blocks: u32,   // of all rows
    width: u32,    // D
    inverse: u32,  // 1: the signs come last
    scale: f32,    // 1/√BLOCK
    eps: f32,      // of the norm
    together: u32, // blocks of a workgroup
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;  // (n, D), or (n, 2·D) gate beside up
@group(0) @binding(2) var<storage, read> signs: array<f32>;  // (D)
@group(0) @binding(3) var<storage, read> gain: array<f32>;  // (D)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // (n, D)

// Values of SOURCE.
const NORM = 1u;
const SWIGLU = 2u;
const SQUARED = 3u;

// A block, and before that the threads' sums: ROOM is at least BLOCK and WORKGROUP.
var<workgroup> part: array<f32, ROOM>;

fn input(at: u32, root: f32) -> f32 {
    if IN_PLACE == 1u {
        return y[at];
    }
    if SOURCE == NORM {
        return x[at] * root * gain[at % params.width];
    }
    if SOURCE == SWIGLU || SOURCE == SQUARED {
        let i = at / params.width;
        let gate = x[at + i * params.width];
        let up = x[at + (i + 1u) * params.width];
        if SOURCE == SWIGLU {
            return silu(gate) * up;
        }
        let positive = select(gate, 0.0, gate < 0.0);  // and not max, which would hide a NaN
        return positive * positive * up;
    }
    return x[at];
}

@compute @workgroup_size(WORKGROUP)
fn hadamard(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let begin = flat_group(group, groups) * params.together;
    if begin >= params.blocks {
        return;
    }
    var root = 1.0;
    if SOURCE == NORM {
        var squares = 0.0;
        for (var k = thread; k < params.width; k += WORKGROUP) {
            let v = x[begin * BLOCK + k];
            squares += v * v;
        }
        part[thread] = squares;
        for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if thread < half {
                part[thread] += part[thread + half];
            }
        }
        workgroupBarrier();
        root = inverse_rms(part[0], params.width, params.eps);
    }
    for (var block = begin; block < begin + params.together; block++) {
        transform(block * BLOCK, root, thread);
    }
}

fn transform(first: u32, root: f32, thread: u32) {
    workgroupBarrier();
    for (var j = thread; j < BLOCK; j += WORKGROUP) {
        var v = input(first + j, root);
        if params.inverse == 0u {
            v *= signs[(first + j) % params.width];
        }
        part[j] = v;
    }
    for (var half = 1u; half < BLOCK; half *= 2u) {
        workgroupBarrier();
        for (var j = thread; j < BLOCK / 2u; j += WORKGROUP) {
            let at = j / half * 2u * half + j % half;
            let a = part[at];
            let b = part[at + half];
            part[at] = a + b;
            part[at + half] = a - b;
        }
    }
    workgroupBarrier();
    for (var j = thread; j < BLOCK; j += WORKGROUP) {
        var v = part[j] * params.scale;
        if params.inverse == 1u {
            v *= signs[(first + j) % params.width];
        }
        y[first + j] = v;
    }
}
