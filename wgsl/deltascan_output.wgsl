// The end of the delta mixer's scan: RMSNorm over each head of what the memory answers, and the inputs that the next
// scan's convolutions need. delta_output follows a scan of several tokens; delta_step is the whole rule for one token,
//
//     W ← W + β (v − W·k) kᵀ      answer = W·q
//
// after which it does the same.

#import shared/grid.wgsl
#import shared/norm.wgsl
#import shared/reduce.wgsl

struct Params {
    width: u32,  // d
    head: u32,   // c, the width of a head
    heads: u32,  // h
    time: u32,   // T
    n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;  // (n, 3, d) key, query, value before the convolution
@group(0) @binding(2) var<storage, read> beta: array<f32>;  // (n, h)
@group(0) @binding(3) var<storage, read> mixed: array<f32>;  // (n, 3, d) key, query, value
@group(0) @binding(4) var<storage, read> gain: array<f32>;  // (c)
@group(0) @binding(5) var<storage, read_write> state: array<f32>;  // (B, h, c, c)
@group(0) @binding(6) var<storage, read_write> tail: array<f32>;  // (B, 3, 3, d)
@group(0) @binding(7) var<storage, read_write> answers: array<f32>;  // (n, d)
@group(0) @binding(8) var<storage, read_write> normed: array<f32>;  // (n, d)

const KEPT = 3u;    // inputs that a tail holds
const LANES = 16u;  // threads that share four rows of W

var<workgroup> shares: array<vec4<f32>, WORKGROUP>;

// Workgroup (token of all in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_output(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row < params.n {
        write_output(row, group.z, thread);
    }
}

// Workgroup (sequence in x and y, head group.z).
@compute @workgroup_size(WORKGROUP)
fn delta_step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.n {
        return;
    }
    let head = group.z;
    let c = params.head;
    let key = 3u * row * params.width + head * c;
    let query = key + params.width;
    let value = query + params.width;
    let step = beta[row * params.heads + head];
    let lane = thread % LANES;
    let team = thread - lane;
    let together = WORKGROUP / LANES * 4u;  // rows
    for (var start = 0u; start < c; start += together) {
        let first = start + team / LANES * 4u;
        let rows = min(4u, c - min(first, c));
        let W = ((row * params.heads + head) * c + first) * c;
        var sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            for (var j = lane; j < c; j += LANES) {
                sum[i] += state[W + i * c + j] * mixed[key + j];
            }
        }
        let known = team_sum(sum, thread, team);
        sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            let change = step * (mixed[value + first + i] - known[i]);
            for (var j = lane; j < c; j += LANES) {
                let w = state[W + i * c + j] + change * mixed[key + j];
                state[W + i * c + j] = w;
                sum[i] += w * mixed[query + j];
            }
        }
        let asked = team_sum(sum, thread, team);
        if lane < rows {
            answers[row * params.width + head * c + first + lane] = asked[lane];
        }
    }
    storageBarrier();
    write_output(row, head, thread);
}

// Σ v over the LANES threads of a team, which begins at thread `team`.
fn team_sum(v: vec4<f32>, thread: u32, team: u32) -> vec4<f32> {
    workgroupBarrier();
    shares[thread] = v;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var t = 0u; t < LANES; t++) {
        sum += shares[team + t];
    }
    return sum;
}

// Normalises one head's answer to one token, and after the last token keeps that head's inputs.
fn write_output(row: u32, head: u32, thread: u32) {
    let c = params.head;
    let first = row * params.width + head * c;
    var squares = 0.0;
    for (var j = thread; j < c; j += WORKGROUP) {
        let v = answers[first + j];
        squares += v * v;
    }
    let root = inverse_rms(workgroup_sum(squares, thread), c);
    for (var j = thread; j < c; j += WORKGROUP) {
        normed[first + j] = answers[first + j] * root * gain[j];
    }
    if row % params.time != params.time - 1u {
        return;
    }
    for (var j = thread; j < 3u * c; j += WORKGROUP) {
        let channel = head * c + j % c;
        let place = row / params.time * 3u + j / c;  // key, query or value of this batch row
        for (var i = 0u; i < KEPT; i++) {
            let back = KEPT - i;
            var v = 0.0;
            if params.time >= back {
                v = u[((row + 1u - back) * 3u + j / c) * params.width + channel];
            } else {
                v = tail[(place * KEPT + params.time + i) * params.width + channel];
            }
            tail[(place * KEPT + i) * params.width + channel] = v;
        }
    }
}
