// Package device trains and measures models on the CPU or a GPU, hiding its tensor type: it opens the device, checks whether
// and how a training fits its memory, times steps, and chooses what a new training leaves open.
//
// The training step and checkpoints belong to package train. For inference, programs use package bitgpu.
//
// # Why
//
// Why functions in a struct, and not an interface over backends? Everything is made on one backend when the device is opened,
// and only there its type is known; methods would have to be written twice.
package device
