// One row of activations times a matrix. A team of LANES threads computes TEAM_QUADS quads of four outputs; a thread loads 16 bytes of
// each of its weight rows at a time. The activations are in workgroup memory, 1024 at a time, multiplied by the norm's gain; the
// norm's root, a factor of the whole row, is applied to the sums.
//
// The importing file has source_row, quads, row_of and store, and the constants WORKGROUP, LANES, TEAM_QUADS (1 or 4),
// NORM, FORMAT, GROUP (of shared/scales.wgsl), BLOCK_QUADS (activations that 16 bytes of weights meet, in fours) and
// TILE_BLOCKS = 256 / BLOCK_QUADS.
#import shared/input.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/scales.wgsl
#import shared/ternary.wgsl
#import shared/weights.wgsl

const TILE_WIDTH = 1024u;

// Activation quad q of block b lies at q·TILE_BLOCKS + b, so that neighbouring lanes read neighbouring quads.
var<workgroup> tile: array<vec4<f32>, 256>;
var<workgroup> shares: array<vec4<f32>, WORKGROUP>;

// The activations of a block.
var<private> xs: array<vec4<f32>, BLOCK_QUADS>;

fn vector_product(group: u32, groups: u32, i: u32, thread: u32) {
    let row = source_row(i);
    let lane = thread % LANES;
    let quad = (group * (WORKGROUP / LANES) + thread / LANES) * TEAM_QUADS;
    let at0 = quad_rows(quad);
    let at1 = quad_rows(quad + 1u);
    let at2 = quad_rows(quad + 2u);
    let at3 = quad_rows(quad + 3u);
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);
    var row_share = vec2<f32>(0.0);  // of Σ h² and of Σ x
    for (var start = 0u; start < params.width; start += TILE_WIDTH) {
        let first = start / (4u * BLOCK_QUADS);
        let blocks = min(TILE_BLOCKS, row_blocks() - first);
        for (var q = thread; q < blocks * BLOCK_QUADS; q += WORKGROUP) {
            let k = start + 4u * q;
            let h = source4(row, k);
            var x = h;
            if NORM == 1u {
                x *= gain4(k);
            }
            row_share += vec2<f32>(dot(h, h), dot(x, vec4<f32>(1.0)));
            if FORMAT == TERNARY {
                x *= code_scale(q);
            }
            tile[q % BLOCK_QUADS * TILE_BLOCKS + q / BLOCK_QUADS] = x;
        }
        workgroupBarrier();
        for (var b = lane; b < blocks; b += LANES) {
            for (var q = 0u; q < BLOCK_QUADS; q++) {
                xs[q] = tile[q * TILE_BLOCKS + b];
            }
            let at = first + b;
            if FORMAT >= Q8_0 {
                let activations = xs_sum();
                sum0 += number_products(quad, at, activations);
                if TEAM_QUADS > 1u {
                    sum1 += number_products(quad + 1u, at, activations);
                    sum2 += number_products(quad + 2u, at, activations);
                    sum3 += number_products(quad + 3u, at, activations);
                }
                continue;
            }
            if GROUP > 0u {
                let halves = half_sums();
                sum0 += group_products(quad, at0 + at, at, halves);
                if TEAM_QUADS > 1u {
                    sum1 += group_products(quad + 1u, at1 + at, at, halves);
                    sum2 += group_products(quad + 2u, at2 + at, at, halves);
                    sum3 += group_products(quad + 3u, at3 + at, at, halves);
                }
                continue;
            }
            sum0 += block_products(at0 + at);
            if TEAM_QUADS > 1u {
                sum1 += block_products(at1 + at);
                sum2 += block_products(at2 + at);
                sum3 += block_products(at3 + at);
            }
        }
        workgroupBarrier();
    }
    var row_sums = vec2<f32>(0.0);
    var root = 1.0;
    if NORM == 1u || FORMAT == TERNARY {
        row_sums = workgroup_sums(row_share, thread);
    }
    if NORM == 1u {
        root = inverse_rms(row_sums.x, params.width, params.eps);
        write_normed(row, root, group, groups, thread);
    }
    finish(i, quad, sum0, row_sums.y, root, lane, thread);
    if TEAM_QUADS > 1u {
        finish(i, quad + 1u, sum1, row_sums.y, root, lane, thread);
        finish(i, quad + 2u, sum2, row_sums.y, root, lane, thread);
        finish(i, quad + 3u, sum3, row_sums.y, root, lane, thread);
    }
}

// Where the four rows of a quad begin in weights.
fn quad_rows(quad: u32) -> vec4<u32> {
    return vec4<u32>(row_of(quad, 0u), row_of(quad, 1u), row_of(quad, 2u), row_of(quad, 3u)) * params.stride;
}

// Adds up a team's sums for a quad and stores them.
fn finish(i: u32, quad: u32, v: vec4<f32>, activations: f32, root: f32, lane: u32, thread: u32) {
    workgroupBarrier();
    shares[thread] = v;
    workgroupBarrier();
    if lane == 0u && quad < quads() {
        var sum = vec4<f32>(0.0);
        for (var t = 0u; t < LANES; t++) {
            sum += shares[thread + t];
        }
        if FORMAT == TERNARY && GROUP == 0u {
            sum -= activations;  // Σ Q·x = Σ code·x − Σ x
        }
        store(i, quad, sum * root);
    }
}

// Writes this workgroup's share of the normalised row.
fn write_normed(row: u32, root: f32, group: u32, groups: u32, thread: u32) {
    let share = (params.width + groups - 1u) / groups;
    let end = min((group + 1u) * share, params.width);
    for (var k = group * share + thread; k < end; k += WORKGROUP) {
        let at = row * params.width + k;
        x[at] = source[at] * gain[k] * root;
    }
}

// Products of the activations in xs with a block of each of four rows.
fn block_products(at: vec4<u32>) -> vec4<f32> {
    let w0 = weights[at.x];
    let w1 = weights[at.y];
    let w2 = weights[at.z];
    let w3 = weights[at.w];
    if FORMAT == F32 {
        return vec4<f32>(dot(xs[0], bitcast<vec4<f32>>(w0)), dot(xs[0], bitcast<vec4<f32>>(w1)),
            dot(xs[0], bitcast<vec4<f32>>(w2)), dot(xs[0], bitcast<vec4<f32>>(w3)));
    }
    if FORMAT == F16 || FORMAT == BF16 {
        return vec4<f32>(half_product(w0), half_product(w1), half_product(w2), half_product(w3));
    }
    return word_products(vec4<u32>(w0.x, w1.x, w2.x, w3.x), 0u) +
        word_products(vec4<u32>(w0.y, w1.y, w2.y, w3.y), BLOCK_QUADS / 4u) +
        word_products(vec4<u32>(w0.z, w1.z, w2.z, w3.z), BLOCK_QUADS / 2u) +
        word_products(vec4<u32>(w0.w, w1.w, w2.w, w3.w), BLOCK_QUADS * 3u / 4u);
}

fn half_product(w: vec4<u32>) -> f32 {
    return dot(xs[0], halves4(w.x, w.y)) + dot(xs[BLOCK_QUADS - 1u], halves4(w.z, w.w));
}

// Products of the activations in xs with block `block` of each of four rows, whose words begin at `at`, times the scales of
// its two halves' groups; halves are half_sums.
fn group_products(quad: u32, at: vec4<u32>, block: u32, halves: vec2<f32>) -> vec4<f32> {
    let w0 = weights[at.x];
    let w1 = weights[at.y];
    let w2 = weights[at.z];
    let w3 = weights[at.w];
    let low = word_products(vec4<u32>(w0.x, w1.x, w2.x, w3.x), 0u) +
        word_products(vec4<u32>(w0.y, w1.y, w2.y, w3.y), BLOCK_QUADS / 4u) - halves.x;
    let high = word_products(vec4<u32>(w0.z, w1.z, w2.z, w3.z), BLOCK_QUADS / 2u) +
        word_products(vec4<u32>(w0.w, w1.w, w2.w, w3.w), BLOCK_QUADS * 3u / 4u) - halves.y;
    let scales_low = quad_scales(quad, 2u * block);
    if GROUP % 2u == 0u {  // both halves belong to one group
        return (low + high) * scales_low;
    }
    return low * scales_low + high * quad_scales(quad, 2u * block + 1u);
}

// Σ of the activations in xs, where number_products wants it.
fn xs_sum() -> f32 {
    var sum = vec4<f32>(0.0);
    if FORMAT == Q4_K {
        for (var q = 0u; q < BLOCK_QUADS; q++) {
            sum += xs[q];
        }
    }
    return dot(sum, vec4<f32>(1.0));
}

// Products of the activations in xs, whose sum is given, with a block of each of a quad's rows.
fn number_products(quad: u32, block: u32, activations: f32) -> vec4<f32> {
    return vec4<f32>(number_product(row_of(quad, 0u), block, activations), number_product(row_of(quad, 1u), block, activations),
        number_product(row_of(quad, 2u), block, activations), number_product(row_of(quad, 3u), block, activations));
}

fn number_product(row: u32, block: u32, activations: f32) -> f32 {
    let at = row * params.stride;
    let w = weights[at + block];
    if FORMAT == Q8_0 {
        return group_scale(row, 16u * block) * (with_xs(0u, bytes4(w.x)) + with_xs(1u, bytes4(w.y)) + with_xs(2u, bytes4(w.z)) + with_xs(3u, bytes4(w.w)));
    }
    let upper = upper_bits(at, block);
    let low = with_xs(0u, number4(w.x, upper.x)) + with_xs(1u, number4(w.y, upper.y)) +
        with_xs(2u, number4(w.z, upper.x >> 2u)) + with_xs(3u, number4(w.w, upper.y >> 2u));
    let high = with_xs(4u, number4(w.x >> 4u, upper.x >> 4u)) + with_xs(5u, number4(w.y >> 4u, upper.y >> 4u)) +
        with_xs(6u, number4(w.z >> 4u, upper.x >> 6u)) + with_xs(7u, number4(w.w >> 4u, upper.y >> 6u));
    let s = number_scale(row, 32u * block);
    if FORMAT == Q6_K {
        return s.x * low + number_scale(row, 32u * block + 16u).x * high;
    }
    return s.x * (low + high) - s.y * activations;
}

// The product with place `at` of xs, which need not be there in other formats.
fn with_xs(at: u32, w: vec4<f32>) -> f32 {
    return dot(xs[at], w);
}

// The scales of a quad's rows for the inputs from 32·half on.
fn quad_scales(quad: u32, half: u32) -> vec4<f32> {
    let k = min(32u * half, params.width - 1u);  // past the end, the products are 0
    return vec4<f32>(group_scale(row_of(quad, 0u), k), group_scale(row_of(quad, 1u), k), group_scale(row_of(quad, 2u), k),
        group_scale(row_of(quad, 3u), k));
}

// Σ x of the first and of the last 32 activations in xs, which are as code_scale left them.
fn half_sums() -> vec2<f32> {
    let even = vec4<f32>(1.0, 4.0, 16.0, 64.0);
    let odd = vec4<f32>(256.0, 1024.0, 4096.0, 16384.0);
    var sums = vec2<f32>(0.0);
    for (var q = 0u; q < BLOCK_QUADS / 2u; q += 2u) {
        let other = q + BLOCK_QUADS / 2u;
        sums += vec2<f32>(dot(xs[q], even) + dot(xs[q + 1u], odd), dot(xs[other], even) + dot(xs[other + 1u], odd));
    }
    return sums;
}

// Products of a word of each of four rows with the activations from place `at` of xs.
fn word_products(w: vec4<u32>, at: u32) -> vec4<f32> {
    if FORMAT == I8 {
        let x = xs[at];
        return vec4<f32>(dot(x, bytes4(w.x)), dot(x, bytes4(w.y)), dot(x, bytes4(w.z)), dot(x, bytes4(w.w)));
    }
    let x0 = xs[at];
    let x1 = xs[at + 1u];
    let x2 = xs[at + 2u];
    let x3 = xs[at + 3u];
    return vec4<f32>(ternary_product(w.x, x0, x1, x2, x3), ternary_product(w.y, x0, x1, x2, x3),
        ternary_product(w.z, x0, x1, x2, x3), ternary_product(w.w, x0, x1, x2, x3));
}
