// AdamW (arXiv 1711.05101) with the bias corrections of Adam (arXiv 1412.6980), a thread a parameter. All that changes
// from step to step lies in buffers.

#import shared/grid.wgsl

struct Params {
    n: u32,
    log: u32,  // 1: the logarithm of |w| is trained
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;  // (n)
@group(0) @binding(2) var<storage, read_write> m: array<f32>;  // (n)
@group(0) @binding(3) var<storage, read_write> v: array<f32>;  // (n)
@group(0) @binding(4) var<storage, read> g: array<f32>;  // (n)
@group(0) @binding(5) var<storage, read> sum_squares: array<f32>;  // (1) of the whole gradient
@group(0) @binding(6) var<storage, read> hyper: array<f32>;  // (8)

// Places in hyper, as in nn.
const LR = 0u;
const BETA1 = 1u;
const BETA2 = 2u;
const EPS = 3u;
const DECAY = 4u;
const CORRECT1 = 5u;
const CORRECT2 = 6u;
const CLIP = 7u;

@compute @workgroup_size(WORKGROUP)
fn adamw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups) * WORKGROUP + thread;
    if i >= params.n {
        return;
    }
    let norm = sqrt(sum_squares[0]);
    var gradient = g[i];
    if hyper[CLIP] > 0.0 && norm > hyper[CLIP] {
        gradient *= hyper[CLIP] / norm;
    }
    let mean = hyper[BETA1] * m[i] + (1.0 - hyper[BETA1]) * gradient;
    let square = hyper[BETA2] * v[i] + (1.0 - hyper[BETA2]) * gradient * gradient;
    m[i] = mean;
    v[i] = square;
    let step = mean / hyper[CORRECT1] / (sqrt(square / hyper[CORRECT2]) + hyper[EPS]);
    if params.log == 1u {
        w[i] *= exp(-hyper[LR] * step);
    } else {
        w[i] -= hyper[LR] * (step + hyper[DECAY] * w[i]);
    }
}
