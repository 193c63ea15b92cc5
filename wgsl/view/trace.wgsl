// What the curves of the chart do in each column of its pixels. A thread makes a column of a curve.

struct Params {
    history: u32,  // tokens that `losses` holds of a layer
    room: u32,     // tokens of the axis, 2 or more
    wide: u32,     // columns of the chart, 2 or more
    reach: u32,    // tokens to either side of one that its mean is over
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;  // (N, history) token t at t % history
@group(0) @binding(2) var<storage, read> curves: array<vec4<u32>>;  // how many; of each its layer, first token, tokens and colour
@group(0) @binding(3) var<storage, read_write> columns: array<vec4<f32>>;  // (curves, wide) the lowest and the highest loss, then mean; 1, 0, 1, 0 where no token is

// Stands for what is not finite, far above every axis.
const FAR = 1e37;

fn loss(curve: vec4<u32>, token: u32) -> f32 {
    let v = losses[curve.x * params.history + (curve.y + token) % params.history];
    return select(FAR, v, (bitcast<u32>(v) & 0x7fffffffu) < 0x7f800000u);  // comparisons need not tell
}

// The mean of the losses around a token, of those that there are.
fn mean(curve: vec4<u32>, token: u32, reach: u32) -> f32 {
    let first = token - min(token, reach);
    let last = min(token + reach, curve.z - 1u);
    var sum = 0.0;
    for (var t = first; t <= last; t++) {
        sum += loss(curve, t);
    }
    return sum / f32(last + 1u - first);
}

// The mean at a place of the axis; between two tokens it is on the line.
fn height(curve: vec4<u32>, at: f32, reach: u32) -> f32 {
    let t = u32(at);
    let part = at - f32(t);
    let here = mean(curve, t, reach);
    if part == 0.0 {
        return here;
    }
    return mix(here, mean(curve, min(t + 1u, curve.z - 1u), reach), part);
}

// The lowest and the highest mean between two places.
fn span(curve: vec4<u32>, low: f32, high: f32, reach: u32) -> vec2<f32> {
    let a = height(curve, low, reach);
    let b = height(curve, high, reach);
    var found = vec2<f32>(min(a, b), max(a, b));
    if reach > 0u {
        return found;  // means over more than a column bend little within one
    }
    for (var t = u32(ceil(low)); t <= u32(high); t++) {
        let here = loss(curve, t);
        found = vec2<f32>(min(found.x, here), max(found.y, here));
    }
    return found;
}

@compute @workgroup_size(WORKGROUP)
fn trace_curves(@builtin(global_invocation_id) at: vec3<u32>) {
    let column = at.x;
    if column >= params.wide || at.y >= curves[0].x {
        return;
    }
    let curve = curves[1u + at.y];
    let each = f32(params.room - 1u) / f32(params.wide - 1u);  // tokens a column
    let x = f32(column) * each;
    let place = at.y * params.wide + column;
    if curve.z == 0u || x > f32(curve.z - 1u) + 0.5 * each {
        columns[place] = vec4<f32>(1.0, 0.0, 1.0, 0.0);
        return;
    }
    let last = f32(curve.z - 1u);
    let low = min(max(x - 0.5 * each, 0.0), last);
    let high = min(x + 0.5 * each, last);
    columns[place] = vec4<f32>(span(curve, low, high, 0u), span(curve, low, high, params.reach));
}
