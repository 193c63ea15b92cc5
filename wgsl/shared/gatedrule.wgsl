// The gated delta rule, token by token. The rows of a head's state are independent: a team of 16 threads keeps a row in registers
// from the first token to the last, and a workgroup has four rows. The importing file binds what is read and written, and has
// keep_start; STARTS, ERRORS and PACKED are constants. With PACKED = 1 the state is dropped where a is RESET, which
// gateddelta_borders.wgsl writes.

#import shared/silu.wgsl
#import shared/softplus.wgsl
#import shared/spans.wgsl

const TEAM = 16u;
const THREADS = 64u;

// S·k, S·q and k·q of every thread, of this token and the one before: one barrier a token is enough.
var<workgroup> shares: array<vec4<f32>, 128>;

fn quad(at: u32, q: u32) -> vec4<f32> {
    if 4u * q >= params.key {
        return vec4<f32>(0.0);
    }
    return vec4<f32>(qkv[at + 4u * q], qkv[at + 4u * q + 1u], qkv[at + 4u * q + 2u], qkv[at + 4u * q + 3u]);
}

fn state_quad(at: u32, q: u32) -> vec4<f32> {
    if 4u * q >= params.key {
        return vec4<f32>(0.0);
    }
    return state[at + q];
}

fn keep(at: u32, q: u32, s: vec4<f32>) {
    if 4u * q < params.key {
        state[at + q] = s;
    }
}

// Takes a sequence, whose state is number `state_of`, through four rows of it (group.x) of the head group.y.
fn gated_rows(seq: Sequence, state_of: u32, group: vec3<u32>, thread: u32) {
    let lane = thread % TEAM;
    let first = thread - lane;
    let row = group.x * (THREADS / TEAM) + thread / TEAM;
    let inside = row < params.value;
    let head = group.y;
    let at = ((state_of * params.heads + head) * params.value + min(row, params.value - 1u)) * (params.key / 4u);
    let key_head = head * params.key_heads / params.heads;
    var s0 = state_quad(at, lane);
    var s1 = state_quad(at, lane + TEAM);
    var s2 = state_quad(at, lane + 2u * TEAM);
    var s3 = state_quad(at, lane + 3u * TEAM);
    for (var t = 0u; t < seq.count; t++) {
        if STARTS == 1u && t % params.keep == 0u && inside {
            let to = (((seq.kept + t / params.keep) * params.heads + head) * params.value + row) * (params.key / 4u);
            keep_start(to, lane, s0);
            keep_start(to, lane + TEAM, s1);
            keep_start(to, lane + 2u * TEAM, s2);
            keep_start(to, lane + 3u * TEAM, s3);
        }
        let i = seq.row + t;
        let q = i * params.channels + key_head * params.key;
        let k = q + params.key_heads * params.key;
        let k0 = quad(k, lane);
        let k1 = quad(k, lane + TEAM);
        let k2 = quad(k, lane + 2u * TEAM);
        let k3 = quad(k, lane + 3u * TEAM);
        let q0 = quad(q, lane);
        let q1 = quad(q, lane + TEAM);
        let q2 = quad(q, lane + 2u * TEAM);
        let q3 = quad(q, lane + 3u * TEAM);
        let buffer = t % 2u * THREADS;
        shares[buffer + thread] = vec4<f32>(
            dot(s0, k0) + dot(s1, k1) + dot(s2, k2) + dot(s3, k3), dot(s0, q0) + dot(s1, q1) + dot(s2, q2) + dot(s3, q3),
            dot(k0, q0) + dot(k1, q1) + dot(k2, q2) + dot(k3, q3), 0.0);
        workgroupBarrier();
        var sums = vec4<f32>(0.0);
        for (var l = 0u; l < TEAM; l++) {
            sums += shares[buffer + first + l];
        }
        var gate = exp(decay[head] * softplus(a[i * params.heads + head] + bias[head]));
        if PACKED == 1u && a[i * params.heads + head] > 1.0e38 {
            gate = 0.0;
        }
        let value = qkv[i * params.channels + 2u * params.key_heads * params.key + head * params.value + min(row, params.value - 1u)];
        // S·q after the change is e^g·(S·q) + β·e·(k·q).
        let error = value - gate * sums.x;
        let step = sigmoid(b[i * params.heads + head]) * error;
        s0 = gate * s0 + step * k0;
        s1 = gate * s1 + step * k1;
        s2 = gate * s2 + step * k2;
        s3 = gate * s3 + step * k3;
        if lane == 0u && inside {
            let to = (i * params.heads + head) * params.value + row;
            o[to] = gate * sums.y + step * sums.z;
            if ERRORS == 1u {
                o[params.section + to] = error;
            }
        }
    }
    if inside {
        keep(at, lane, s0);
        keep(at, lane + TEAM, s1);
        keep(at, lane + 2u * TEAM, s2);
        keep(at, lane + 3u * TEAM, s3);
    }
}
