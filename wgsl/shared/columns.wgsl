// Sums over rows: a workgroup of 16 × 16 threads takes 16 columns, 16 threads each, in a fixed order.
const COLUMNS = 16u;

var<workgroup> column_shares: array<vec4<f32>, 256>;

// Σ v over the threads of a column, in the threads whose local.y is 0.
fn column_sum(v: vec4<f32>, local: vec3<u32>) -> vec4<f32> {
    workgroupBarrier();
    column_shares[local.y * COLUMNS + local.x] = v;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    if local.y == 0u {
        for (var i = 0u; i < 16u; i++) {
            sum += column_shares[i * COLUMNS + local.x];
        }
    }
    return sum;
}
