// Cross-entropy of softmax(logits) and its gradient in place of the logits, a workgroup a row; the rows' losses are
// then added up in a fixed order.

#import shared/grid.wgsl
#import shared/reduce.wgsl

struct Params {
    n: u32,      // rows
    vocab: u32,  // V
    start: u32,  // the first row's target
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (n, V)
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;  // (n)
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;  // (1)

var<workgroup> largest: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_group(group, groups);
    let row = min(i, params.n - 1u) * params.vocab;
    var best = logits[row];
    for (var v = thread; v < params.vocab; v += WORKGROUP) {
        best = max(best, logits[row + v]);
    }
    largest[thread] = best;
    workgroupBarrier();
    for (var t = 0u; t < WORKGROUP; t++) {
        best = max(best, largest[t]);
    }
    var sum = 0.0;
    for (var v = thread; v < params.vocab; v += WORKGROUP) {
        sum += exp(logits[row + v] - best);
    }
    let total = workgroup_sum(sum, thread);
    if i >= params.n {
        return;
    }
    let goal = targets[params.start + i];
    if goal >= params.vocab { // op.NoTarget
        for (var v = thread; v < params.vocab; v += WORKGROUP) {
            logits[row + v] = 0.0;
        }
        if thread == 0u {
            losses[i] = 0.0;
        }
        return;
    }
    for (var v = thread; v < params.vocab; v += WORKGROUP) {
        let l = logits[row + v] - best;
        var d = params.scale * (exp(l) / total);
        if v == goal {
            losses[i] = params.scale * (log(total) - l);
            d -= params.scale;
        }
        logits[row + v] = d;
    }
}

// One workgroup.
@compute @workgroup_size(WORKGROUP)
fn cross_entropy_total(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.n; i += WORKGROUP) {
        sum += losses[i];
    }
    let total = workgroup_sum(sum, thread);
    if thread == 0u {
        loss[0] += total;
    }
}
