// Package webgpu computes the operations of package nn on a GPU through WebGPU: each method checks its shapes, fills
// a parameter block and records the dispatches of kernels of package wgsl.
//
// It is not a tensor library and holds no mathematics of its own: the formulas stand in the shaders, the devices and
// their caches in package gpu, and what an operation means in nn.Ops, whose reference is package nn/cpu.
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
// Why is the wall clock good enough for that? Only one time is held against another, over many dispatches between two
// waits; and the device's clock may belong to somebody who is timing what needed the measurement.
//
// Why may a tensor have several buffers? An adapter binds at most 128 MiB of a buffer to a kernel by default, and an
// embedding of 128k × 1024 float32 has 525 MB. Matrices over the limit are cut by rows, with a dispatch a part.
//
// Why does Sample wait for the operation after it? The first thing the next token needs is its row of the embedding.
// Where that follows at once, one dispatch does both. Step waits likewise for a DeltaScan of one token.
//
// Why does a kernel bind twelve buffers where WebGPU promises eight? Step, convolution and rule as one dispatch make
// decoding with the delta mixer as short as with the tied one, five dispatches a layer. Adapters of desktops bind
// more than twelve; on others it is three dispatches.
//
// Why is there no kernel in which one workgroup walks all layers of a token? It would save the dispatches between
// layers and compute on one core of many. None was written; this is what it was judged by. On the software adapter of
// a busy machine with two cores, forty dependent dispatches that do next to nothing take 2.1 ms, and eight tied layers
// (products and memory) on one core and on two 3.5 and 2.6 ms at D = 64, 17.9 and 12.1 ms at D = 256, 63 and 54 ms at
// D = 512. One workgroup would take about what one core takes less the dispatches, 1.4, 15.8 and 61 ms: a gain at 64
// alone, where hardly a model is. On hardware nothing was measured. The 7.3 million ternary weights of 256×8, at two to
// three instructions each, are some 80 µs for 128 lanes at 1.8 GHz, which forty dispatches cost at 2 µs each: where one
// costs 10 µs, the kernel would win. It would need all layers' weights in one buffer, a second copy of them.
//
// Why are there no atomic additions of floats? Their order would differ from run to run. Every sum over rows is taken
// in a fixed order, so that training twice gives the same weights.
package webgpu
