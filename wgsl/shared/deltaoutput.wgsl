// The end of the delta mixer's scan. The importing file binds u, (n, 3, d), gain, (c), tail, (S, 3, 3, d), answers and
// normed, (n, d), has KEPT, the inputs that a tail holds, and slot_of, and its params have width (d), head (c), time (T)
// and eps.
#import shared/deltanorm.wgsl

// Normalises one head's answer to one token, and after the last token keeps that head's inputs.
fn write_output(row: u32, head: u32, thread: u32) {
    let c = params.head;
    normalise(row, head, thread);
    if row % params.time != params.time - 1u {
        return;
    }
    for (var j = thread; j < 3u * c; j += WORKGROUP) {
        let channel = head * c + j % c;
        let place = slot_of(row / params.time) * 3u + j / c;  // key, query or value of this sequence
        for (var i = 0u; i < KEPT; i++) {
            let back = KEPT - i;
            var v = 0.0;
            if params.time >= back {
                v = u[((row + 1u - back) * 3u + j / c) * params.width + channel];
            } else {
                v = tail[(place * KEPT + params.time + i) * params.width + channel];
            }
            tail[(place * KEPT + i) * params.width + channel] = v;
        }
    }
}
