// Stores four channels of a head's output of attention, multiplied by σ of their gates if the last H·c of a row of qkv are gates. The
// importing file binds qkv and o, and its params have qkv_stride, heads, head and gate.

#import shared/silu.wgsl

fn write_attended(row: u32, place: u32, v: vec4<f32>) {
    let gates = (row + 1u) * params.qkv_stride - params.heads * params.head + place;
    for (var e = 0u; e < 4u; e++) {
        var y = v[e];
        if params.gate == 1u {
            y *= sigmoid(qkv[gates + e]);
        }
        o[row * params.heads * params.head + place + e] = y;
    }
}
