// A tile of a matrix product: SIDE·SIDE threads compute 8·SIDE rows by 8·SIDE columns, each of them 8 × 8 in registers, from DEPTH
// numbers of the inner axis at a time in workgroup memory. A thread's quads (four rows or columns) are `local` and SIDE + `local`.
// SIDE, ACROSS = 2·SIDE and TILE_QUADS = 16·ACROSS are constants.
const DEPTH = 16u;

var<workgroup> left: array<vec4<f32>, TILE_QUADS>;   // (DEPTH, ACROSS): four rows a vec4
var<workgroup> right: array<vec4<f32>, TILE_QUADS>;  // (DEPTH, ACROSS): four columns a vec4

// Puts numbers k to k+3 of the inner axis of one row into the left side.
fn put_left(row: u32, k: u32, v: vec4<f32>) {
    let at = k * ACROSS + row / 4u;
    let e = row % 4u;
    left[at][e] = v.x;
    left[at + ACROSS][e] = v.y;
    left[at + 2u * ACROSS][e] = v.z;
    left[at + 3u * ACROSS][e] = v.w;
}

// Puts numbers k to k+3 of the inner axis of one column into the right side.
fn put_right(column: u32, k: u32, v: vec4<f32>) {
    let at = k * ACROSS + column / 4u;
    let e = column % 4u;
    right[at][e] = v.x;
    right[at + ACROSS][e] = v.y;
    right[at + 2u * ACROSS][e] = v.z;
    right[at + 3u * ACROSS][e] = v.w;
}

// Adds what lies in workgroup memory to a thread's sums: sum[2·r + q] is row r of its eight, quad q of its two.
fn multiply(sum: ptr<function, array<vec4<f32>, 16>>, local: vec3<u32>) {
    var s0 = (*sum)[0];
    var s1 = (*sum)[1];
    var s2 = (*sum)[2];
    var s3 = (*sum)[3];
    var s4 = (*sum)[4];
    var s5 = (*sum)[5];
    var s6 = (*sum)[6];
    var s7 = (*sum)[7];
    var s8 = (*sum)[8];
    var s9 = (*sum)[9];
    var s10 = (*sum)[10];
    var s11 = (*sum)[11];
    var s12 = (*sum)[12];
    var s13 = (*sum)[13];
    var s14 = (*sum)[14];
    var s15 = (*sum)[15];
    for (var k = 0u; k < TILE_QUADS; k += ACROSS) {
        let a0 = left[k + local.y];
        let a1 = left[k + SIDE + local.y];
        let b0 = right[k + local.x];
        let b1 = right[k + SIDE + local.x];
        s0 += a0.x * b0;
        s1 += a0.x * b1;
        s2 += a0.y * b0;
        s3 += a0.y * b1;
        s4 += a0.z * b0;
        s5 += a0.z * b1;
        s6 += a0.w * b0;
        s7 += a0.w * b1;
        s8 += a1.x * b0;
        s9 += a1.x * b1;
        s10 += a1.y * b0;
        s11 += a1.y * b1;
        s12 += a1.z * b0;
        s13 += a1.z * b1;
        s14 += a1.w * b0;
        s15 += a1.w * b1;
    }
    (*sum)[0] = s0;
    (*sum)[1] = s1;
    (*sum)[2] = s2;
    (*sum)[3] = s3;
    (*sum)[4] = s4;
    (*sum)[5] = s5;
    (*sum)[6] = s6;
    (*sum)[7] = s7;
    (*sum)[8] = s8;
    (*sum)[9] = s9;
    (*sum)[10] = s10;
    (*sum)[11] = s11;
    (*sum)[12] = s12;
    (*sum)[13] = s13;
    (*sum)[14] = s14;
    (*sum)[15] = s15;
}

// The place in the tile of row or column e of the eight of a thread at `local`.
fn tile_place(local: u32, e: u32) -> u32 {
    return 4u * (e / 4u * SIDE + local) + e % 4u;
}
