// A mark relates a token of a tile to the others if a sequence holds several documents: twice the number of tokens of its document
// before it, at most TILE, plus 1 if the last token of the tile belongs to its document, too. TILE is a constant.

// The mark of all tokens where each sequence is one document.
const ONE_DOCUMENT = 33u;

// The mark of a token with so many of its document before and behind it, `left` tokens before the last of the tile.
fn mark_of(before: u32, behind: u32, left: u32) -> u32 {
    return 2u * min(before, TILE) + select(0u, 1u, behind >= left);
}

// Whether token t of a tile is of the document of the state before the tile.
fn sees(mark: u32, t: u32) -> bool {
    return mark / 2u > t;
}

// Whether it is of the document of the state after the tile.
fn stays(mark: u32) -> bool {
    return mark % 2u == 1u;
}

// Whether the token that lies `back` before it is of its document.
fn reaches(mark: u32, back: u32) -> bool {
    return mark / 2u >= back;
}
