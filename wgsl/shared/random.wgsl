// Number n of the stream of a seed, in [0, 1): pcg3d (Jarzynski and Olano, JCGT 9(3), 2020), as nn.Uniform.
fn uniform_draw(n: u32, seed_low: u32, seed_high: u32) -> f32 {
    var v = vec3<u32>(n, seed_low, seed_high) * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.x ^= v.x >> 16u;
    v.y ^= v.y >> 16u;
    v.z ^= v.z >> 16u;
    v.x += v.y * v.z;
    return f32(v.x >> 8u) / 16777216.0;
}
