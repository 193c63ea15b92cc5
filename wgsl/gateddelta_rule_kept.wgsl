// The gated delta rule for training: with STARTS = 1 it keeps states, with ERRORS = 1 the errors of the values. It is a file of its
// own, because slots would need one more binding than WebGPU guarantees.

#import shared/gatedrule.wgsl

struct Params {
    heads: u32,      // V
    key_heads: u32,  // K
    key: u32,        // k, a multiple of 4, up to 256
    value: u32,      // v
    channels: u32,   // of a row of qkv
    time: u32,       // T of a batch row
    length: u32,     // tokens of a sequence
    span: u32,       // length
    keep: u32,       // tokens between the states kept, with STARTS = 1
    section: u32,    // n·V·v, where in o the errors begin, with ERRORS = 1
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, channels) queries, keys, values
@group(0) @binding(2) var<storage, read> b: array<f32>;  // (n, V)
@group(0) @binding(3) var<storage, read> a: array<f32>;  // (n, V)
@group(0) @binding(4) var<storage, read> decay: array<f32>;  // (V)
@group(0) @binding(5) var<storage, read> bias: array<f32>;  // (V)
@group(0) @binding(6) var<storage, read_write> state: array<vec4<f32>>;  // (sequences, V, v, k/4)
@group(0) @binding(7) var<storage, read_write> o: array<f32>;  // (n, V·v) before norm and gate; likewise what a value is off by
@group(0) @binding(8) var<storage, read_write> starts: array<vec4<f32>>;  // (…, V, v, k/4) the state before every keep tokens

fn keep_start(at: u32, q: u32, s: vec4<f32>) {
    if 4u * q < params.key {
        starts[at + q] = s;
    }
}

// Workgroup (four rows of the state: group.x, head group.y, sequence group.z).
@compute @workgroup_size(64)
fn gated_rule_kept(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    gated_rows(sequence(group.z), group.z, group, thread);
}
