// Dropout (Srivastava et al., JMLR 15, 2014), in place, a thread for each element: it becomes 0 with probability rate, otherwise it
// is divided by 1 − rate. Seed, site and the element's place decide which, so the backward is the same operation on the gradient.

#import shared/grid.wgsl
#import shared/random.wgsl

struct Params {
    n: u32,
    site: u32,
    rate: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seed: array<u32>;  // (1)
@group(0) @binding(2) var<storage, read_write> x: array<f32>;  // (n)

@compute @workgroup_size(WORKGROUP)
fn dropout(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n {
        return;
    }
    x[at] = select(0.0, x[at] / (1.0 - params.rate), uniform_draw(at, seed[0], params.site) >= params.rate);
}
