// One row of activations times a matrix. A team of LANES threads makes a quad, four outputs; each thread loads 16
// bytes of each of the four weight rows at a time. The activations lie in workgroup memory, 1024 at a time, with the
// norm's gain; the norm's root, a factor of the whole row, is applied to the sums.
//
// The importing file has source_row, quads, row_of and store, and the constants WORKGROUP, LANES, NORM, FORMAT,
// BLOCK_QUADS (activations that 16 bytes of weights meet, in fours) and TILE_BLOCKS = 256 / BLOCK_QUADS.
#import shared/input.wgsl
#import shared/norm.wgsl
#import shared/weights.wgsl

const TILE_WIDTH = 1024u;

// Activation quad q of block b lies at q·TILE_BLOCKS + b, so that neighbouring lanes read neighbouring quads.
var<workgroup> tile: array<vec4<f32>, 256>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;
var<workgroup> row_sums: array<vec2<f32>, WORKGROUP>;  // a thread's share of Σ h² and of Σ x

fn vector_product(group: u32, groups: u32, i: u32, thread: u32) {
    let row = source_row(i);
    let lane = thread % LANES;
    let teams = WORKGROUP / LANES;
    let quad = group * teams + thread / LANES;
    let base = vec4<u32>(row_of(quad, 0u), row_of(quad, 1u), row_of(quad, 2u), row_of(quad, 3u)) * params.stride;
    var sum = vec4<f32>(0.0);
    var row_sum = vec2<f32>(0.0);
    for (var start = 0u; start < params.width; start += TILE_WIDTH) {
        let first = start / (4u * BLOCK_QUADS);
        let blocks = min(TILE_BLOCKS, params.stride - first);
        for (var q = thread; q < blocks * BLOCK_QUADS; q += WORKGROUP) {
            let k = start + 4u * q;
            let h = source4(row, k);
            var x = h;
            if NORM == 1u {
                x *= gain4(k);
            }
            row_sum += vec2<f32>(dot(h, h), dot(x, vec4<f32>(1.0)));
            if FORMAT == TERNARY {
                x *= select(vec4<f32>(0.00390625, 0.0009765625, 0.000244140625, 0.00006103515625),
                    vec4<f32>(1.0, 0.25, 0.0625, 0.015625), q % 2u == 0u);
            }
            tile[q % BLOCK_QUADS * TILE_BLOCKS + q / BLOCK_QUADS] = x;
        }
        workgroupBarrier();
        for (var b = lane; b < blocks; b += LANES) {
            let at = base + first + b;
            sum += block_products(weights[at.x], weights[at.y], weights[at.z], weights[at.w], b);
        }
        workgroupBarrier();
    }
    sums[thread] = sum;
    row_sums[thread] = row_sum;
    workgroupBarrier();
    row_sum = vec2<f32>(0.0);
    for (var t = 0u; t < WORKGROUP; t++) {
        row_sum += row_sums[t];
    }
    var root = 1.0;
    if NORM == 1u {
        root = inverse_rms(row_sum.x, params.width);
        write_normed(row, root, group, groups, thread, WORKGROUP);
    }
    if lane == 0u && quad < quads() {
        sum = vec4<f32>(0.0);
        for (var t = 0u; t < LANES; t++) {
            sum += sums[thread + t];
        }
        if FORMAT == TERNARY {
            sum -= row_sum.y;  // Σ Q·x = Σ code·x − Σ x
        }
        store(i, quad, sum * root);
    }
}

// Writes this workgroup's share of the normalised row.
fn write_normed(row: u32, root: f32, group: u32, groups: u32, thread: u32, threads: u32) {
    let share = (params.width + groups - 1u) / groups;
    let end = min((group + 1u) * share, params.width);
    for (var k = group * share + thread; k < end; k += threads) {
        let at = row * params.width + k;
        x[at] = source[at] * gain[k] * root;
    }
}

// Products of block b of the activations with a block of each of four rows.
fn block_products(w0: vec4<u32>, w1: vec4<u32>, w2: vec4<u32>, w3: vec4<u32>, b: u32) -> vec4<f32> {
    if FORMAT == F32 {
        let x = tile[b];
        return vec4<f32>(dot(x, bitcast<vec4<f32>>(w0)), dot(x, bitcast<vec4<f32>>(w1)),
            dot(x, bitcast<vec4<f32>>(w2)), dot(x, bitcast<vec4<f32>>(w3)));
    }
    if FORMAT == F16 {
        let x0 = tile[b];
        let x1 = tile[b + TILE_BLOCKS];
        return vec4<f32>(half_product(w0, x0, x1), half_product(w1, x0, x1), half_product(w2, x0, x1), half_product(w3, x0, x1));
    }
    return word_products(vec4<u32>(w0.x, w1.x, w2.x, w3.x), b) +
        word_products(vec4<u32>(w0.y, w1.y, w2.y, w3.y), b + BLOCK_QUADS / 4u * TILE_BLOCKS) +
        word_products(vec4<u32>(w0.z, w1.z, w2.z, w3.z), b + BLOCK_QUADS / 2u * TILE_BLOCKS) +
        word_products(vec4<u32>(w0.w, w1.w, w2.w, w3.w), b + BLOCK_QUADS * 3u / 4u * TILE_BLOCKS);
}

fn half_product(w: vec4<u32>, x0: vec4<f32>, x1: vec4<f32>) -> f32 {
    return dot(x0, vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y))) +
        dot(x1, vec4<f32>(unpack2x16float(w.z), unpack2x16float(w.w)));
}

// Products of a word of each of four rows with the activations from place `at` of the tile.
fn word_products(w: vec4<u32>, at: u32) -> vec4<f32> {
    if FORMAT == I8 {
        let x = tile[at];
        return vec4<f32>(dot(x, bytes4(w.x)), dot(x, bytes4(w.y)), dot(x, bytes4(w.z)), dot(x, bytes4(w.w)));
    }
    let x0 = tile[at];
    let x1 = tile[at + TILE_BLOCKS];
    let x2 = tile[at + 2u * TILE_BLOCKS];
    let x3 = tile[at + 3u * TILE_BLOCKS];
    return vec4<f32>(ternary_product(w.x, x0, x1, x2, x3), ternary_product(w.y, x0, x1, x2, x3),
        ternary_product(w.z, x0, x1, x2, x3), ternary_product(w.w, x0, x1, x2, x3));
}

// Σ code·x over the 16 codes of a word. A code is taken where it stands, 4^p too large for place p of its half of the
// word, and x has been made as much smaller: powers of two, so nothing is lost and no weight costs a shift.
fn ternary_product(word: u32, x0: vec4<f32>, x1: vec4<f32>, x2: vec4<f32>, x3: vec4<f32>) -> f32 {
    let low = vec4<u32>(word);
    let high = vec4<u32>(word >> 16u);
    let even = vec4<u32>(3u, 12u, 48u, 192u);
    let odd = vec4<u32>(768u, 3072u, 12288u, 49152u);
    return dot(vec4<f32>(vec4<i32>(low & even)), x0) + dot(vec4<f32>(vec4<i32>(low & odd)), x1) +
        dot(vec4<f32>(vec4<i32>(high & even)), x2) + dot(vec4<f32>(vec4<i32>(high & odd)), x3);
}
