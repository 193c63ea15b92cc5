// The norm behind the delta rule. The importing file binds gain, (c), answers and normed, (n, d), and its params have width
// (d), head (c) and eps.
#import shared/norm.wgsl
#import shared/reduce.wgsl

// Normalises one head's answer to one token.
fn normalise(row: u32, head: u32, thread: u32) {
    let c = params.head;
    let first = row * params.width + head * c;
    var squares = 0.0;
    for (var j = thread; j < c; j += WORKGROUP) {
        let v = answers[first + j];
        squares += v * v;
    }
    let root = inverse_rms(workgroup_sum(squares, thread), c, params.eps);
    for (var j = thread; j < c; j += WORKGROUP) {
        normed[first + j] = answers[first + j] * root * gain[j];
    }
}
