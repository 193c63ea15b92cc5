// Package optest is the specification of the operations: the cases and properties that every
// backend must meet. It is not a test itself; a backend's tests call it.
//
// One table, [Cases], serves three uses: [Run] holds a backend's values against the reference in
// nn/cpu, [Gradients] holds the reference's backward against central differences in float64, and
// [Benchmark] times a backend. [Properties] are what whole models must do, [Inference] and
// [Training] hold them against the vectors of an independent program.
//
// # Why
//
// Why is a case a function over T? The same lines then run on every backend, and their numbers,
// made from the case's name, are the same there.
//
// Why does a case call the operations itself, and not only list arguments? Operations take
// optional tensors, write into their inputs and share state: what a case means is clearest in the
// calls that the model would make.
package optest
