// Package webgpu computes the operations of package op on a GPU through WebGPU: for each of a program it fills a parameter
// block and prepares the dispatches of kernels of package wgsl, some for several operations together.
//
// It is not a tensor library and holds no mathematics of its own: the formulas stand in the shaders, the devices and
// their caches in package gpu, and what an operation means in op.Backend, whose reference is package nn/cpu.
//
// # Why
//
// Why two kernels for a product with a matrix? For a few rows the weights are all that counts: a team of threads
// reads each once, 16 bytes at a time. For many rows tiles in workgroup memory and registers share what was read.
//
// Why are variants of a product measured? How many threads should share a row of weights, how many rows a thread, and
// from how many rows of activations on tiles win, depends on the shape, the GPU and its compiler. With Tune, products
// are timed on tensors of their own at the first use of a shape, those with wrong results left out, and one that is not
// clearly faster than the usual one is not taken, so that noise does not decide.
//
// Why is the wall clock good enough for that? Times are only compared with each other, over many dispatches between two waits;
// and the device's clock may be in use by a caller who is timing the very program that needed the measurement.
//
// Why may a tensor have several buffers? An adapter binds at most 128 MiB of a buffer to a kernel by default, and an
// embedding of 128k × 1024 float32 has 525 MB. Matrices over the limit are cut by rows, with a dispatch a part.
//
// Why is Sample joined with the Embed behind it? The first thing the next token needs is its row of the embedding, and one
// dispatch does both.
//
// Why does a kernel bind thirteen buffers where WebGPU promises eight? Step, convolution and rule as one dispatch make
// decoding with the delta mixer as short as with the tied one, five dispatches a layer. Adapters of desktops bind
// more than thirteen; on others it is three dispatches, or two with ten.
//
// Why are slots a list in a buffer of their own? Sequences that are read together may lie anywhere in the tensors of states.
// With the list a dispatch does all of them, whichever they are, and nothing is made when they change.
//
// Why do products of several sequences not take tiles? Tiles add up in another order, and a text must not depend on who else
// is there. Rows of one dispatch find the weights in the device's cache.
//
// Why a kernel in which one workgroup walks all layers of a token? It makes a token three dispatches instead of five a
// layer and two, and computes on one core of many. Which weighs more depends on the adapter and the size, so it is
// measured like the variants of products, up to a width of 512. On a software adapter with two busy cores it takes 0.4 to 0.7
// of the time at 64×2 and 64×8, the same at 128×4, and 1.3 of it at 256×8 (go test -bench Blocks ./nn/webgpu), which
// is what is chosen there without a measurement. The 7.3 million ternary weights of 256×8, at two to three
// instructions each, are some 80 µs for 128 lanes at 1.8 GHz, which forty dispatches cost at 2 µs each; published costs
// of a dispatch through WebGPU are 24 to 71 µs (arXiv 2604.02344). It reads a copy of the layers' weights, laid out so
// that neighbouring threads load neighbouring blocks: 1.6 MB at 256×8.
//
// Why is an input that is rounded to int8 a dispatch of its own? Every row of weights needs the largest number of a row of
// inputs before its first product; the dispatch that looks for it also computes the norm in front of it and what precedes that.
// The product then adds whole numbers, exactly, in any order.
//
// Why does attention take queries of several heads together? Those that share a head of keys read it once. The softmax is
// carried along from 64 keys to the next, so that no matrix of scores exists, whatever the context.
//
// Why does the backward of attention make the scores three times? Kept, they would take the square of the length. Once for what
// is known of each row, its largest and its sums, then for the queries, and for keys and values, so that each sum has one
// workgroup, which adds in a fixed order where its result lies.
//
// Why does float16 go through integers when it is written? WGSL lets pack2x16float round either way, and a cache is to be the
// CPU's.
//
// Why are there no atomic additions of floats? Their order would differ from run to run. Every sum over rows is taken
// in a fixed order, so that training twice gives the same weights.
package webgpu
