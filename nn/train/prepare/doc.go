// Package prepare assembles what a training starts or continues from: its directory, its tokens, and a trainer in the state
// of the last checkpoint.
//
// Training steps belong to package train. Choosing a device and checking its memory belong to package device.
//
// # Why
//
// Why are tokens checked against a tokenizer, and not just by the size of a vocabulary? Two tokenizers of the same size give
// the same ids to different words. A training on such tokens runs, and its model writes nonsense.
//
// Why does a training that continues verify the checksum of its tokens? A checkpoint stores a position in its data. In other
// data that position means nothing, and the result would not be the same as without the interruption.
package prepare
