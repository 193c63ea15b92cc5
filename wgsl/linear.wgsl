// y = x·wᵀ for w of any format but I8, with RMSNorm before it or an addition after it (constants NORM and ADD). With INT8 = 1 the
// input is the output of linear_round.wgsl.

#import shared/grid.wgsl
#import shared/vector.wgsl
#import shared/matrix.wgsl

struct Params {
    n: u32,
    width: u32,
    stride: u32,      // blocks of 16 bytes of a row of weights
    rows: u32,        // rows of this part of the weights
    first: u32,       // the part's first row
    total: u32,       // R, rows of all parts
    block_rows: u32,  // rows that share a γ
    absmean: u32,     // 1: multiply by γ
    eps: f32,         // of the norm
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;  // (n, width); with INT8 then (n) divisors
@group(0) @binding(2) var<storage, read> gain: array<f32>;  // (width)
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;  // (rows, stride)
@group(0) @binding(4) var<storage, read> scales: array<u32>;  // γ of each block of rows, or (rows, words) of groups
@group(0) @binding(5) var<storage, read> addend: array<f32>;  // (n, total)
@group(0) @binding(6) var<storage, read_write> x: array<f32>;  // (n, width) the normalised source
@group(0) @binding(7) var<storage, read_write> y: array<f32>;  // (n, total)

// Values of ADD.
const ADD_ADDEND = 1u;
const ADD_IN_PLACE = 2u;  // the addend is y

fn source_row(i: u32) -> u32 {
    return i;
}

fn quads() -> u32 {
    return (params.rows + 3u) / 4u;
}

fn row_of(quad: u32, e: u32) -> u32 {
    return min(4u * quad + e, params.rows - 1u);
}

fn store(i: u32, quad: u32, v: vec4<f32>) {
    for (var e = 0u; e < min(4u, params.rows - 4u * quad); e++) {
        let r = params.first + 4u * quad + e;
        let at = i * params.total + r;
        var sum = v[e];
        if INT8 == 1u {
            sum /= source[params.n * params.width + i];
        }
        if params.absmean == 1u {
            sum *= bitcast<f32>(scales[r / params.block_rows]);
        }
        if ADD == ADD_ADDEND {
            sum += addend[at];
        }
        if ADD == ADD_IN_PLACE {
            sum += y[at];
        }
        y[at] = sum;
    }
}

@compute @workgroup_size(WORKGROUP)
fn linear_vector(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    vector_product(flat_group(group, groups), groups.x * groups.y, group.z, thread);
}

@compute @workgroup_size(SIDE, SIDE)
fn linear_matrix(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    matrix_product(flat_group(group, groups), groups.x * groups.y, group.z, local);
}
