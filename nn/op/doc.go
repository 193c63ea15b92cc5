// Package op is the language between models and devices: operations as values, programs of them, tensors in host memory,
// and what a [Backend] must offer. It computes nothing that a backend should, and knows no model: package layer makes
// programs, packages cpu and webgpu prepare and run them.
//
// A program is prepared once, for given tensors, and run often. What changes from run to run is in tensors (tokens, the
// numbers of AdamW, the rules of sampling), never in an operation's fields.
//
// Shapes are written as in package nn: row-major, last axis fastest, n rows of B sequences. d and a name is that name's
// gradient.
//
// The states of several sequences are kept in slots, S places along the first axis of a tensor of states. An operation
// with Slots, U32 (B), takes B sequences of n/B rows each, sequence b with the states of slot Slots[b], no two of one slot;
// without Slots it takes all, sequence b with slot b. So one program serves any mix of sequences: the list is a tensor.
//
// A sequence may hold several documents, one behind the other. Documents, U32 (n, 2), says of each row how many rows of its
// document come before it, and how many behind it. An operation that has Documents takes each document as a sequence by itself,
// from an empty state and position 0, whatever the states hold; Position is 0, there are no Slots, and what is left in states
// means nothing. Without Documents each sequence is one.
//
// Why values, and not methods of a backend? A list of values can be checked, counted, rewritten and compared before
// anything runs: a backend fuses what it can (a norm into the product behind it, a whole token into one dispatch) and the
// unfused list stays the specification of the fused one.
package op
