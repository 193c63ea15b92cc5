// Moves the position on.

struct Params {
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> position: array<u32>;  // (1)

@compute @workgroup_size(1)
fn advance() {
    position[0] += params.n;
}
