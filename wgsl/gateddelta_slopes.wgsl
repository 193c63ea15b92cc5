// From the gradients of β = σ(b) and g = decay·softplus(a + bias) to those of b, a and ln(−decay), a thread for each of n·V.

#import shared/grid.wgsl
#import shared/silu.wgsl
#import shared/softplus.wgsl

struct Params {
    n: u32,
    heads: u32,  // V
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dgates: array<vec2<f32>>;  // (n, V) of β and g
@group(0) @binding(2) var<storage, read> b: array<f32>;  // (n, V)
@group(0) @binding(3) var<storage, read> a: array<f32>;  // (n, V)
@group(0) @binding(4) var<storage, read> decay: array<f32>;  // (V)
@group(0) @binding(5) var<storage, read> bias: array<f32>;  // (V)
@group(0) @binding(6) var<storage, read_write> db: array<f32>;  // (n, V)
@group(0) @binding(7) var<storage, read_write> da: array<f32>;  // (n, V)
@group(0) @binding(8) var<storage, read_write> dlog: array<f32>;  // (n, V)

@compute @workgroup_size(WORKGROUP)
fn gated_slopes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + thread;
    if at >= params.n * params.heads {
        return;
    }
    let head = at % params.heads;
    let beta = sigmoid(b[at]);
    let x = a[at] + bias[head];
    let slope = dgates[at].y * decay[head];
    db[at] = dgates[at].x * beta * (1.0 - beta);
    da[at] = slope * sigmoid(x);
    dlog[at] = slope * softplus(x);
}
