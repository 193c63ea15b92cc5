// Package optest is the specification of the operations: the cases and properties that every
// backend must meet. It is not a test itself; a backend's tests call it.
//
// One table serves three uses: values against the reference in nn/cpu, gradients by central
// differences in float64, and benchmarks.
package optest
