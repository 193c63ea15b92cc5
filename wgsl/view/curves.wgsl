// The inner losses of some layers over some tokens, a curve each, the last thicker and on top. A thread makes a pixel.

#import shared/picture.wgsl

struct Params {
    width: u32,    // of the picture
    x: u32,        // where the chart begins
    y: u32,
    wide: u32,     // pixels of the chart
    high: u32,
    history: u32,  // tokens that `losses` holds of a layer
    room: u32,     // tokens of the axis, 2 or more
    axis: u32,     // whose range the losses have
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;  // (N, history) token t at t % history
@group(0) @binding(2) var<storage, read> curves: array<vec4<u32>>;  // how many; of each its layer, first token, tokens and colour
@group(0) @binding(3) var<storage, read> ladder: array<f32>;
@group(0) @binding(4) var<storage, read> ranges: array<u32>;  // the step of each axis
@group(0) @binding(5) var<storage, read_write> picture: array<u32>;

// The height of a curve, in pixels from the top, at a place of the axis; between two tokens it is on the line.
fn height(curve: vec4<u32>, at: f32) -> f32 {
    let last = curve.z - 1u;
    let t = min(u32(max(at, 0.0)), last);
    let row = curve.x * params.history;
    let a = losses[row + (curve.y + t) % params.history];
    let b = losses[row + (curve.y + min(t + 1u, last)) % params.history];
    return (1.0 - mix(a, b, fract(max(at, 0.0))) / ladder[ranges[params.axis]]) * f32(params.high - 1u);
}

// How much of the pixel a curve covers, by the distance to what the curve does in the pixel's column: where it enters,
// where it leaves, and at the token between. Thickness is half of the line's, less where tokens stand close.
fn coverage(curve: vec4<u32>, at: vec2<u32>, thickness: f32) -> f32 {
    let each = f32(params.room - 1u) / f32(params.wide - 1u);  // tokens a pixel
    let x = f32(at.x) * each;
    if curve.z == 0u || x > f32(curve.z - 1u) + 0.5 * each {
        return 0.0;
    }
    let left = height(curve, x - 0.5 * each);
    let token = round(x);
    let here = height(curve, select(x, token, abs(token - x) <= 0.5 * each));
    let right = height(curve, x + 0.5 * each);
    let top = min(min(left, right), here);
    let bottom = max(max(left, right), here);
    let y = f32(at.y);
    let distance = max(max(top - y, y - bottom), 0.0);
    return clamp(thickness * min(0.3 / each, 1.0) + 0.5 - distance, 0.0, 1.0);
}

@compute @workgroup_size(8, 8)
fn draw_curves(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x >= params.wide || at.y >= params.high {
        return;
    }
    let place = (params.y + at.y) * params.width + params.x + at.x;
    var colour = colour_of(picture[place]);
    let count = curves[0].x;
    for (var i = 1u; i <= count; i++) {
        let curve = curves[i];
        colour = mix(colour, colour_of(curve.w), coverage(curve, at.xy, select(1.0, 1.5, i == count)));
    }
    picture[place] = pixel(colour);
}
