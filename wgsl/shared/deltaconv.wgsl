// Key, query and value of one head of one token, all of a sequence's: the convolution, SiLU, and unit length for key and
// query. The importing file binds u, (n, 3, d), conv, (3, d, 4), tail, (S, 3, 3, d), and kqv, (n, 3, d), has slot_of, and
// its params have width (d), head (c), time (1) and tail.
#import shared/conv.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl

// A sequence is one document.
fn before_of(row: u32, t: u32) -> u32 {
    return t;
}

fn conv_token(row: u32, head: u32, thread: u32) {
    for (var part = 0u; part < 3u; part++) {  // key, query, value
        let first = part * params.width + head * params.head;
        var squares = 0.0;
        for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
            let v = silu(convolve(row, 0u, j));
            squares += v * v;
            kqv[row * 3u * params.width + j] = v;
        }
        if part < 2u {
            let size = sqrt(workgroup_sum(squares, thread)) + 1e-6;
            for (var j = first + thread; j < first + params.head; j += WORKGROUP) {
                kqv[row * 3u * params.width + j] /= size;
            }
        }
    }
    storageBarrier();
}
