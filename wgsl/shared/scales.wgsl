// The scales of ternary weights: a γ per block of rows, or a float16 per group of inputs of a row. The importing file
// binds `scales`, array<u32>: bits of float32, or, in rows of whole words, pairs of float16. GROUP is a constant: how many
// times 32 inputs share a scale, 0 where a block of rows does. Of Q4_K and Q6_K of shared/weights.wgsl the rows are of what
// package quants says.

// The scale of a row, counted within the part of the matrix, for input k.
fn group_scale(row: u32, k: u32) -> f32 {
    let span = 32u * max(GROUP, 1u);
    let words = (params.width / span + 1u) / 2u;
    let g = k / span;
    return unpack2x16float(scales[row * words + g / 2u])[g % 2u];
}

// What a number for input k is multiplied by, and what is subtracted then, of Q8_0, Q4_0, Q4_K and Q6_K.
fn number_scale(row: u32, k: u32) -> vec2<f32> {
    if FORMAT < Q4_K {
        return vec2<f32>(group_scale(row, k), 0.0);
    }
    let at = (row * (params.width / 256u) + k / 256u) * 5u;
    let d = unpack2x16float(scales[at]);
    if FORMAT == Q6_K {
        let factors = scales[at + 1u + k / 64u % 4u];
        return vec2<f32>(d.x * f32(bitcast<i32>(factors << (24u - k / 16u % 4u * 8u)) >> 24u), 0.0);
    }
    let word = at + 1u + k / 128u % 2u;
    let shift = vec2<u32>(k / 32u % 4u * 8u);
    return d * vec2<f32>((vec2<u32>(scales[word], scales[word + 2u]) >> shift) & vec2<u32>(255u));
}

// Four weights from input k on, out of what weights4 gives, but for γ.
fn scale4(row: u32, k: u32, w: vec4<f32>) -> vec4<f32> {
    if FORMAT >= Q8_0 {
        let s = number_scale(row, k);
        return w * s.x - s.y;
    }
    if GROUP > 0u {
        return w * group_scale(row, k);
    }
    return w;
}
