// The delta rule for one token, and the end of the delta mixer's scan. The importing file binds u, (n, 3, d), mixed,
// (n, 3, d), gain, (c), state, (B, h, c, c), tail, (B, 3, 3, d), answers and normed, (n, d), has KEPT, the inputs that a
// tail holds, and its params have width (d), head (c), heads (h) and time (T).
#import shared/norm.wgsl
#import shared/reduce.wgsl

const LANES = 16u;  // threads that share four rows of W

var<workgroup> shares: array<vec4<f32>, WORKGROUP>;

// W ← W + step (v − W·k) kᵀ, answer = W·q for one head of one sequence, by one workgroup, and the end of the scan.
fn delta_rule(row: u32, head: u32, step: f32, thread: u32) {
    let c = params.head;
    let key = 3u * row * params.width + head * c;
    let query = key + params.width;
    let value = query + params.width;
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
    let root = inverse_rms(workgroup_sum(squares, thread), c, NORM_EPS);
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
