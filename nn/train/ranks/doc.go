// Package ranks is the processes that a training runs in: this one alone, or those that a launcher of MPI started. They agree on
// errors, take turns with files, refuse to train different things, share the cores and the memory of a host, and end together.
//
// What they exchange while they train is the business of package train; how they reach each other, of package mpi.
//
// # Why
//
// Why does rank 0 alone speak? The others fail with the same words, and a launcher would mix their lines.
//
// Why is a rank told of an error before the next exchange, and not in it? A rank that has left leaves the others waiting in MPI,
// which says nothing for ever.
package ranks
