// The gradient of the taps of gateddelta.wgsl's convolution, from that of its output, which gated_conv_activation made: a sum over
// rows, 16 channels and four taps a workgroup.

#import shared/columns.wgsl
#import shared/documents.wgsl

struct Params {
    n: u32,
    time: u32,       // T
    key_heads: u32,  // K
    key: u32,        // k
    value: u32,      // v
    channels: u32,   // 2·K·k + V·v
    inputs: u32,     // of a row of u
    taps: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, inputs)
@group(0) @binding(2) var<storage, read> dy: array<f32>;  // (n, channels)
@group(0) @binding(3) var<storage, read_write> dconv: array<f32>;  // (channels, taps)
@group(0) @binding(4) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

// Workgroup (channels group.x, taps group.z).
@compute @workgroup_size(16, 16)
fn gated_conv_taps(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let channel = group.x * COLUMNS + local.x;
    let first = 4u * group.z;
    let taps = min(4u, params.taps - first);
    var sum = vec4<f32>(0.0);
    if channel < params.channels {
        for (var row = local.y; row < params.n; row += 16u) {
            let reach = before_of(row, row % params.time);
            let d = dy[row * params.channels + channel];
            for (var i = 0u; i < taps; i++) {
                let back = params.taps - 1u - first - i;
                if back <= reach {
                    sum[i] += d * u[(row - back) * params.inputs + channel];
                }
            }
        }
    }
    let total = column_sum(sum, local);
    if local.y == 0u && channel < params.channels {
        for (var i = 0u; i < taps; i++) {
            dconv[channel * params.taps + first + i] += total[i];
        }
    }
}
