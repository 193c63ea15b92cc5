// Advances positions.

#import shared/slots.wgsl

struct Params {
    n: u32,  // tokens
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> position: array<u32>;  // (S)
@group(0) @binding(2) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

// Workgroup (sequence group.x).
@compute @workgroup_size(1)
fn advance(@builtin(workgroup_id) group: vec3<u32>) {
    position[slot_of(group.x)] += params.n;
}
