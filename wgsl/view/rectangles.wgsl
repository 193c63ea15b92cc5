// Rectangles of one colour each: the background, axes, the bars of a legend. Those of one dispatch must not overlap.

#import shared/picture.wgsl

struct Params {
    width: u32,  // of the picture
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rectangles: array<vec4<u32>>;  // x and y, width and height as 16-bit pairs; the pixel
@group(0) @binding(2) var<storage, read_write> picture: array<u32>;

// Workgroup (share group.x of the pixels, rectangle group.y).
@compute @workgroup_size(WORKGROUP)
fn draw_rectangles(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let r = rectangles[group.y];
    let corner = vec2<u32>(r.x & 0xffffu, r.x >> 16u);
    let size = vec2<u32>(r.y & 0xffffu, r.y >> 16u);
    for (var at = group.x * WORKGROUP + thread; at < size.x * size.y; at += groups.x * WORKGROUP) {
        picture[(corner.y + at / size.x) * params.width + corner.x + at % size.x] = r.z;
    }
}
