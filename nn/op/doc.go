// Package op is the language between models and devices: operations as values, programs made of them, tensors in host memory,
// and [Executor], the interface that a backend offers. It does no computing itself and knows no model: package layer makes programs,
// and packages cpu and webgpu prepare and run them.
//
// A program is prepared once, for given tensors, and run often. What changes from run to run is in tensors (tokens, the
// numbers of AdamW, the rules of sampling), never in an operation's fields.
//
// Shapes are written as in package nn: row-major, last axis fastest, n rows of B sequences. A d before a name marks its
// gradient.
//
// The states of several sequences are kept in slots: S places along the first axis of a state tensor. An operation with
// Slots, U32 (B), takes B sequences of n/B rows each; sequence b uses the states of slot Slots[b], and no slot occurs twice.
// Without Slots it takes all S sequences, and sequence b uses slot b. As the list is a tensor, one program serves any mix of
// sequences.
//
// A sequence may hold several documents, one after the other. Documents, U32 (n, 2), gives for each row how many rows of its
// document come before it and how many after. An operation with Documents treats each document as a sequence of its own that
// starts with an empty state at position 0, whatever the states hold. Position is then 0, there are no Slots, and the states
// are undefined afterwards. Without Documents each sequence is one document.
//
// Why values, and not methods of a backend? A list of values can be checked, counted, rewritten and compared before
// anything runs: a backend fuses what it can (a norm into the product behind it, a whole token into one dispatch) and the
// unfused list stays the specification of the fused one.
package op
