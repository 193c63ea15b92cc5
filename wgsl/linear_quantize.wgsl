// Ternary weights from float32 ones: γ = max(mean|w|, 1e-5) of each block of rows, Q = round(w/γ) cut to −1, 0, +1 with
// halves away from zero, code = Q + 1, sixteen a word.

#import shared/grid.wgsl
#import shared/reduce.wgsl

struct Params {
    width: u32,       // K
    words: u32,       // words of a row of codes
    rows: u32,        // rows to do
    w_row: u32,       // the first of them in w
    q_row: u32,       // and in codes
    first: u32,       // and in the whole matrix
    block_rows: u32,  // rows that share a γ
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;  // (…, width)
@group(0) @binding(2) var<storage, read_write> row_sums: array<f32>;  // Σ|w| of each row
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;  // γ of each block of rows
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;  // (…, words)

// A workgroup a row.
@compute @workgroup_size(WORKGROUP)
fn quantize_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let r = flat_group(group, groups);
    let row = (params.w_row + min(r, params.rows - 1u)) * params.width;
    var sum = 0.0;
    for (var k = thread; k < params.width; k += WORKGROUP) {
        sum += abs(w[row + k]);
    }
    let total = workgroup_sum(sum, thread);
    if thread == 0u && r < params.rows {
        row_sums[params.first + r] = total;
    }
}

// A workgroup a block.
@compute @workgroup_size(WORKGROUP)
fn quantize_gamma(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var r = thread; r < params.block_rows; r += WORKGROUP) {
        sum += row_sums[group.x * params.block_rows + r];
    }
    let total = workgroup_sum(sum, thread);
    if thread == 0u {
        scales[group.x] = max(total / (f32(params.block_rows) * f32(params.width)), 1e-5);
    }
}

// A thread a word.
@compute @workgroup_size(WORKGROUP)
fn quantize_codes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.rows * params.words {
        return;
    }
    let r = at / params.words;
    let first = at % params.words * 16u;
    // w/γ ≥ ½ exactly where w ≥ ½·γ, which needs no division.
    let half = 0.5 * scales[(params.first + r) / params.block_rows];
    var word = 0u;
    for (var i = 0u; i < 16u; i++) {
        var code = 1u;
        if first + i < params.width {
            let v = w[(params.w_row + r) * params.width + first + i];
            code = select(select(1u, 0u, v <= -half), 2u, v >= half);
        }
        word |= code << (2u * i);
    }
    codes[(params.q_row + r) * params.words + at % params.words] = word;
}
