// A mark is what a token of a tile has to do with the others where a sequence holds several documents: twice how many of its
// document come before it, TILE at most, and 1 more where the last of the tile is of its document, too. TILE is a constant.

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
