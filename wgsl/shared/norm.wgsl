// 1 / sqrt(mean of the squares + ε), the factor of RMSNorm. If the squares exceed float32, it is NaN and not 0, which would hide
// them. It compares bits, because compilers may assume that every number is finite.
fn inverse_rms(squares: f32, width: u32, eps: f32) -> f32 {
    let bits = bitcast<u32>(squares);
    let mean = squares / f32(width) + eps;
    let near = inverseSqrt(mean);  // which may be some roundings off: one step of Newton's
    let root = near + near * (0.5 - 0.5 * mean * near * near);
    return select(root, bitcast<f32>(bits | 0x00400000u), (bits & 0x7f800000u) == 0x7f800000u);
}

// The ε of our own models' norms.
const NORM_EPS = 1e-5;
