// Draws a token for each row of logits, a workgroup per row, by the rules of op.Sampling. If the constant EMBED is 1, it also writes
// the token's embedding, so that the next step can begin.

#import shared/random.wgsl
#import shared/reduce.wgsl
#import shared/table.wgsl

struct Params {
    vocab: u32,
    columns: u32,      // K, of out
    width: u32,
    stride: u32,       // blocks of 16 bytes of a row of the table
    block_rows: u32,   // of the table: rows that share a γ
    absmean: u32,      // 1: multiply by γ
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (B, vocab), left as they were
@group(0) @binding(2) var<storage, read_write> recent: array<u32>;  // (B, RECENT_SIZE)
@group(0) @binding(3) var<storage, read_write> next: array<u32>;  // (B)
@group(0) @binding(4) var<storage, read_write> out: array<u32>;  // (B, columns)
@group(0) @binding(5) var<storage, read> rules: array<u32>;  // (B, RULES_SIZE)
@group(0) @binding(6) var<storage, read> weights: array<vec4<u32>>;  // (vocab, stride) the embedding
@group(0) @binding(7) var<storage, read> scales: array<u32>;  // of the table
@group(0) @binding(8) var<storage, read_write> h: array<f32>;  // (B, width)

// Places in a row of rules, as in package op; floats are there as their bits.
const TEMPERATURE = 0u;  // 0: the largest logit
const TOP_K = 1u;        // 0: all
const TOP_P = 2u;        // 0: all
const MIN_LOGIT = 4u;    // log min-p: logits this far from the largest stay
const PENALTY = 5u;      // 0 or 1: none
const SEED_LOW = 6u;
const SEED_HIGH = 7u;
const RULES_SIZE = 8u;

// Places in a row of recent, as in package op.
const PUSHED = 0u;
const SAMPLED = 1u;
const RING = 2u;
const WINDOW = 64u;
const RECENT_SIZE = 66u;

const LOWEST = -3.4028234e38;
const NONE = 0xfffffffeu;
const NOT_FINITE = 0xffffffffu;  // as in nn: where a logit is NaN or infinite

var<workgroup> unpenalised: array<f32, WINDOW>;
var<workgroup> best_logits: array<f32, WORKGROUP>;
var<workgroup> best_ids: array<u32, WORKGROUP>;
var<workgroup> masses: array<f32, WORKGROUP>;
var<workgroup> last_ids: array<u32, WORKGROUP>;
var<workgroup> chosen: u32;

@compute @workgroup_size(WORKGROUP)
fn sample(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let base = group.x * params.vocab;
    let ring = group.x * RECENT_SIZE;
    let rule = group.x * RULES_SIZE;
    let given = bitcast<f32>(rules[rule + PENALTY]);
    let penalty = select(given, 1.0, given == 0.0);
    let temperature = bitcast<f32>(rules[rule + TEMPERATURE]);
    penalise(base, ring, penalty, thread);
    let best = largest(base, thread);
    var limit = LOWEST;
    if temperature > 0.0 {
        let top_k = rules[rule + TOP_K];
        if top_k > 0u && top_k < params.vocab {
            limit = key_logit(highest_key(base, best, limit, false, f32(top_k), thread));
        }
        let top_p = bitcast<f32>(rules[rule + TOP_P]);
        if top_p > 0.0 {
            let all = mass_from(base, best, limit, thread);
            limit = key_logit(highest_key(base, best, limit, true, top_p * all, thread));
        }
        limit = max(limit, best + bitcast<f32>(rules[rule + MIN_LOGIT]));
        let draw = uniform_draw(recent[ring + SAMPLED], rules[rule + SEED_LOW], rules[rule + SEED_HIGH]);
        pick(base, best, limit, temperature, draw, thread);
    }
    if thread == 0u && (temperature == 0.0 || best_ids[0] == NOT_FINITE) {
        chosen = best_ids[0];
    }
    workgroupBarrier();
    restore(base, ring, penalty, thread);
    let id = select(chosen, 0u, chosen == NOT_FINITE);
    storageBarrier();
    if thread == 0u {
        next[group.x] = id;
        let sampled = recent[ring + SAMPLED];
        out[group.x * params.columns + sampled % params.columns] = chosen;
        recent[ring + SAMPLED] = sampled + 1u;
        let pushed = recent[ring + PUSHED];
        recent[ring + RING + pushed % WINDOW] = chosen;
        recent[ring + PUSHED] = pushed + 1u;
    }
    if EMBED == 1u {
        for (var k = 4u * thread; k < params.width; k += 4u * WORKGROUP) {
            let v = table4(id, id, k);
            let at = group.x * params.width + k;
            h[at] = v.x;
            h[at + 1u] = v.y;
            h[at + 2u] = v.z;
            h[at + 3u] = v.w;
        }
    }
}

// The recent token in place `slot` of the ring, or NONE where there is none or an earlier place holds the same.
fn recent_id(ring: u32, slot: u32) -> u32 {
    if slot >= min(recent[ring + PUSHED], WINDOW) {
        return NONE;
    }
    let id = recent[ring + RING + slot];
    if id >= params.vocab {
        return NONE;
    }
    for (var i = 0u; i < slot; i++) {
        if recent[ring + RING + i] == id {
            return NONE;
        }
    }
    return id;
}

fn penalise(base: u32, ring: u32, penalty: f32, thread: u32) {
    if penalty == 1.0 {
        return;
    }
    for (var slot = thread; slot < WINDOW; slot += WORKGROUP) {
        let id = recent_id(ring, slot);
        if id != NONE {
            let l = logits[base + id];
            unpenalised[slot] = l;
            if finite(l) {
                logits[base + id] = clamp(select(l * penalty, l / penalty, l > 0.0), LOWEST, -LOWEST);
            }
        }
    }
    storageBarrier();
}

// Undoes penalise. Nothing of recent has changed since.
fn restore(base: u32, ring: u32, penalty: f32, thread: u32) {
    if penalty == 1.0 {
        return;
    }
    for (var slot = thread; slot < WINDOW; slot += WORKGROUP) {
        let id = recent_id(ring, slot);
        if id != NONE {
            logits[base + id] = unpenalised[slot];
        }
    }
}

// Bits, because compilers may take it that every number is finite.
fn finite(l: f32) -> bool {
    return (bitcast<u32>(l) & 0x7f800000u) != 0x7f800000u;
}

// The largest logit; best_ids[0] is its place, the first one on a tie, or NOT_FINITE.
fn largest(base: u32, thread: u32) -> f32 {
    var best = LOWEST;
    var id = NONE;
    for (var i = thread; i < params.vocab; i += WORKGROUP) {
        let l = logits[base + i];
        if !finite(l) {
            id = NOT_FINITE;
            break;
        }
        if id == NONE || l > best {
            best = l;
            id = i;
        }
    }
    best_logits[thread] = best;
    best_ids[thread] = id;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            let other = best_logits[thread + half];
            let other_id = best_ids[thread + half];
            if id != NOT_FINITE && (other_id == NOT_FINITE || other > best || (other == best && other_id < id)) {
                best = other;
                id = other_id;
                best_logits[thread] = best;
                best_ids[thread] = id;
            }
        }
    }
    workgroupBarrier();
    return best_logits[0];
}

// Σ exp(l − best) over the logits from limit on.
fn mass_from(base: u32, best: f32, limit: f32, thread: u32) -> f32 {
    var mass = 0.0;
    for (var i = thread; i < params.vocab; i += WORKGROUP) {
        let l = logits[base + i];
        if l >= limit {
            mass += exp(l - best);
        }
    }
    return workgroup_sum(mass, thread);
}

// The highest key for which the logits of this key and above, and of limit and above, still number goal, or weigh it.
fn highest_key(base: u32, best: f32, limit: f32, weigh: bool, goal: f32, thread: u32) -> u32 {
    var key = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        let tried = key | bit;
        var sum = 0.0;
        for (var i = thread; i < params.vocab; i += WORKGROUP) {
            let l = logits[base + i];
            if l >= limit && logit_key(l) >= tried {
                if weigh {
                    sum += exp(l - best);
                } else {
                    sum += 1.0;
                }
            }
        }
        if workgroup_sum(sum, thread) >= goal {
            key = tried;
        }
    }
    return key;
}

// Numbers in the order of the logits, whose bits are not, below zero.
fn logit_key(l: f32) -> u32 {
    let bits = bitcast<u32>(l);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn key_logit(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

fn weight(l: f32, best: f32, temperature: f32) -> f32 {
    return exp((l - best) / temperature);
}

// Chooses by the inverse of the cumulative distribution, in the order of the ids: each thread weighs a run of them,
// the first thread finds the run and walks it.
fn pick(base: u32, best: f32, limit: f32, temperature: f32, draw: f32, thread: u32) {
    let run = (params.vocab + WORKGROUP - 1u) / WORKGROUP;
    var mass = 0.0;
    var last = NONE;
    for (var i = thread * run; i < min((thread + 1u) * run, params.vocab); i++) {
        let l = logits[base + i];
        if l >= limit {
            mass += weight(l, best, temperature);
            last = i;
        }
    }
    masses[thread] = mass;
    last_ids[thread] = last;
    workgroupBarrier();
    if thread != 0u {
        return;
    }
    var total = 0.0;
    for (var t = 0u; t < WORKGROUP; t++) {
        total += masses[t];
    }
    let goal = draw * total;
    var sum = 0.0;
    var id = 0u;
    for (var t = 0u; t < WORKGROUP && sum <= goal; t++) {
        if sum + masses[t] <= goal {
            sum += masses[t];
            id = select(last_ids[t], id, last_ids[t] == NONE);
            continue;
        }
        for (var i = t * run; i < min((t + 1u) * run, params.vocab) && sum <= goal; i++) {
            let l = logits[base + i];
            if l >= limit {
                sum += weight(l, best, temperature);
                id = i;
            }
        }
    }
    chosen = id;
}
