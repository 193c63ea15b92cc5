// Several documents in a sequence: with the constant PACKED = 1, documents (n, 2) of package op says for each row how many rows of its
// document precede it, and how many follow. The importing file has documents_at(at).

// How many of its document come before token t of a sequence, which is a row of all.
fn before_of(row: u32, t: u32) -> u32 {
    if PACKED == 1u {
        return documents_at(2u * row);
    }
    return t;
}

// How many of its document come behind token t of a sequence of `time` tokens.
fn behind_of(row: u32, t: u32, time: u32) -> u32 {
    if PACKED == 1u {
        return documents_at(2u * row + 1u);
    }
    return time - 1u - t;
}
