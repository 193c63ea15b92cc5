// Package ranks represents the processes of a training: this one alone, or those started by an MPI launcher. They agree on
// errors, take turns with files, refuse to train different things, share the cores and memory of a host, and end together.
//
// What they exchange while training belongs to package train; how they reach each other, to package mpi.
//
// # Why
//
// Why does only rank 0 report? The others fail with the same message, and a launcher would mix their lines.
//
// Why is a rank told of an error before the next exchange, and not during it? A rank that has left keeps the others waiting
// in MPI forever.
package ranks
