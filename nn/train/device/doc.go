// Package device trains and measures models on the CPU or a GPU, whose tensor type it hides: it opens what computes, says whether
// a training fits its memory and how, times steps, and chooses what a new training leaves open.
//
// It is not for the step of a training and its checkpoints, which are package train's, nor for inference, which package bitgpu
// offers to programs.
//
// # Why
//
// Why functions in a struct, and not an interface over backends? Everything is made on one backend when the device is opened, and
// its type is known there only; a method for each would be written twice.
package device
