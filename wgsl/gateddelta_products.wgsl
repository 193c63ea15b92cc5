// What the backward of the gated delta rule needs for every tile: the products of its keys with keys and queries and, for each value
// head, the steps β and the sums of the decays g from the tile's first token on. Products between documents are zero.

#import shared/documents.wgsl
#import shared/marks.wgsl
#import shared/silu.wgsl
#import shared/softplus.wgsl
#import shared/spans.wgsl

struct Params {
    heads: u32,      // V
    key_heads: u32,  // K
    key: u32,        // k
    channels: u32,   // of a row of qkv
    time: u32,       // T of a batch row
    length: u32,     // T
    span: u32,       // tokens of a tile
    keep: u32,       // span
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;  // (n, channels) queries, keys, values
@group(0) @binding(2) var<storage, read> b: array<f32>;  // (n, V)
@group(0) @binding(3) var<storage, read> a: array<f32>;  // (n, V)
@group(0) @binding(4) var<storage, read> decay: array<f32>;  // (V)
@group(0) @binding(5) var<storage, read> bias: array<f32>;  // (V)
@group(0) @binding(6) var<storage, read_write> products: array<f32>;  // (n, K, 2, TILE) row t: k·k, then q·k
@group(0) @binding(7) var<storage, read_write> gates: array<vec4<f32>>;  // (n, V) β, Σ g up to the token, Σ g of the tile, mark
@group(0) @binding(8) var<storage, read> documents: array<u32>;  // (n, 2), with PACKED = 1

fn documents_at(at: u32) -> u32 {
    return documents[at];
}

// Workgroup (tile group.x, batch row and head of keys group.y).
@compute @workgroup_size(64)
fn gated_products(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let key_head = group.y % params.key_heads;
    let seq = sequence(group.y / params.key_heads);
    let tile = tile_of(group.x, seq.count);
    let row = seq.row + tile.first;
    for (var pair = thread; pair < tile.count * TILE; pair += 64u) {
        let t = pair / TILE;
        let s = pair % TILE;
        if s > t {
            continue;
        }
        let q = (row + t) * params.channels + key_head * params.key;
        let k = q + params.key_heads * params.key;
        let other = k + s * params.channels - t * params.channels;
        var sum = vec2<f32>(0.0);
        for (var j = 0u; j < params.key; j++) {
            sum += vec2<f32>(qkv[k + j], qkv[q + j]) * qkv[other + j];
        }
        if before_of(row + t, TILE) < t - s {
            sum = vec2<f32>(0.0);
        }
        let at = ((row + t) * params.key_heads + key_head) * 2u * TILE + s;
        products[at] = sum.x;
        products[at + TILE] = sum.y;
    }
    let each = params.heads / params.key_heads;
    for (var h = thread; h < each; h += 64u) {
        let head = key_head * each + h;
        var all = 0.0;
        for (var t = 0u; t < tile.count; t++) {
            all += decay[head] * softplus(a[(row + t) * params.heads + head] + bias[head]);
        }
        var sum = 0.0;
        for (var t = 0u; t < tile.count; t++) {
            let at = (row + t) * params.heads + head;
            sum += decay[head] * softplus(a[at] + bias[head]);
            var own = ONE_DOCUMENT;
            if PACKED == 1u {
                own = mark_of(before_of(row + t, 0u), behind_of(row + t, 0u, 0u), tile.count - 1u - t);
            }
            gates[at] = vec4<f32>(sigmoid(b[at]), sum, all, f32(own));
        }
    }
}
