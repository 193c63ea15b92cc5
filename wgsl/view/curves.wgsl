// The losses over the tokens, curves of one layer each, the last one thicker and on top. Where they are shown as means, the losses
// themselves are faint behind. A thread makes a pixel.

#import shared/picture.wgsl

struct Params {
    width: u32,    // of the picture
    x: u32,        // where the chart begins
    y: u32,
    wide: u32,     // pixels of the chart
    high: u32,
    axis: u32,     // whose range the losses have
    faint: u32,    // 1: the losses behind the means
    between: u32,  // 1: fill between the first two curves, in the colour of the lower one
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> curves: array<vec4<u32>>;  // how many; of each its layer, first token, tokens and colour
@group(0) @binding(2) var<storage, read> columns: array<vec4<f32>>;  // (curves, wide) as view/trace.wgsl makes them
@group(0) @binding(3) var<storage, read> ladder: array<f32>;
@group(0) @binding(4) var<storage, read> ranges: array<u32>;  // the step of each axis
@group(0) @binding(5) var<storage, read_write> picture: array<u32>;

// The distance of the farthest column that a line is seen from.
const REACH = 2;

// Where a loss is, in pixels from the top.
fn height(loss: f32) -> f32 {
    return (1.0 - loss / ladder[ranges[params.axis]]) * f32(params.high - 1u);
}

// How much of the pixel a curve covers, by the distance to what the curve does in the columns around. Thickness is half of the
// line's. The curve is that of the means, or of the losses.
fn coverage(curve: u32, at: vec2<u32>, means: bool, thickness: f32) -> f32 {
    var nearest = 100.0;
    for (var off = -REACH; off <= REACH; off++) {
        let column = i32(at.x) + off;
        if column < 0 || column >= i32(params.wide) {
            continue;
        }
        let both = columns[curve * params.wide + u32(column)];
        let span = select(both.xy, both.zw, means);
        if span.x > span.y {
            continue;
        }
        let above = max(height(span.y) - f32(at.y), f32(at.y) - height(span.x));
        nearest = min(nearest, length(vec2<f32>(f32(off), max(above, 0.0))));
    }
    return clamp(thickness + 0.5 - nearest, 0.0, 1.0);
}

// The colour between the first two curves, on a background.
fn filled(background: vec3<f32>, at: vec2<u32>) -> vec3<f32> {
    let first = columns[at.x];
    let second = columns[params.wide + at.x];
    if first.z > first.w || second.z > second.w {
        return background;
    }
    let a = height(0.5 * (first.z + first.w));
    let b = height(0.5 * (second.z + second.w));
    let y = f32(at.y);
    if y < min(a, b) || y > max(a, b) {
        return background;
    }
    return mix(background, colour_of(select(curves[1].w, curves[2].w, b > a)), 0.2);
}

@compute @workgroup_size(8, 8)
fn draw_curves(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x >= params.wide || at.y >= params.high {
        return;
    }
    let place = (params.y + at.y) * params.width + params.x + at.x;
    var colour = colour_of(picture[place]);
    let count = curves[0].x;
    if params.between == 1u {
        colour = filled(colour, at.xy);
    }
    if params.faint == 1u {
        for (var i = select(count - 1u, 0u, params.between == 1u); i < count; i++) {
            colour = mix(colour, colour_of(curves[1u + i].w), 0.3 * coverage(i, at.xy, false, 0.5));
        }
    }
    for (var i = 0u; i < count; i++) {
        let thickness = select(1.0, 1.5, i + 1u == count);
        colour = mix(colour, colour_of(curves[1u + i].w), coverage(i, at.xy, true, thickness));
    }
    picture[place] = pixel(colour);
}
