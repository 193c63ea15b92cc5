// The gated delta rule of sequences whose states lie in slots.

#import shared/gatedrule.wgsl
#import shared/slots.wgsl

struct Params {
    heads: u32,      // V
    key_heads: u32,  // K
    key: u32,        // k, a multiple of 4, up to 256
    value: u32,      // v
    channels: u32,   // of a row of qkv
    time: u32,       // T of a batch row
    length: u32,     // tokens of a sequence
    span: u32,       // length
    keep: u32,
    section: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, channels) queries, keys, values
@group(0) @binding(2) var<storage, read> b: array<f32>;  // (n, V)
@group(0) @binding(3) var<storage, read> a: array<f32>;  // (n, V)
@group(0) @binding(4) var<storage, read> decay: array<f32>;  // (V)
@group(0) @binding(5) var<storage, read> bias: array<f32>;  // (V)
@group(0) @binding(6) var<storage, read_write> state: array<vec4<f32>>;  // (S, V, v, k/4)
@group(0) @binding(7) var<storage, read_write> o: array<f32>;  // (n, V·v) before norm and gate
@group(0) @binding(8) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

fn keep_start(at: u32, q: u32, s: vec4<f32>) {}  // STARTS is 0

// Workgroup (four rows of the state: group.x, head group.y, sequence group.z).
@compute @workgroup_size(64)
fn gated_rule(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    gated_rows(sequence(group.z), slot_of(group.z), group, thread);
}
