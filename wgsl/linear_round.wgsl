// Rounds rows to int8 as op.Linear says: round(x·t) with t = 127/max(max|x|, 1e-5). Because t decides what is a half, it is as exact
// as on the CPU, however the GPU divides. The product is divided by t at the end, since sums of whole numbers are exact. With
// NORM = 1 RMSNorm comes first, and with SQUARED = 1 relu(gate)² ⊙ up before that.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,
    width: u32,
    eps: f32,  // of the norm
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;  // (n, width), with SQUARED (n, 2·width) gate beside up
@group(0) @binding(2) var<storage, read> gain: array<f32>;  // (width)
@group(0) @binding(3) var<storage, read_write> x: array<f32>;  // (n, width) the normalised source; before, with IN_PLACE, the source
@group(0) @binding(4) var<storage, read_write> rounded: array<f32>;  // (n, width) whole numbers, then (n) t

const LEAST = 0x3727c5acu;  // 1e-5
const INFINITE = 0x7f800000u;

var<workgroup> peaks: array<u32, WORKGROUP>;

fn input(at: u32) -> f32 {
    if SQUARED == 1u {
        let i = at / params.width;
        let gate = source[at + i * params.width];
        let positive = select(gate, 0.0, gate < 0.0);  // and not max, which would hide a NaN
        return positive * positive * source[at + (i + 1u) * params.width];
    }
    if IN_PLACE == 1u {
        return x[at];
    }
    return source[at];
}

// A workgroup a row.
@compute @workgroup_size(WORKGROUP)
fn linear_round(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let row = min(i, params.n - 1u) * params.width;
    var root = 1.0;
    if NORM == 1u {
        var squares = 0.0;
        for (var k = thread; k < params.width; k += WORKGROUP) {
            let v = input(row + k);
            squares += v * v;
        }
        root = inverse_rms(workgroup_sum(squares, thread), params.width, params.eps);
    }
    var peak = LEAST;  // bits of magnitudes are in the order of the numbers, and NaN is above all
    for (var k = thread; k < params.width; k += WORKGROUP) {
        var v = input(row + k);
        if NORM == 1u {
            v = v * root * gain[k];
            if i < params.n {
                x[row + k] = v;
            }
        }
        peak = max(peak, bitcast<u32>(v) & 0x7fffffffu);
    }
    peaks[thread] = peak;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            peaks[thread] = max(peaks[thread], peaks[thread + half]);
        }
    }
    workgroupBarrier();
    peak = peaks[0];
    if i >= params.n {
        return;
    }
    let t = select(over(peak), bitcast<f32>(peak | 0x00400000u), peak >= INFINITE);
    if thread == 0u {
        rounded[params.n * params.width + i] = t;
    }
    for (var k = thread; k < params.width; k += WORKGROUP) {
        var v = 0.0;
        if NORM == 1u {
            v = x[row + k];
        } else {
            v = source[row + k];
        }
        rounded[row + k] = clamp(round(v * t), -128.0, 127.0);
    }
}

// 127/peak rounded to the nearest float32, halves to even: a long division of the mantissas.
fn over(peak: u32) -> f32 {
    let divisor = (peak & 0x007fffffu) | 0x00800000u;
    var rest = 0x00fe0000u;  // 127·2¹⁷, the mantissa of 127 = 1.98·2⁶
    var exponent = 127u + 127u + 6u - (peak >> 23u);
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
    return bitcast<f32>((exponent << 23u) + (quotient - 0x00800000u));
}
