// A matrix as a heat map: blue below zero, white at zero, orange and red above. An element has a whole number of pixels, or where
// there are fewer pixels than elements, a pixel shows the largest |w| of those it stands for. heat_scale draws the colour
// scale, from the end of the range at the top to its negative at the bottom.

#import shared/picture.wgsl

struct Params {
    width: u32,   // of the picture
    x: u32,       // where the map begins
    y: u32,
    wide: u32,    // pixels of the map
    high: u32,
    first: u32,   // element of `state` that the matrix begins with
    rows: u32,    // of the matrix
    columns: u32,
    stride: u32,  // elements from a row to the next
    axis: u32,    // whose range the colours have
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read> ladder: array<f32>;
@group(0) @binding(3) var<storage, read> ranges: array<u32>;  // the step of each axis
@group(0) @binding(4) var<storage, read_write> picture: array<u32>;

// The colour of v, which is 1 at the end of the range: over the KNEE of it half way, because most of a memory is far
// smaller than its largest element.
const KNEE = 0.2;

fn heat(v: f32) -> vec3<f32> {
    let zero = vec3<f32>(0.98);
    var middle = vec3<f32>(1.0, 0.66, 0.45);
    var end = vec3<f32>(0.5, 0.0, 0.08);
    if v < 0.0 {
        middle = vec3<f32>(0.48, 0.72, 1.0);
        end = vec3<f32>(0.0, 0.08, 0.45);
    }
    let size = min(abs(v), 1.0);
    if size < KNEE {
        return mix(zero, middle, size / KNEE);
    }
    return mix(middle, end, (size - KNEE) / (1.0 - KNEE));
}

fn put(at: vec2<u32>, colour: vec3<f32>) {
    picture[(params.y + at.y) * params.width + params.x + at.x] = pixel(colour);
}

@compute @workgroup_size(8, 8)
fn heat_map(@builtin(global_invocation_id) at: vec3<u32>) {
    let size = vec2<u32>(params.wide, params.high);
    if any(at.xy >= size) {
        return;
    }
    let elements = vec2<u32>(params.columns, params.rows);
    let begin = at.xy * elements / size;
    let end = max((at.xy + 1u) * elements / size, begin + 1u);
    var shown = 0.0;
    for (var i = begin.y; i < end.y; i++) {
        for (var j = begin.x; j < end.x; j++) {
            let w = state[params.first + i * params.stride + j];
            // Bits, because compilers may take it that no number is infinite.
            if (bitcast<u32>(w) & 0x7f800000u) == 0x7f800000u {
                put(at.xy, vec3<f32>(0.0, 0.6, 0.0));
                return;
            }
            if abs(w) > abs(shown) {
                shown = w;
            }
        }
    }
    put(at.xy, heat(shown / ladder[ranges[params.axis]]));
}

@compute @workgroup_size(8, 8)
fn heat_scale(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x < params.wide && at.y < params.high {
        put(at.xy, heat(1.0 - 2.0 * f32(at.y) / f32(params.high - 1u)));
    }
}
