// Shows a picture on a surface, as large as fits and in the middle: present_corners is a triangle over the whole surface,
// present the colour of its pixels.

#import shared/picture.wgsl

struct Params {
    width: u32,    // of the picture
    height: u32,
    across: u32,   // pixels of the surface
    down: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> picture: array<u32>;

@vertex
fn present_corners(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(corner & 1u) * 4.0 - 1.0, f32(corner >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn present(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let size = vec2<f32>(f32(params.width), f32(params.height));
    let surface = vec2<f32>(f32(params.across), f32(params.down));
    let scale = min(surface.x / size.x, surface.y / size.y);
    let at = floor((position.xy - 0.5 * (surface - scale * size)) / scale);
    // The first pixel is the background's.
    var place = 0u;
    if all(at >= vec2<f32>(0.0)) && all(at < size) {
        place = u32(at.y) * params.width + u32(at.x);
    }
    return vec4<f32>(colour_of(picture[place]), 1.0);
}
