// Package webgpu computes the operations of package op on a GPU through WebGPU. For each operation of a program it fills in a
// parameter block and prepares dispatches of kernels of package wgsl, some of which compute several operations together.
//
// It is not a tensor library and contains no mathematics of its own: formulas are in the shaders, devices and caches in
// package gpu, and the meaning of an operation in package op, with package nn/cpu as the reference.
//
// # Why
//
// Why two kernels for a product with a matrix? With few rows of activations, reading the weights is all that counts: a team
// of threads reads each weight once, 16 bytes at a time. With many rows, tiles in workgroup memory and registers share what
// was read.
//
// Why are variants of a product measured? How many threads should share a row of weights, how many rows a thread should take,
// and how many rows of activations tiles need to win depend on the shape, the GPU and its compiler. With Tune, products are
// timed on tensors of their own when a shape is first used. Variants with wrong results are left out, and one that is not
// clearly faster than the usual choice is not taken, so that noise does not decide.
//
// Why is the wall clock good enough for that? Times are only compared with each other, over many dispatches between two
// waits, and the caller may be using the device's clock to time the very program that needed the measurement.
//
// Why may a tensor have several buffers? By default an adapter binds at most 128 MiB of a buffer to a kernel, but an
// embedding of 128k × 1024 float32 has 525 MB. Matrices over the limit are cut by rows, with a dispatch for each part.
//
// Why is Sample fused with the Embed after it? The next token needs its row of the embedding first, and one dispatch does
// both.
//
// Why does a kernel bind thirteen buffers when WebGPU guarantees eight? With step, convolution and rule in one dispatch,
// decoding with the delta mixer takes as many dispatches as with the tied one, five per layer. Desktop adapters bind more
// than thirteen; others take three dispatches, or two if they bind ten.
//
// Why are slots a list in a buffer? Sequences that are read together may be anywhere in the state tensors. With the list one
// dispatch serves all of them, and nothing has to be created when the mix changes.
//
// Why do products of several sequences not use tiles? Tiles add in another order, and a text must not depend on which other
// sequences run. The rows of one dispatch still find the weights in the device's cache.
//
// Why a kernel in which one workgroup walks all layers of a token? A token then takes three dispatches instead of five per
// layer plus two, but uses only one of many cores. Which of the two matters more depends on the adapter and the model's size,
// so it is measured like the variants of products, up to a width of 512. On a software adapter with two busy cores the walk
// takes 0.4 to 0.7 of the time at 64×2 and 64×8, the same at 128×4, and 1.3 times as long at 256×8 (go test -bench Blocks
// ./nn/webgpu), which determines the choice there without a measurement. The 7.3 million ternary weights of 256×8, at two to
// three instructions each, take about 80 µs for 128 lanes at 1.8 GHz, as long as forty dispatches of 2 µs; published costs of
// a dispatch through WebGPU are 24 to 71 µs (arXiv 2604.02344). The kernel reads a copy of the layers' weights, laid out so
// that neighbouring threads load neighbouring blocks: 1.6 MB at 256×8.
//
// Why is rounding an input to int8 a separate dispatch? Every row of weights needs the largest number of the input row before
// its first product. The dispatch that finds it also computes the norm before it and what precedes that. The product then
// adds whole numbers, exactly, in any order.
//
// Why does attention take queries of several heads together? Those that share a key head read it once. The softmax is carried
// along in steps of 64 keys, so that the matrix of scores never exists, whatever the context.
//
// Why does the backward of attention compute the scores three times? Storing them would take memory quadratic in the length.
// They are needed once for the maximum and sums of each row, once for the queries, and once for keys and values: each sum
// then belongs to one workgroup, which adds in a fixed order.
//
// Why does writing float16 go through integers? WGSL lets pack2x16float round either way, and a cache must equal the CPU's.
//
// Why are there no atomic additions of floats? Their order would differ from run to run. Every sum over rows is taken in a
// fixed order, so that training twice gives the same weights.
package webgpu
