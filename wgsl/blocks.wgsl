// All blocks of the model for one token of each sequence, in one dispatch: a workgroup takes a sequence through every layer,
// with a barrier where otherwise another dispatch would begin. The formulas are those of linear.wgsl, swiglu.wgsl,
// tiedscan.wgsl and deltascan_decode.wgsl. D is a multiple of 4; d, and the width c of a head, need not be.

#import shared/norm.wgsl
#import shared/reduce.wgsl
#import shared/silu.wgsl
#import shared/slots.wgsl
#import shared/ternary.wgsl

struct Params {
    layers: u32,  // N
    width: u32,   // D
    hidden: u32,  // H
    memory: u32,  // d
    heads: u32,   // h
    weights: u32, // blocks of 16 bytes of a layer's weights
    gains: u32,   // numbers of a layer's gains
    states: u32,  // numbers between the memories of two layers
    tails: u32,   // numbers between the tails of two layers
    absmean: u32, // 1: products are multiplied by γ
    rate: f32,    // η of the tied mixer
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;  // a layer: mixer, up, gate and up, down, as blocks_pack makes them
@group(0) @binding(2) var<storage, read> gains: array<f32>;  // a layer: GAMMAS γ, norm1, norm2, and delta: conv, step, bias, norm
@group(0) @binding(3) var<storage, read_write> stream: array<f32>;  // (B, D)
@group(0) @binding(4) var<storage, read_write> state: array<f32>;  // a layer: (S, h, c, c)
@group(0) @binding(5) var<storage, read_write> tail: array<f32>;  // a layer: (S, 3, 3, d)
@group(0) @binding(6) var<storage, read_write> work: array<f32>;  // (B, 7·d + H)
@group(0) @binding(7) var<storage, read> slots: array<u32>;  // (B), see shared/slots.wgsl

const LANES = 16u;  // of a team, which shares a head or four rows of a memory
const TAPS = 4u;
const KEPT = 3u;    // inputs of a convolution that a tail holds
const MAX_HEADS = 64u;

// Places of γ in a layer's gains.
const GAMMAS = 7u;
const GAMMA_MIXER = 0u;   // three
const GAMMA_OUT = 3u;   // of the mixer's output
const GAMMA_GATE = 4u;  // and the MLP's up
const GAMMA_DOWN = 6u;

// What becomes of a product.
const TO_MIXER = 0u;
const TO_STREAM = 1u;
const TO_ACT = 2u;

var<workgroup> input: array<vec4<f32>, INPUT_QUADS>;  // of a product, scaled for it; zeros behind its end
var<workgroup> shares: array<vec4<f32>, WORKGROUP>;
var<workgroup> betas: array<f32, MAX_HEADS>;

// Where this sequence's numbers and this layer's begin.
var<private> row: u32;
var<private> stream_at: u32;
var<private> projected_at: u32;  // in work: (3, d) projections
var<private> kqv_at: u32;        // (3, d) the rule's keys, queries and values
var<private> answer_at: u32;     // (d)
var<private> act_at: u32;        // (H)
var<private> gains_at: u32;
var<private> state_at: u32;
var<private> tail_at: u32;

@compute @workgroup_size(WORKGROUP)
fn blocks(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let D = params.width;
    let d = params.memory;
    row = group.x;
    stream_at = row * D;
    projected_at = row * (7u * d + params.hidden);
    kqv_at = projected_at + 3u * d;
    answer_at = kqv_at + 3u * d;
    act_at = answer_at + d;
    let mixer_quads = ((1u + 2u * DELTA) * d + 3u) / 4u;
    for (var layer = 0u; layer < params.layers; layer++) {
        var at = layer * params.weights;
        gains_at = layer * params.gains;
        state_at = layer * params.states + slot_of(row) * d * head_width();
        tail_at = layer * params.tails + slot_of(row) * 3u * KEPT * d;
        let norm1 = gains_at + GAMMAS;

        var sums = put_stream(norm1, thread);
        var root = inverse_rms(sums.x, D, NORM_EPS);
        product(TO_MIXER, GAMMA_MIXER, at, mixer_quads, stride(D), sums.y, root, thread);
        at += 4u * mixer_quads * stride(D);
        if DELTA == 1u {
            steps(norm1, root, thread);
            short_conv(thread);
        } else {
            unit_key(thread);
        }
        remember(thread);

        sums = put_work(answer_at, d, thread);
        product(TO_STREAM, GAMMA_OUT, at, D / 4u, stride(d), sums.y, 1.0, thread);
        at += D * stride(d);
        sums = put_stream(norm1 + D, thread);
        root = inverse_rms(sums.x, D, NORM_EPS);
        product(TO_ACT, GAMMA_GATE, at, params.hidden / 2u, stride(D), sums.y, root, thread);
        at += 2u * params.hidden * stride(D);
        sums = put_work(act_at, params.hidden, thread);
        product(TO_STREAM, GAMMA_DOWN, at, D / 4u, stride(params.hidden), sums.y, 1.0, thread);
    }
}

// c, computed from parameters only, because what barriers depend on must be provably the same in all threads.
fn head_width() -> u32 {
    return params.memory / params.heads;
}

// Blocks of 16 bytes, 64 weights, of a row of a matrix with so many columns.
fn stride(columns: u32) -> u32 {
    return (columns + 63u) / 64u;
}

// Makes RMSNorm of the stream, but for its root, the input of a product; Σ h² and Σ x of it.
fn put_stream(gain: u32, thread: u32) -> vec2<f32> {
    var share = vec2<f32>(0.0);
    for (var q = thread; q < 16u * stride(params.width); q += WORKGROUP) {
        let k = 4u * q;
        var x = vec4<f32>(0.0);
        if k < params.width {
            let at = stream_at + k;
            let h = vec4<f32>(stream[at], stream[at + 1u], stream[at + 2u], stream[at + 3u]);
            x = h * vec4<f32>(gains[gain + k], gains[gain + k + 1u], gains[gain + k + 2u], gains[gain + k + 3u]);
            share += vec2<f32>(dot(h, h), dot(x, vec4<f32>(1.0)));
        }
        input[q] = x * code_scale(q);
    }
    return workgroup_sums(share, thread);
}

// Makes `count` numbers of work on from `begin` the input of a product; y: Σ x.
fn put_work(begin: u32, count: u32, thread: u32) -> vec2<f32> {
    var share = 0.0;
    for (var q = thread; q < 16u * stride(count); q += WORKGROUP) {
        var x = vec4<f32>(0.0);
        for (var e = 0u; e < 4u; e++) {
            if 4u * q + e < count {
                x[e] = work[begin + 4u * q + e];
            }
        }
        share += dot(x, vec4<f32>(1.0));
        input[q] = x * code_scale(q);
    }
    return workgroup_sums(vec2<f32>(0.0, share), thread);
}

// The input times the matrix at `first`. A thread takes a quad of rows; where there are fewer quads than threads, several
// threads share one.
fn product(to: u32, place: u32, first: u32, quads: u32, blocks: u32, activations: f32, root: f32, thread: u32) {
    var lanes = 1u;
    while 2u * lanes <= blocks && 2u * lanes * quads <= WORKGROUP {
        lanes *= 2u;
    }
    let together = WORKGROUP / lanes;  // quads
    let lane = thread / together;
    for (var start = 0u; start < quads; start += together) {
        let quad = start + thread % together;
        var sum = vec4<f32>(0.0);
        if quad < quads {
            for (var b = lane; b < blocks; b += lanes) {
                sum += block_products(first + 4u * b * quads + quad, quads, 16u * b);
            }
        }
        if lanes > 1u {
            workgroupBarrier();
            shares[thread] = sum;
            workgroupBarrier();
            if lane == 0u {
                for (var l = 1u; l < lanes; l++) {
                    sum += shares[thread + l * together];
                }
            }
        }
        if lane == 0u && quad < quads {
            store(to, place, quad, (sum - activations) * root);
        }
    }
    storageBarrier();
    workgroupBarrier();
}

// Products of a block of each row of a quad with the input from quad x on.
fn block_products(at: u32, quads: u32, x: u32) -> vec4<f32> {
    let w0 = weights[at];
    let w1 = weights[at + quads];
    let w2 = weights[at + 2u * quads];
    let w3 = weights[at + 3u * quads];
    return word_products(vec4<u32>(w0.x, w1.x, w2.x, w3.x), x) + word_products(vec4<u32>(w0.y, w1.y, w2.y, w3.y), x + 4u) +
        word_products(vec4<u32>(w0.z, w1.z, w2.z, w3.z), x + 8u) + word_products(vec4<u32>(w0.w, w1.w, w2.w, w3.w), x + 12u);
}

fn word_products(w: vec4<u32>, x: u32) -> vec4<f32> {
    let x0 = input[x];
    let x1 = input[x + 1u];
    let x2 = input[x + 2u];
    let x3 = input[x + 3u];
    return vec4<f32>(ternary_product(w.x, x0, x1, x2, x3), ternary_product(w.y, x0, x1, x2, x3),
        ternary_product(w.z, x0, x1, x2, x3), ternary_product(w.w, x0, x1, x2, x3));
}

fn gamma(place: u32) -> f32 {
    return select(1.0, gains[gains_at + place], params.absmean == 1u);
}

// Stores a quad of a product, whose γ is at `place`.
fn store(to: u32, place: u32, quad: u32, v: vec4<f32>) {
    let d = params.memory;
    if to == TO_MIXER {
        for (var e = 0u; e < 4u; e++) {
            let r = 4u * quad + e;
            if r < (1u + 2u * DELTA) * d {
                work[projected_at + r] = v[e] * gamma(place + r / d);
            }
        }
    } else if to == TO_ACT {
        let gate = v.xy * gamma(place);
        let up = v.zw * gamma(place + 1u);
        work[act_at + 2u * quad] = silu(gate.x) * up.x;
        work[act_at + 2u * quad + 1u] = silu(gate.y) * up.y;
    } else {
        for (var e = 0u; e < 4u; e++) {
            stream[stream_at + 4u * quad + e] += v[e] * gamma(place);
        }
    }
}

// betas: σ(x·wᵀ + bias) of each head, x being RMSNorm of the stream.
fn steps(norm1: u32, root: f32, thread: u32) {
    let D = params.width;
    let w = norm1 + 2u * D + 3u * params.memory * TAPS;
    let slices = WORKGROUP / params.heads;
    let head = thread % params.heads;
    var sum = 0.0;
    if thread / params.heads < slices {
        for (var k = thread / params.heads; k < D; k += slices) {
            sum += stream[stream_at + k] * gains[norm1 + k] * gains[w + head * D + k];
        }
    }
    workgroupBarrier();
    shares[thread].x = sum;
    workgroupBarrier();
    if thread < params.heads {
        for (var s = 1u; s < slices; s++) {
            sum += shares[thread + s * params.heads].x;
        }
        betas[thread] = sigmoid(sum * root + gains[w + params.heads * D + thread]);
    }
}

// Convolution and SiLU of every part of every head, and unit length of keys and queries, a team each; then the inputs
// that the next token's convolutions need.
fn short_conv(thread: u32) {
    let d = params.memory;
    let c = head_width();
    let conv = gains_at + GAMMAS + 2u * params.width;
    let lane = thread % LANES;
    for (var start = 0u; start < 3u * params.heads; start += WORKGROUP / LANES) {
        let item = start + thread / LANES;  // (part, head)
        let first = item * c;               // of 3·d channels
        var squares = 0.0;
        if item < 3u * params.heads {
            for (var j = first + lane; j < first + c; j += LANES) {
                var v = gains[conv + j * TAPS + KEPT] * work[projected_at + j];
                for (var i = 0u; i < KEPT; i++) {
                    v += gains[conv + j * TAPS + i] * tail[tail_at + (j / d * KEPT + i) * d + j % d];
                }
                v = silu(v);
                work[kqv_at + j] = v;
                squares += v * v;
            }
        }
        let size = sqrt(team_sum(vec4<f32>(squares), thread).x) + 1e-6;
        if item < 2u * params.heads {
            for (var j = first + lane; j < first + c; j += LANES) {
                work[kqv_at + j] /= size;
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    for (var j = thread; j < 3u * d; j += WORKGROUP) {
        let at = tail_at + j / d * KEPT * d + j % d;
        tail[at] = tail[at + d];
        tail[at + d] = tail[at + 2u * d];
        tail[at + 2u * d] = work[projected_at + j];
    }
}

// The tied mixer's key at unit length.
fn unit_key(thread: u32) {
    var squares = 0.0;
    for (var j = thread; j < params.memory; j += WORKGROUP) {
        let v = work[projected_at + j];
        squares += v * v;
    }
    let size = sqrt(workgroup_sum(squares, thread)) + 1e-6;
    for (var j = thread; j < params.memory; j += WORKGROUP) {
        work[kqv_at + j] = work[projected_at + j] / size;
    }
    storageBarrier();
    workgroupBarrier();
}

// The rule, a team for four rows of a head's memory, which is read and written once, and the norm of the answer.
fn remember(thread: u32) {
    let d = params.memory;
    let c = head_width();
    let lane = thread % LANES;
    let quads = (c + 3u) / 4u;  // of a head
    for (var start = 0u; start < params.heads * quads; start += WORKGROUP / LANES) {
        let item = start + thread / LANES;
        let head = min(item / quads, params.heads - 1u);
        let first = item % quads * 4u;
        let rows = select(0u, min(4u, c - first), item < params.heads * quads);
        let key = kqv_at + head * c;
        let query = key + d;
        let value = query + d;
        let W = state_at + (head * c + first) * c;
        var sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            for (var j = lane; j < c; j += LANES) {
                sum[i] += state[W + i * c + j] * work[key + j];
            }
        }
        var answer = team_sum(sum, thread);
        sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            var change = 0.0;
            if DELTA == 1u {
                change = betas[head] * (work[value + first + i] - answer[i]);
            } else {
                change = params.rate * (work[key + first + i] - answer[i]);
            }
            for (var j = lane; j < c; j += LANES) {
                let w = state[W + i * c + j] + change * work[key + j];
                state[W + i * c + j] = w;
                if DELTA == 1u {
                    sum[i] += w * work[query + j];
                }
            }
        }
        if DELTA == 1u {
            answer = team_sum(sum, thread);
        }
        if lane < rows {
            work[answer_at + head * c + first + lane] = answer[lane];
        }
    }
    storageBarrier();
    workgroupBarrier();
    if DELTA == 1u {
        norm_answers(thread);
    }
}

// RMSNorm over each head of the answers, a team each.
fn norm_answers(thread: u32) {
    let c = head_width();
    let lane = thread % LANES;
    let gain = gains_at + params.gains - c;
    for (var start = 0u; start < params.heads; start += WORKGROUP / LANES) {
        let head = start + thread / LANES;
        let first = answer_at + head * c;
        var squares = 0.0;
        if head < params.heads {
            for (var j = lane; j < c; j += LANES) {
                squares += work[first + j] * work[first + j];
            }
        }
        let root = inverse_rms(team_sum(vec4<f32>(squares), thread).x, c, NORM_EPS);
        if head < params.heads {
            for (var j = lane; j < c; j += LANES) {
                work[first + j] *= root * gains[gain + j];
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
}

// Σ v over the LANES threads of a team.
fn team_sum(v: vec4<f32>, thread: u32) -> vec4<f32> {
    let team = thread - thread % LANES;
    workgroupBarrier();
    shares[thread] = v;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var t = 0u; t < LANES; t++) {
        sum += shares[team + t];
    }
    return sum;
}
