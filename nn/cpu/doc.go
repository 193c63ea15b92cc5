// Package cpu computes the operations of package nn on the host. It is the reference that every
// other backend is held against, and the engine of people without a GPU. It is not for the order of
// the operations, which is package nn's, nor for files.
//
// [Scalar] is the reference: plain loops, generic over float32 and float64, so that gradients can
// be checked by differences. [Ops] is the engine: it embeds Scalar[float32] and replaces what
// matters for speed by kernels of package simd on all cores, in files named *_fast.go. The
// reference is never optimised past clarity; the engine is tested against it.
//
// Operations run when they are called; nothing is recorded.
package cpu
