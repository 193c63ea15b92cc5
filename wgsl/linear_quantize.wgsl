// Ternary weights from float32 ones: γ = max(mean|w|, 1e-5) of each block of rows, Q = round(w/γ) cut to −1, 0, +1 with
// halves away from zero, code = Q + 1, sixteen a word. With half_even they are round(w·s) for s = 1/γ in float32, halves to
// zero, as BitNet's public trainers have it, and the scale is 1/s.
//
// All of it is arithmetic of whole numbers on the bits of the weights, which WGSL defines exactly. Its additions of floats
// may round either way, be taken in another order, or take denormals for zero, its division may be off by more; and a γ
// that differs in its last bit makes another model of a weight that lies at the threshold. The host's twin, nn/ternary,
// adds the same whole numbers, so that γ and codes are the same everywhere.

#import shared/grid.wgsl

struct Params {
    width: u32,       // K
    words: u32,       // words of a row of codes
    rows: u32,        // rows to do
    w_row: u32,       // the first of them in w
    q_row: u32,       // and in codes
    first: u32,       // and among the rows of these blocks
    block_rows: u32,  // rows that share a γ
    block: u32,       // number of the first of these blocks
    scale: u32,       // its first scale
    scales: u32,      // how many each has, all alike
    half_even: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<u32>;  // (…, width), the bits of floats
@group(0) @binding(2) var<storage, read_write> sums: array<atomic<u32>>;  // (blocks, WORDS), zeros at first
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;  // γ of each block of rows, the bits of floats
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;  // (…, words)

// Σ|w| in units of 2⁻¹⁴⁹, the smallest float: 20 digits of 16 bits, the lowest first, in words of 32, so that carries are
// rare. The largest float has 277 bits, which leaves 43 for the number of weights. The word after them is 1 where a weight is
// not finite, the last is the least magnitude that is not rounded to 0.
const DIGITS = 20u;
const WORDS = 22u;
const SPOILT = 20u;
const LEAST_ONE = 21u;

const INFINITY = 0x7f800000u;
const NAN = 0x7fc00000u;
const LEAST = 0x3727c5acu;  // 1e-5

var<workgroup> row_sum: array<atomic<u32>, 20>;

// A word that overflows owes 2³² of its digit, 2¹⁶ of the next.
fn add_to_row(digit: u32, value: u32) {
    var at = digit;
    var add = value;
    while add != 0u && at < DIGITS {
        let before = atomicAdd(&row_sum[at], add);
        add = select(0u, 65536u, before > 0xffffffffu - add);
        at += 1u;
    }
}

fn add_to_block(block: u32, digit: u32, value: u32) {
    var at = digit;
    var add = value;
    while add != 0u && at < DIGITS {
        let before = atomicAdd(&sums[block * WORDS + at], add);
        add = select(0u, 65536u, before > 0xffffffffu - add);
        at += 1u;
    }
}

// A workgroup a row.
@compute @workgroup_size(WORKGROUP)
fn quantize_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let r = flat_group(group, groups);
    for (var d = thread; d < DIGITS; d += WORKGROUP) {
        atomicStore(&row_sum[d], 0u);
    }
    workgroupBarrier();
    let block = params.block + (params.first + r) / params.block_rows;
    if r < params.rows {
        let row = (params.w_row + r) * params.width;
        for (var k = thread; k < params.width; k += WORKGROUP) {
            let magnitude = w[row + k] & 0x7fffffffu;
            let exponent = magnitude >> 23u;
            if magnitude >= INFINITY {
                atomicStore(&sums[block * WORDS + SPOILT], 1u);
            } else {
                // The significand, 24 bits, stands at bit `exponent − 1` of the sum; denormals as those of exponent 1.
                let significand = (magnitude & 0x7fffffu) | (min(exponent, 1u) << 23u);
                let place = max(exponent, 1u) - 1u;
                let shift = place % 16u;
                let low = significand << shift;
                add_to_row(place / 16u, low & 0xffffu);
                add_to_row(place / 16u + 1u, low >> 16u);
                add_to_row(place / 16u + 2u, (significand >> 1u) >> (31u - shift));
            }
        }
    }
    workgroupBarrier();
    if r < params.rows {
        for (var d = thread; d < DIGITS; d += WORKGROUP) {
            add_to_block(block, d, atomicLoad(&row_sum[d]));
        }
    }
}

// A workgroup a block, of which one thread divides by the number of weights, bit by bit.
@compute @workgroup_size(WORKGROUP)
fn quantize_gamma(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if thread > 0u {
        return;
    }
    var digits: array<u32, 20>;
    let first = (params.block + group.x) * WORDS;
    var carry = 0u;
    for (var d = 0u; d < DIGITS; d++) {
        let word = atomicLoad(&sums[first + d]);
        let low = (word & 0xffffu) + (carry & 0xffffu);
        digits[d] = low & 0xffffu;
        carry = (word >> 16u) + (carry >> 16u) + (low >> 16u);
    }
    let n = params.block_rows * params.width;  // below 2³¹
    var remainder = 0u;
    var mean = 0u;       // the first 25 bits of the quotient
    var left = 0u;       // bits of the quotient after them
    var sticky = false;  // one of them is 1
    for (var bit = DIGITS * 16u; bit > 0u; bit--) {
        remainder = (remainder << 1u) | ((digits[(bit - 1u) / 16u] >> ((bit - 1u) % 16u)) & 1u);
        let one = remainder >= n;
        remainder -= select(0u, n, one);
        if mean < 0x1000000u {
            mean = (mean << 1u) | select(0u, 1u, one);
        } else {
            left += 1u;
            sticky = sticky || one;
        }
    }
    // The nearest float, ties to even. What is too small to have 25 bits is far below LEAST; a carry out of the
    // significand makes the next exponent, as it should.
    var gamma = 0u;
    if mean >= 0x1000000u {
        let significand = mean >> 1u;
        let up = (mean & 1u) == 1u && (sticky || remainder != 0u || (significand & 1u) == 1u);
        gamma = ((left + 2u) << 23u) + (significand - 0x800000u) + select(0u, 1u, up);
    }
    gamma = max(gamma, LEAST);
    if atomicLoad(&sums[first + SPOILT]) != 0u {
        gamma = NAN;
    }
    // |w|/γ ≥ ½ exactly where |w| ≥ ½·γ. Magnitudes are ordered as their bits are, and ½·γ is the exponent below; where γ is
    // no number all weights are 0.
    var least = select(gamma - 0x800000u, 0xffffffffu, gamma >= INFINITY);
    if params.half_even == 1u && gamma < INFINITY {
        let s = inverse(gamma);
        for (var i = 0u; i < 4u && !above(least, s); i++) {
            least += 1u;
        }
        for (var i = 0u; i < 4u && above(least - 1u, s); i++) {
            least -= 1u;
        }
        gamma = inverse(s);
    }
    atomicStore(&sums[first + LEAST_ONE], least);
    for (var i = 0u; i < params.scales; i++) {
        scales[params.scale + group.x * params.scales + i] = gamma;
    }
}

// Whether w·s, rounded to the nearest float32, halves to even, is above ½: the product of their significands, 48 bits in halves of
// 24, beyond ½ + 2⁻²⁵, which is rounded to ½. Neither is a denormal.
fn above(w: u32, s: u32) -> bool {
    let a = (w & 0x7fffffu) | 0x800000u;
    let b = (s & 0x7fffffu) | 0x800000u;
    let place = 275i - i32(w >> 23u) - i32(s >> 23u);  // ½ + 2⁻²⁵ is (2²⁴ + 1)·2^place
    if place < 22i || place > 23i {  // farther from ½ than a factor of two
        return place < 22i;
    }
    let middle = (a >> 12u) * (b & 0xfffu) + (a & 0xfffu) * (b >> 12u);
    let low = (a & 0xfffu) * (b & 0xfffu) + ((middle & 0xfffu) << 12u);
    let high = (a >> 12u) * (b >> 12u) + (middle >> 12u) + (low >> 24u);
    let least = 1u << u32(place);
    return high > least || (high == least && (low & 0xffffffu) > least);
}

// 1/x rounded to the nearest float32, halves to even: a long division of the mantissas.
fn inverse(x: u32) -> u32 {
    let divisor = (x & 0x007fffffu) | 0x00800000u;
    var rest = 0x00800000u;
    var exponent = 254u - (x >> 23u);
    if rest < divisor {
        rest <<= 1u;
        exponent -= 1u;
    }
    var quotient = 0u;
    for (var bit = 0u; bit < 24u; bit++) {
        quotient <<= 1u;
        if rest >= divisor {
            rest -= divisor;
            quotient |= 1u;
        }
        rest <<= 1u;
    }
    if rest > divisor || (rest == divisor && (quotient & 1u) == 1u) {
        quotient += 1u;  // which may carry into the exponent, rightly
    }
    return (exponent << 23u) + (quotient - 0x00800000u);
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
    let least = atomicLoad(&sums[(params.block + (params.first + r) / params.block_rows) * WORDS + LEAST_ONE]);
    var word = 0u;
    for (var i = 0u; i < 16u; i++) {
        var code = 1u;
        if first + i < params.width {
            let bits = w[(params.w_row + r) * params.width + first + i];
            if (bits & 0x7fffffffu) >= least {
                code = select(2u, 0u, (bits >> 31u) == 1u);
            }
        }
        word |= code << (2u * i);
    }
    codes[(params.q_row + r) * params.words + at % params.words] = word;
}
