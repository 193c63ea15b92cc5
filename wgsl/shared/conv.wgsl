// The convolution of the delta mixer. The importing file binds u, (n, 3, d), conv, (3, d, 4), and tail, (S, 3, 3, d), has
// slot_of and before_of (shared/documents.wgsl), and its params have width (d), time (T) and tail, which is 0 where sequences hold
// several documents.
const TAPS = 4u;
const KEPT = 3u;  // inputs that a tail holds

// Input t − back of channel j, of 3·d, in batch row b.
fn conv_input(b: u32, t: u32, back: u32, j: u32) -> f32 {
    let row = b * params.time + t;
    if back <= before_of(row, t) {
        return u[(row - back) * 3u * params.width + j];
    }
    if params.tail == 0u {
        return 0.0;
    }
    return tail[((slot_of(b) * 3u + j / params.width) * KEPT + KEPT + t - back) * params.width + j % params.width];
}

fn convolve(b: u32, t: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < TAPS; i++) {
        sum += conv[j * TAPS + i] * conv_input(b, t, TAPS - 1u - i, j);
    }
    return sum;
}
