// A matrix of weights as it lies in device memory: rows of params.stride blocks of 16 bytes, in one of these formats.
// The importing file binds `weights`, array<vec4<u32>>; FORMAT is a constant.
const F32 = 0u;
const F16 = 1u;
const I8 = 2u;       // times a scale a row, which is the importing file's business
const TERNARY = 3u;  // two bits a weight, code = weight + 1
const BF16 = 5u;

// Four weights of a row from column k, a multiple of 4, without the row's scale.
fn weights4(row: u32, k: u32) -> vec4<f32> {
    let at = row * params.stride;
    if FORMAT == F32 {
        return bitcast<vec4<f32>>(weights[at + k / 4u]);
    }
    if FORMAT == F16 || FORMAT == BF16 {
        let block = weights[at + k / 8u];
        let pair = (k / 4u) % 2u * 2u;
        return halves4(block[pair], block[pair + 1u]);
    }
    if FORMAT == I8 {
        return bytes4(weights[at + k / 16u][(k / 4u) % 4u]);
    }
    let word = weights[at + k / 64u][(k / 16u) % 4u] >> (k % 16u * 2u);
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u)) - 1.0;
}

// The four numbers of 16 bits of two words.
fn halves4(a: u32, b: u32) -> vec4<f32> {
    if FORMAT == BF16 {  // the upper half of a float32
        return bitcast<vec4<f32>>(vec4<u32>(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
    }
    return vec4<f32>(unpack2x16float(a), unpack2x16float(b));
}

// The four signed bytes of a word.
fn bytes4(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}
