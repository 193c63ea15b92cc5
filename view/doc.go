// Package view draws what a model's memory does while the model reads: the matrix of each layer as a heat map, the inner
// loss of each layer over the tokens, and the text. The picture is a buffer of a GPU, for a window's surface or a PNG.
//
// It is not for opening windows, which is the program's business, nor for charts of finished runs.
//
// # Why
//
// Why do kernels find the ranges of the axes? To know the largest number of a memory one must have read all of it. So that
// nothing of the memory or the losses goes through the host, a kernel chooses the step of a ladder 1, 2, 3, 5, 10, …, and the
// kernel that writes text takes the axis' numbers from a table that has a row for each step.
//
// Why is the memory copied before each token? The loss is that of the prediction before the update, and the delta rule
// leaves no such prediction behind. The copy stays on the device.
//
// Why has each layer a scale of its own? The largest element of one layer's memory is often ten times another's, which on
// a common scale is a white square. The small maps say their scales so that layers can be compared all the same.
package view
