// Rows of activations times a matrix, by tiles. The norm's gain goes into the tile, its root onto the sums, as in
// shared/vector.wgsl; what the importing file has is the same, and params.n, the number of rows.
#import shared/input.wgsl
#import shared/norm.wgsl
#import shared/scales.wgsl
#import shared/weights.wgsl
#import shared/tile.wgsl

var<workgroup> squares: array<f32, TILE_QUADS>;  // a quarter of a row's Σ h² each

fn matrix_product(group: u32, groups: u32, row_tile: u32, local: vec3<u32>) {
    let thread = local.y * SIDE + local.x;
    let threads = SIDE * SIDE;
    let first_row = row_tile * 8u * SIDE;
    for (var q = thread; q < TILE_QUADS; q += threads) {
        squares[q] = 0.0;
    }
    var sum: array<vec4<f32>, 16>;
    for (var start = 0u; start < params.width; start += DEPTH) {
        for (var q = thread; q < TILE_QUADS; q += threads) {
            let k = q % 4u * 4u;
            let i = first_row + q / 4u;
            var x = vec4<f32>(0.0);
            if i < params.n && start + k < params.width {
                x = source4(source_row(i), start + k);
                squares[q] += dot(x, x);
                if NORM == 1u {
                    x *= gain4(start + k);
                }
            }
            put_left(q / 4u, k, x);
            var w = vec4<f32>(0.0);
            if start + k < params.width {
                let row = row_of(group * ACROSS + q / 16u, q / 4u % 4u);
                w = scale4(row, start + k, weights4(row, start + k));
            }
            put_right(q / 4u, k, w);
        }
        workgroupBarrier();
        multiply(&sum, local);
        workgroupBarrier();
    }
    for (var r = 0u; r < 8u; r++) {
        let place = tile_place(local.y, r);
        let i = first_row + place;
        var root = 1.0;
        if NORM == 1u {
            root = tile_root(place);
        }
        for (var q = 0u; q < 2u; q++) {
            let quad = group * ACROSS + q * SIDE + local.x;
            if i < params.n && quad < quads() {
                store(i, quad, sum[2u * r + q] * root);
            }
        }
    }
    if NORM == 1u {
        let share = (params.width + groups - 1u) / groups;
        let end = min((group + 1u) * share, params.width);
        for (var r = 0u; r < 8u * SIDE && first_row + r < params.n; r++) {
            let row = source_row(first_row + r);
            let root = tile_root(r);
            for (var k = group * share + thread; k < end; k += threads) {
                let at = row * params.width + k;
                x[at] = source[at] * gain[k] * root;
            }
        }
    }
}

// What RMSNorm multiplies row r of the tile by.
fn tile_root(r: u32) -> f32 {
    let at = 4u * r;
    return inverse_rms(squares[at] + squares[at + 1u] + squares[at + 2u] + squares[at + 3u], params.width, params.eps);
}
