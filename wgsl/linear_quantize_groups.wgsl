// Ternary weights from float32 ones with a scale for each group of inputs: a weight is no zero from half of the group's largest
// magnitude on, and the scale is the mean magnitude of those, in float16. A thread two groups, whose scales are one word.
//
// As in linear_quantize.wgsl all of it is arithmetic of whole numbers, so that the scale is the same to the bit everywhere: sums
// and quotients of floats may come out otherwise.

#import shared/grid.wgsl

struct Params {
    width: u32,  // K
    words: u32,  // words of a row of codes
    group: u32,  // inputs that share a scale, a multiple of 32
    rows: u32,   // rows to do
    w_row: u32,  // the first of them in w
    q_row: u32,  // and in codes and scales
}

const INFINITY = 0x7f800000u;
const INFINITE_HALF = 0x7c00u;
const NAN_HALF = 0x7e01u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<u32>;  // (…, width), the bits of floats
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (…, pairs of groups)
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;  // (…, words)

@compute @workgroup_size(WORKGROUP)
fn quantize_groups(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    let each = params.width / params.group;
    let pairs = (each + 1u) / 2u;
    if at >= params.rows * pairs {
        return;
    }
    let r = at / pairs;
    let pair = at % pairs;
    var both = one(r, 2u * pair);
    if 2u * pair + 1u < each {
        both |= one(r, 2u * pair + 1u) << 16u;
    }
    scales[(params.q_row + r) * pairs + pair] = both;
    if pair + 1u == pairs {  // zeros behind the last group
        for (var word = params.width / 16u; word < params.words; word++) {
            codes[(params.q_row + r) * params.words + word] = 0x55555555u;
        }
    }
}

// Writes the codes of a group, and gives its scale.
fn one(r: u32, number: u32) -> u32 {
    let first = (params.w_row + r) * params.width + number * params.group;
    var largest = 0u;  // bits of magnitudes are in the order of the numbers, and NaN is above all
    for (var i = 0u; i < params.group; i++) {
        largest = max(largest, w[first + i] & 0x7fffffffu);
    }
    var least = max(select(largest / 2u + (largest & 1u), largest - 0x00800000u, largest >= 0x01000000u), 1u);
    if largest >= INFINITY {  // half of it is infinite, too; of NaN all weights are 0
        least = select(INFINITY, 0xffffffffu, largest > INFINITY);
    }
    // The magnitudes in units of the last place of the smaller of their exponents, of which there are two at most: 25 bits, whose
    // upper and lower ones are summed by themselves.
    let exponent = max(max(largest >> 23u, 1u) - 1u, 1u);
    let to = (params.q_row + r) * params.words + number * params.group / 16u;
    var low = 0u;
    var high = 0u;
    var n = 0u;
    for (var word = 0u; word < params.group / 16u; word++) {
        var packed = 0u;
        for (var i = 0u; i < 16u; i++) {
            let bits = w[first + 16u * word + i];
            var code = 1u;
            if (bits & 0x7fffffffu) >= least {
                let own = (bits >> 23u) & 0xffu;
                let units = ((bits & 0x7fffffu) | (min(own, 1u) << 23u)) << (max(own, 1u) - exponent);
                low += units & 0xffffu;
                high += units >> 16u;
                n += 1u;
                code = select(2u, 0u, (bits >> 31u) == 1u);
            }
            packed |= code << (2u * i);
        }
        codes[to + word] = packed;
    }
    if largest >= INFINITY {
        return select(INFINITE_HALF, NAN_HALF, largest > INFINITY);
    }
    return mean(high + (low >> 16u), low & 0xffffu, max(n, 1u), exponent);
}

// (high·2¹⁶ + low)/n · 2^(exponent − 150) as the nearest float16, halves to even: a long division, bit by bit.
fn mean(high: u32, low: u32, n: u32, exponent: u32) -> u32 {
    var quotient = high / n;  // in all 25 bits, as the numbers have
    var rest = high % n;
    for (var bit = 16u; bit > 0u; bit--) {
        rest = (rest << 1u) | ((low >> (bit - 1u)) & 1u);
        let one = rest >= n;
        rest -= select(0u, n, one);
        quotient = (quotient << 1u) | select(0u, 1u, one);
    }
    // The quotient's first 11 bits stay, or fewer, where the least step of float16, 2⁻²⁴, is larger.
    let length = 32u - countLeadingZeros(quotient);
    let drop = max(i32(length) - 11, 126 - i32(exponent));
    if drop > 25 {
        return 0u;
    }
    let kept = quotient >> u32(drop);
    let middle = 1u << u32(drop - 1);
    let below = quotient & (2u * middle - 1u);
    let up = below > middle || (below == middle && (rest != 0u || (kept & 1u) == 1u));
    // A carry out of the significand makes the next exponent, as it should; denormals have an exponent of 0.
    let scale = u32(max(drop + i32(exponent) - 126, 0));
    return min((scale << 10u) + kept + select(0u, 1u, up), INFINITE_HALF);
}
