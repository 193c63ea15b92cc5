// A picture is rows of pixels, each one word: red in the lowest byte, then green, blue and alpha. Colours are 0 to 1.
fn pixel(colour: vec3<f32>) -> u32 {
    return pack4x8unorm(vec4<f32>(colour, 1.0));
}

fn colour_of(pixel: u32) -> vec3<f32> {
    return unpack4x8unorm(pixel).rgb;
}
