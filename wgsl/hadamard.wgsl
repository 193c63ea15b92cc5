// The normalised Walsh-Hadamard transform of each BLOCK neighbours of a row, with signs before or, inverse, behind it. With
// IN_PLACE = 1 it reads y.

#import shared/grid.wgsl

struct Params {
    blocks: u32,   // of all rows
    width: u32,    // D
    inverse: u32,  // 1: the signs come last
    scale: f32,    // 1/√BLOCK
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;  // (n, D)
@group(0) @binding(2) var<storage, read> signs: array<f32>;  // (D)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (n, D)

var<workgroup> part: array<f32, BLOCK>;

// A workgroup a block.
@compute @workgroup_size(WORKGROUP)
fn hadamard(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_group(group, groups);
    if block >= params.blocks {
        return;
    }
    let first = block * BLOCK;
    for (var j = thread; j < BLOCK; j += WORKGROUP) {
        var v = 0.0;
        if IN_PLACE == 1u {
            v = y[first + j];
        } else {
            v = x[first + j];
        }
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
