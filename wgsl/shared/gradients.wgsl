// Backward of y = x·Wᵀ by tiles: dx = dy·W and dW = dyᵀ·x. The importing file's params have n, width (of x) and rows
// (of W), and it has, for rows i of x and r of W and columns k:
//
//     upstream(i, r)      the gradient of y, times the scale of a row of W; 0 outside
//     activation(i, k)    x; 0 outside
//     scaled4(r, k)       four weights, as from weights4 of shared/weights.wgsl, times the scales that upstream lacks
//     store_dx(i, k, v)   store_dw(r, k, v)
#import shared/tile.wgsl

// Tile (row_tile, group) of dx.
fn input_gradient(group: u32, row_tile: u32, local: vec3<u32>) {
    let thread = local.y * SIDE + local.x;
    let first_i = row_tile * 8u * SIDE;
    let first_k = group * 8u * SIDE;
    var sum: array<vec4<f32>, 16>;
    for (var start = 0u; start < params.rows; start += DEPTH) {
        for (var q = thread; q < TILE_QUADS; q += SIDE * SIDE) {
            let i = first_i + q / 4u;
            let r = start + q % 4u * 4u;
            put_left(q / 4u, q % 4u * 4u, vec4<f32>(upstream(i, r), upstream(i, r + 1u), upstream(i, r + 2u), upstream(i, r + 3u)));
            let row = start + q / ACROSS;
            let k = first_k + q % ACROSS * 4u;
            var w = vec4<f32>(0.0);
            if row < params.rows && k < params.width {
                w = scaled4(row, k);
            }
            right[q] = w;
        }
        workgroupBarrier();
        multiply(&sum, local);
        workgroupBarrier();
    }
    for (var a = 0u; a < 8u; a++) {
        for (var b = 0u; b < 8u; b++) {
            let i = first_i + tile_place(local.y, a);
            let k = first_k + tile_place(local.x, b);
            if i < params.n && k < params.width {
                store_dx(i, k, sum[2u * a + b / 4u][b % 4u]);
            }
        }
    }
}

// Tile (row_tile, group) of dW.
fn weight_gradient(group: u32, row_tile: u32, local: vec3<u32>) {
    let thread = local.y * SIDE + local.x;
    let first_r = row_tile * 8u * SIDE;
    let first_k = group * 8u * SIDE;
    var sum: array<vec4<f32>, 16>;
    for (var start = 0u; start < params.n; start += DEPTH) {
        for (var q = thread; q < TILE_QUADS; q += SIDE * SIDE) {
            let i = start + q / ACROSS;
            let r = first_r + q % ACROSS * 4u;
            let k = first_k + q % ACROSS * 4u;
            left[q] = vec4<f32>(upstream(i, r), upstream(i, r + 1u), upstream(i, r + 2u), upstream(i, r + 3u));
            right[q] = vec4<f32>(activation(i, k), activation(i, k + 1u), activation(i, k + 2u), activation(i, k + 3u));
        }
        workgroupBarrier();
        multiply(&sum, local);
        workgroupBarrier();
    }
    for (var a = 0u; a < 8u; a++) {
        for (var b = 0u; b < 8u; b++) {
            let r = first_r + tile_place(local.y, a);
            let k = first_k + tile_place(local.x, b);
            if r < params.rows && k < params.width {
                store_dw(r, k, sum[2u * a + b / 4u][b % 4u]);
            }
        }
    }
}
