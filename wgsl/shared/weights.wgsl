// A matrix of weights as it lies in device memory: rows of params.stride blocks of 16 bytes, in one of these formats.
// The importing file binds `weights`, array<vec4<u32>>; FORMAT is a constant.
const F32 = 0u;
const F16 = 1u;
const I8 = 2u;       // times a scale a row, which is the importing file's business
const TERNARY = 3u;  // two bits a weight, code = weight + 1
const BF16 = 5u;
const Q8_0 = 6u;     // and what follows: whole numbers with scales, as package quants has them
const Q4_0 = 7u;
const Q4_K = 8u;
const Q6_K = 9u;

// Four weights of a row from column k, a multiple of 4, without the row's scale and what shared/scales.wgsl has.
fn weights4(row: u32, k: u32) -> vec4<f32> {
    let at = row * params.stride;
    if FORMAT >= Q4_0 {
        let block = k / 32u;
        let quad = k % 32u / 4u;
        return number4(weights[at + block][quad % 4u] >> (quad / 4u * 4u), upper_bits(at, block)[quad % 2u] >> (quad / 2u * 2u));
    }
    if FORMAT == F32 {
        return bitcast<vec4<f32>>(weights[at + k / 4u]);
    }
    if FORMAT == F16 || FORMAT == BF16 {
        let block = weights[at + k / 8u];
        let pair = (k / 4u) % 2u * 2u;
        return halves4(block[pair], block[pair + 1u]);
    }
    if FORMAT == I8 || FORMAT == Q8_0 {
        return bytes4(weights[at + k / 16u][(k / 4u) % 4u]);
    }
    let word = weights[at + k / 64u][(k / 16u) % 4u] >> (k % 16u * 2u);
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u)) - 1.0;
}

// The blocks of a row that hold numbers of 8 bits or less, but of Q6_K their upper bits, which lie behind them.
fn row_blocks() -> u32 {
    if FORMAT == Q6_K {
        return params.stride / 3u * 2u;
    }
    return params.stride;
}

// The upper two bits of the 32 numbers of a block of a row that begins at `at`.
fn upper_bits(at: u32, block: u32) -> vec2<u32> {
    if FORMAT != Q6_K {
        return vec2<u32>(0u);
    }
    let both = weights[at + row_blocks() + block / 2u];
    if block % 2u == 0u {
        return both.xy;
    }
    return both.zw;
}

// Four numbers, of which the lower four bits are a word's bytes' and the upper two another one's, less their centre.
fn number4(lower: u32, upper: u32) -> vec4<f32> {
    let bytes = vec4<u32>(0u, 8u, 16u, 24u);
    let low = (vec4<u32>(lower) >> bytes) & vec4<u32>(15u);
    if FORMAT == Q4_0 {
        return vec4<f32>(low) - 8.0;
    }
    if FORMAT == Q4_K {
        return vec4<f32>(low);
    }
    return vec4<f32>(low | (((vec4<u32>(upper) >> bytes) & vec4<u32>(3u)) << vec4<u32>(4u))) - 32.0;
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
