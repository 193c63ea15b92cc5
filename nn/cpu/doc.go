// Package cpu computes the operations of package op on the host. It is the reference that every other backend is compared with,
// and the engine for people without a GPU. It is not for the order of the operations, which package nn decides, nor for files.
//
// [Scalar] is the reference: plain loops, generic over float32 and float64, so that gradients can be checked by differences.
// [Ops] is the engine: it embeds Scalar[float32] and replaces what matters for speed by kernels of package simd on all cores, in
// files named *_fast.go. The reference is never optimised at the expense of clarity; the engine is tested against it.
//
// Operations run when they are called; nothing is recorded.
package cpu
