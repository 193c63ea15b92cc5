// The slot in which the states of a sequence lie: what slots, (B), says where the constant SLOTS is 1, else its own number.
// The importing file binds slots.
fn slot_of(sequence: u32) -> u32 {
    if SLOTS == 1u {
        return slots[sequence];
    }
    return sequence;
}
