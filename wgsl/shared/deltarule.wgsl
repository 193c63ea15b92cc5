// The delta rule for one token. The importing file binds kqv, (n, 3, d), state, (S, h, c, c), and answers, (n, d), has
// slot_of, and its params have width (d), head (c) and heads (h).

const LANES = 16u;  // threads that share four rows of W

var<workgroup> shares: array<vec4<f32>, WORKGROUP>;

// W ← W + step (v − W·k) kᵀ, answer = W·q for one head of one sequence, by one workgroup.
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
        let W = ((slot_of(row) * params.heads + head) * c + first) * c;
        var sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            for (var j = lane; j < c; j += LANES) {
                sum[i] += state[W + i * c + j] * kqv[key + j];
            }
        }
        let known = team_sum(sum, thread, team);
        sum = vec4<f32>(0.0);
        for (var i = 0u; i < rows; i++) {
            let change = step * (kqv[value + first + i] - known[i]);
            for (var j = lane; j < c; j += LANES) {
                let w = state[W + i * c + j] + change * kqv[key + j];
                state[W + i * c + j] = w;
                sum[i] += w * kqv[query + j];
            }
        }
        let asked = team_sum(sum, thread, team);
        if lane < rows {
            answers[row * params.width + head * c + first + lane] = asked[lane];
        }
    }
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
