// Rows of a table of any format. The importing file has what shared/weights.wgsl and shared/scales.wgsl need, and
// params.block_rows and params.absmean.
#import shared/scales.wgsl
#import shared/weights.wgsl

// Four numbers from column k of the row of a token, which is row `row` of the bound part.
fn table4(row: u32, token: u32, k: u32) -> vec4<f32> {
    let v = scale4(row, k, weights4(row, k));
    if FORMAT == I8 {
        return v * bitcast<f32>(scales[token]);
    }
    if FORMAT == TERNARY && GROUP == 0u && params.absmean == 1u {
        return v * bitcast<f32>(scales[token / params.block_rows]);
    }
    return v;
}
