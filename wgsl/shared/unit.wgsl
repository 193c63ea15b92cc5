// Backward of k = f / (‖f‖ + ε): df = dk·pull.x − f·pull.y, from a thread's share of Σ f² and of Σ f·dk.
#import shared/reduce.wgsl

fn unit_pull(shares: vec2<f32>, thread: u32) -> vec2<f32> {
    let sums = workgroup_sums(shares, thread);
    let size = sqrt(sums.x);
    let inverse = 1.0 / (size + 1e-6);
    var along = 0.0;
    if size > 0.0 {
        along = sums.y / size * inverse * inverse;
    }
    return vec2<f32>(inverse, along);
}
