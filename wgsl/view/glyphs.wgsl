// Text: each glyph of a list is blended into the picture, a workgroup a glyph. A glyph of an axis label is not known to
// the host: it stands in a table with a row for every range that the axis can have.

#import shared/picture.wgsl

struct Params {
    width: u32,       // of the picture
    cell_width: u32,  // of a glyph
    cell_height: u32,
    row: u32,         // glyphs of a row of `labels`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> atlas: array<u32>;  // (glyphs, cell_height, cell_width) coverage, a byte each
@group(0) @binding(2) var<storage, read> labels: array<u32>;  // (steps, row) glyphs
@group(0) @binding(3) var<storage, read> ranges: array<u32>;  // the step of each axis
@group(0) @binding(4) var<storage, read> glyphs: array<vec4<u32>>;  // x and y as a 16-bit pair; glyph or place in a row; pixel; 0 or 1 + axis
@group(0) @binding(5) var<storage, read_write> picture: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn draw_glyphs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let g = glyphs[group.x];
    var glyph = g.y;
    if g.w > 0u {
        glyph = labels[ranges[g.w - 1u] * params.row + g.y];
    }
    let area = params.cell_width * params.cell_height;
    for (var at = thread; at < area; at += WORKGROUP) {
        let byte = glyph * area + at;
        let coverage = f32((atlas[byte / 4u] >> (byte % 4u * 8u)) & 0xffu) / 255.0;
        let place = ((g.x >> 16u) + at / params.cell_width) * params.width + (g.x & 0xffffu) + at % params.cell_width;
        picture[place] = pixel(mix(colour_of(picture[place]), colour_of(g.z), coverage));
    }
}
