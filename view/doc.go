// Package view draws what a model's memory does while the model reads: the matrix of each layer as a heat map, the inner
// loss of each layer over the tokens, and the text. The picture is a buffer of a GPU, for a window's surface or a PNG.
//
// It is not for opening windows, which is the program's business, nor for charts of finished runs.
//
// # Why
//
// Why do kernels find the ranges of the axes? Finding the largest number of a memory means reading all of it. A kernel chooses the
// step of a ladder 1, 2, 3, 5, 10, …, and the kernel that writes text takes the numbers of the axis from a table with a row for each
// step, so no memory passes through the host, and losses only where a sentence compares two readings.
//
// Why is the memory copied before each token? The loss is that of the prediction before the update, and the delta rule
// leaves no such prediction behind. The copy stays on the device.
//
// Why does each layer have a scale of its own? The largest element of one layer's memory is often ten times that of another, which
// would be a white square on a common scale. The small maps state their scales, so layers can still be compared.
package view
