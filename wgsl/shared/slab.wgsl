// A slab is SLAB rows of a memory, which one workgroup of 64 threads handles. A thread has row thread / 4 of the slab
// and quad thread % 4 of the tokens of a tile. The importing file has memory(at), the element `at` of the state, and
// key(row, head, j).
const SLAB = 16u;
const SEGMENT = 32u;  // columns of the memory and the keys in workgroup memory at a time
const QUADS = 4u;     // of the tokens of a tile

var<workgroup> key_tile: array<vec4<f32>, 128>;  // (SEGMENT, QUADS): four tokens a vec4
var<workgroup> memory_tile: array<f32, 528>;     // (SLAB, SEGMENT + 1)

// The thread's row of the memory times the keys of its quad, for `count` tokens from `row` on. The slab has `rows` rows
// of `width` elements, which begin at `first` of the state.
fn slab_products(row: u32, count: u32, head: u32, first: u32, rows: u32, width: u32, thread: u32) -> vec4<f32> {
    let i = thread / QUADS;
    let quad = thread % QUADS;
    var sum = vec4<f32>(0.0);
    for (var start = 0u; start < width; start += SEGMENT) {
        for (var at = thread; at < SLAB * SEGMENT; at += 64u) {
            let r = at / SEGMENT;
            let j = start + at % SEGMENT;
            var w = 0.0;
            if r < rows && j < width {
                w = memory(first + r * width + j);
            }
            memory_tile[r * (SEGMENT + 1u) + at % SEGMENT] = w;
            var k = 0.0;
            if r < count && j < width {
                k = key(row + r, head, j);
            }
            key_tile[at % SEGMENT * QUADS + r / 4u][r % 4u] = k;
        }
        workgroupBarrier();
        for (var j = 0u; j < SEGMENT; j++) {
            sum += memory_tile[i * (SEGMENT + 1u) + j] * key_tile[j * QUADS + quad];
        }
        workgroupBarrier();
    }
    return sum;
}
