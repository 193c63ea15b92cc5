// Package optest is the specification of the operations: the cases and properties that every
// backend must meet. It is not a test itself; a backend's tests call it.
//
// One list, [Cases], has three uses: [Run] compares a backend's values with the reference in nn/cpu,
// [Gradients] compares the reference's backward with central differences in float64, and [Benchmark]
// times a backend. [Properties] checks what whole models must do; [Inference] and [Training] compare
// them with the results of an independent program.
//
// # Why
//
// Why is a case a function over T? So that the same lines run on every backend, with the same
// numbers, which are made from the case's name.
//
// Why does a case run the operations itself, and not only list arguments? Operations take optional
// tensors, write into their inputs and share state. What a case means is clearest in the operations
// that a model would run.
package optest
