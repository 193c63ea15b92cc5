// 1 / sqrt(mean of the squares + ε), what RMSNorm multiplies a row by.
fn inverse_rms(squares: f32, width: u32) -> f32 {
    return inverseSqrt(squares / f32(width) + 1e-5);
}
