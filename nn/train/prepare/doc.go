// Package prepare brings together what a training begins with, or goes on from: its directory, its tokens, and a trainer in the
// state in which the last checkpoint left it.
//
// It is not for the steps of a training, which are package train's, nor for choosing what computes and whether it fits into
// memory, which is package device's.
//
// # Why
//
// Why are tokens checked against a tokenizer, and not just by the size of a vocabulary? Two tokenizers of one size give the same
// ids to other words. A training on such tokens runs, and its model writes nonsense.
//
// Why does a training that goes on check the checksum of its tokens? A checkpoint says at which position of its data it was
// written. In other data that position means nothing, and "the same result as without the interruption" would be false.
package prepare
