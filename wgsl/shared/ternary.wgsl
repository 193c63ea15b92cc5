// Products with ternary weights as they are in memory: 16 to a word, two bits each, code = weight + 1. A code is used in place, which
// makes it 4^p too large for place p of its half of the word, and code_scale makes the activations that much smaller. These are powers
// of two, so nothing is lost, and no weight needs a shift. Σ Q·x = Σ code·x − Σ x.

// What the four activations of quad q of a row are multiplied by.
fn code_scale(q: u32) -> vec4<f32> {
    return select(vec4<f32>(0.00390625, 0.0009765625, 0.000244140625, 0.00006103515625),
        vec4<f32>(1.0, 0.25, 0.0625, 0.015625), q % 2u == 0u);
}

// Σ code·x over the 16 codes of a word and four scaled quads.
fn ternary_product(word: u32, x0: vec4<f32>, x1: vec4<f32>, x2: vec4<f32>, x3: vec4<f32>) -> f32 {
    let low = vec4<u32>(word);
    let high = vec4<u32>(word >> 16u);
    let even = vec4<u32>(3u, 12u, 48u, 192u);
    let odd = vec4<u32>(768u, 3072u, 12288u, 49152u);
    return dot(vec4<f32>(vec4<i32>(low & even)), x0) + dot(vec4<f32>(vec4<i32>(low & odd)), x1) +
        dot(vec4<f32>(vec4<i32>(high & even)), x2) + dot(vec4<f32>(vec4<i32>(high & odd)), x3);
}
