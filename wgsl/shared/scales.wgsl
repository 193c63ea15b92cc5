// What ternary weights are multiplied by: a γ a block of rows, or a float16 each few inputs of a row. The importing file
// binds `scales`, array<u32>: bits of float32, or, in rows of whole words, pairs of float16. GROUP is a constant: how many
// times 32 inputs share a scale, 0 where a block of rows does.

// The scale of a row, counted within the part of the matrix, for input k.
fn group_scale(row: u32, k: u32) -> f32 {
    let span = 32u * max(GROUP, 1u);
    let words = (params.width / span + 1u) / 2u;
    let g = k / span;
    return unpack2x16float(scales[row * words + g / 2u])[g % 2u];
}
