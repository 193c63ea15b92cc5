// The inner losses of all layers over the last tokens, a curve each, and the selected layer's thicker and on top. A thread
// makes a pixel. The axis is as long as the shortest power of two that holds the tokens read, from SHORTEST to the history.

#import shared/picture.wgsl

struct Params {
    width: u32,    // of the picture
    x: u32,        // where the chart begins
    y: u32,
    wide: u32,     // pixels of the chart
    high: u32,
    layers: u32,
    history: u32,  // tokens that `losses` holds of a layer, a power of two
    selected: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;  // (N, history) token t at t % history
@group(0) @binding(2) var<storage, read> counts: array<u32>;  // (N) tokens read
@group(0) @binding(3) var<storage, read> ladder: array<f32>;
@group(0) @binding(4) var<storage, read> ranges: array<u32>;  // the step of the losses second
@group(0) @binding(5) var<storage, read> colours: array<u32>;  // (N) pixels
@group(0) @binding(6) var<storage, read_write> picture: array<u32>;

// The first token that is shown and how many there is room for.
fn shown() -> vec2<u32> {
    var room = SHORTEST;
    while room < counts[0] && room < params.history {
        room *= 2u;
    }
    return vec2<u32>(max(counts[0], room) - room, room);
}

// The height of a layer's curve, in pixels from the top, at token `first` + `at`, between two tokens on the line.
fn height(layer: u32, first: u32, at: f32) -> f32 {
    let last = counts[0] - 1u;
    let t = min(first + u32(max(at, 0.0)), last);
    let row = layer * params.history;
    let a = losses[row + t % params.history];
    let b = losses[row + min(t + 1u, last) % params.history];
    return (1.0 - mix(a, b, fract(max(at, 0.0))) / ladder[ranges[1]]) * f32(params.high - 1u);
}

// How much of the pixel a layer's curve covers, by the distance to what the curve does in the pixel's column: where it
// enters, where it leaves, and at the token between.
fn coverage(layer: u32, at: vec2<u32>, thickness: f32) -> f32 {
    let window = shown();
    let each = f32(window.y - 1u) / f32(params.wide - 1u);  // tokens a pixel
    let x = f32(at.x) * each;
    if counts[0] == 0u || x > f32(counts[0] - 1u - window.x) + 0.5 * each {
        return 0.0;
    }
    let left = height(layer, window.x, x - 0.5 * each);
    let token = round(x);
    let here = height(layer, window.x, select(x, token, abs(token - x) <= 0.5 * each));
    let right = height(layer, window.x, x + 0.5 * each);
    let top = min(min(left, right), here);
    let bottom = max(max(left, right), here);
    let y = f32(at.y);
    let distance = max(max(top - y, y - bottom), 0.0);
    return clamp(thickness + 0.5 - distance, 0.0, 1.0);
}

@compute @workgroup_size(8, 8)
fn draw_curves(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x >= params.wide || at.y >= params.high {
        return;
    }
    let place = (params.y + at.y) * params.width + params.x + at.x;
    var colour = colour_of(picture[place]);
    for (var layer = 0u; layer < params.layers; layer++) {
        if layer != params.selected {
            colour = mix(colour, colour_of(colours[layer]), coverage(layer, at.xy, 0.5));
        }
    }
    colour = mix(colour, colour_of(colours[params.selected]), coverage(params.selected, at.xy, 1.2));
    picture[place] = pixel(colour);
}
