// The rows of activations that a product reads: four numbers at a time, zeros past the end of a row, whose width need
// not be a multiple of 4. The importing file binds `source`, (n, width), and `gain`, (width), and has params.width.
fn source4(row: u32, k: u32) -> vec4<f32> {
    let at = row * params.width + k;
    if k + 4u <= params.width {
        return vec4<f32>(source[at], source[at + 1u], source[at + 2u], source[at + 3u]);
    }
    var v = vec4<f32>(0.0);
    for (var i = 0u; k + i < params.width; i++) {
        v[i] = source[at + i];
    }
    return v;
}

fn gain4(k: u32) -> vec4<f32> {
    if k + 4u <= params.width {
        return vec4<f32>(gain[k], gain[k + 1u], gain[k + 2u], gain[k + 3u]);
    }
    var v = vec4<f32>(0.0);
    for (var i = 0u; k + i < params.width; i++) {
        v[i] = gain[k + i];
    }
    return v;
}
