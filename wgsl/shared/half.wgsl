// Rounds to float16 as IEEE 754 does, to the nearest and halves to even, which pack2x16float does not guarantee.
fn half_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let sign = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if size >= 0x47800000u {  // 65536
        return sign | select(0x7c00u, 0x7e00u, size > 0x7f800000u);
    }
    if size < 0x38800000u {  // below the least normal number, in steps of 2⁻²⁴
        return sign | u32(round(bitcast<f32>(size) * 16777216.0));
    }
    let rebased = size - 0x38000000u;
    return sign | ((rebased + 0xfffu + ((rebased >> 13u) & 1u)) >> 13u);
}

fn halves(a: f32, b: f32) -> u32 {
    return half_bits(a) | (half_bits(b) << 16u);
}
