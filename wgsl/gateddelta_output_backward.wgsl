// Backward of the norm and the gate of the gated delta rule's output, a workgroup for each row and head: with y = x·gain·silu(z) and
// x = o·root, dz = dy·x·gain·silu'(z), and do replaces o.
// Where the gradient of the gain is wanted, dy becomes what each row and head adds to it, for head_gain.wgsl.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl

struct Params {
    n: u32,
    heads: u32,     // V
    value: u32,     // v
    channels: u32,  // of the convolution
    inputs: u32,    // of a row of u
    gains: u32,     // not 0: the gradient of the gain is wanted
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;  // (n, V·v)
@group(0) @binding(2) var<storage, read> u: array<f32>;  // (n, inputs), behind the channels the gates (V·v)
@group(0) @binding(3) var<storage, read> gain: array<f32>;  // (v)
@group(0) @binding(4) var<storage, read_write> o: array<f32>;  // (n, V·v) before the norm, then its gradient
@group(0) @binding(5) var<storage, read_write> du: array<f32>;  // (n, inputs), of which the gates' part is written

// Workgroup (row in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn gated_output_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let at = (row * params.heads + group.z) * params.value;
    let z = row * params.inputs + params.channels + group.z * params.value;
    var shares = vec2<f32>(0.0);
    for (var j = thread; j < params.value; j += WORKGROUP) {
        let v = o[at + j];
        shares += vec2<f32>(v, dy[at + j] * silu(u[z + j]) * gain[j]) * v;
    }
    let sums = workgroup_sums(shares, thread);
    let root = inverse_rms(sums.x, params.value, params.eps);
    let pull = root * root * sums.y / f32(params.value);
    for (var j = thread; j < params.value; j += WORKGROUP) {
        let d = dy[at + j] * gain[j];
        let x = o[at + j];
        du[z + j] = d * x * root * silu_slope(u[z + j]);
        if params.gains != 0u {
            dy[at + j] *= silu(u[z + j]) * x * root;
        }
        o[at + j] = root * (d * silu(u[z + j]) - x * pull);
    }
}
