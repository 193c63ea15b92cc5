// The slot that holds the states of a sequence: the entry of slots, (B), if the constant SLOTS is 1, otherwise the sequence's number.
// The importing file binds slots.
fn slot_of(sequence: u32) -> u32 {
    if SLOTS == 1u {
        return slots[sequence];
    }
    return sequence;
}
