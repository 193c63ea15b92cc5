// Ternary weights from float32 ones with a scale for each group of inputs: a weight is no zero from half of the group's largest
// magnitude on, and the scale is the mean magnitude of those, in float16. A thread two groups, whose scales are one word.

#import shared/grid.wgsl
#import shared/half.wgsl

struct Params {
    width: u32,  // K
    words: u32,  // words of a row of codes
    group: u32,  // inputs that share a scale, a multiple of 32
    rows: u32,   // rows to do
    w_row: u32,  // the first of them in w
    q_row: u32,  // and in codes and scales
}

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
    let least = max(select(largest / 2u, largest - 0x00800000u, largest >= 0x01000000u), 1u);
    let to = (params.q_row + r) * params.words + number * params.group / 16u;
    var sum = 0.0;
    var n = 0u;
    for (var word = 0u; word < params.group / 16u; word++) {
        var packed = 0u;
        for (var i = 0u; i < 16u; i++) {
            let bits = w[first + 16u * word + i];
            var code = 1u;
            if (bits & 0x7fffffffu) >= least {
                sum += bitcast<f32>(bits & 0x7fffffffu);
                n += 1u;
                code = select(2u, 0u, (bits >> 31u) == 1u);
            }
            packed |= code << (2u * i);
        }
        codes[to + word] = packed;
    }
    if largest > 0x7f800000u {
        return 0x7e00u;
    }
    return half_bits(sum / f32(max(n, 1u)));
}
