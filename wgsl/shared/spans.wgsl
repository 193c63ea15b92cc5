// How a scan goes through its sequences. A sequence is `length` of the `time` tokens of a batch row; the last one may be shorter. It is
// divided into spans of `span` tokens, each of which begins with one state, and spans into tiles of up to TILE tokens. The state at
// every `keep`-th token of a batch row can be kept. The importing file's params have time, length, span and keep; TILE is a constant.

struct Sequence {
    row: u32,    // of the first token in (n, …)
    count: u32,  // tokens
    kept: u32,   // number of the first state kept of it, of the states of the whole batch
}

fn sequence(q: u32) -> Sequence {
    let each = (params.time + params.length - 1u) / params.length;
    let first = q % each * params.length;
    let b = q / each;
    return Sequence(b * params.time + first, min(params.length, params.time - first),
        b * ((params.time + params.keep - 1u) / params.keep) + first / params.keep);
}

struct Tile {
    first: u32,  // its first token in the sequence
    count: u32,  // tokens, 0 past the end
}

// Tile number `number` of a sequence of `count` tokens.
fn tile_of(number: u32, count: u32) -> Tile {
    let each = (params.span + TILE - 1u) / TILE;
    let start = number / each * params.span;
    let first = start + number % each * TILE;
    let end = min(start + params.span, count);
    return Tile(first, min(TILE, end - min(first, end)));
}
