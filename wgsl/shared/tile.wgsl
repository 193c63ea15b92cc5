// A tile of a matrix product: SIDE·SIDE threads make 4·SIDE rows by 4·SIDE columns, 4 × 4 each in registers, from
// DEPTH numbers of the inner axis at a time in workgroup memory. SIDE and TILE_QUADS = 16·SIDE are constants.
const DEPTH = 16u;

var<workgroup> left: array<vec4<f32>, TILE_QUADS>;   // (DEPTH, SIDE): four rows a vec4
var<workgroup> right: array<vec4<f32>, TILE_QUADS>;  // (DEPTH, SIDE): four columns a vec4

// Puts numbers k to k+3 of the inner axis of one row into the left side.
fn put_left(row: u32, k: u32, v: vec4<f32>) {
    let at = k * SIDE + row / 4u;
    let e = row % 4u;
    left[at][e] = v.x;
    left[at + SIDE][e] = v.y;
    left[at + 2u * SIDE][e] = v.z;
    left[at + 3u * SIDE][e] = v.w;
}

// Puts numbers k to k+3 of the inner axis of one column into the right side.
fn put_right(column: u32, k: u32, v: vec4<f32>) {
    let at = k * SIDE + column / 4u;
    let e = column % 4u;
    right[at][e] = v.x;
    right[at + SIDE][e] = v.y;
    right[at + 2u * SIDE][e] = v.z;
    right[at + 3u * SIDE][e] = v.w;
}

// Adds what lies in workgroup memory to a thread's rows 4·local.y… and columns 4·local.x….
fn multiply(sum: ptr<function, array<vec4<f32>, 4>>, local: vec3<u32>) {
    var s0 = (*sum)[0];
    var s1 = (*sum)[1];
    var s2 = (*sum)[2];
    var s3 = (*sum)[3];
    for (var k = 0u; k < TILE_QUADS; k += SIDE) {
        let a = left[k + local.y];
        let b = right[k + local.x];
        s0 += a.x * b;
        s1 += a.y * b;
        s2 += a.z * b;
        s3 += a.w * b;
    }
    (*sum)[0] = s0;
    (*sum)[1] = s1;
    (*sum)[2] = s2;
    (*sum)[3] = s3;
}
