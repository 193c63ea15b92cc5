// Package nn is the model: its configuration, the layers that the configuration calls for, weights, states, and the session
// that reads and writes tokens, all written once over a backend's tensor type T. It is not a tensor library, opens no files
// and knows no device: package op has the operations and the interface of a backend, package layer the layers, packages cpu
// and webgpu run programs, and package storage fills the weights.
//
// # Shapes
//
// One legend for the whole project, used in comments such as (T, D): row-major, last axis fastest.
//
//	B batch    T time        n = B·T rows
//	D width    V vocabulary  N layers
//	d width of the TTT memory    h its heads    c = d/h width of a head
//	H = 4D width of the MLP      C chunk of the scan
//
// Gradients are d + the name. A gradient of a parameter is added to what is there; a gradient of
// an activation is written, except that of the residual stream, which is added.
//
// # The model
//
//	embedding → N × ( h += Up(TTT(RMSNorm₁ h));  h += Down(SwiGLU(RMSNorm₂ h)) ) → RMSNorm → head
//
// TTT (test-time training, arXiv 2407.04620) keeps a matrix W per head and learns it while reading. There are two mixers.
// "tied" uses one projection k as key, value and query:
//
//	z_t = W k_t;   W ← W − η (z_t − k_t) k_tᵀ
//
// "delta" (the delta rule, arXiv 2406.06484) has separate keys, values and queries, each behind a short convolution, a
// learned step size β and a normalised output:
//
//	W ← W + β_t (v_t − W k_t) k_tᵀ;   o_t = RMSNorm(W q_t)
//
// Why is there no autograd? The model is small and fixed. Each backward stands under its forward
// and reads as its mirror (package layer); what it needs is a named field of the layer.
//
// Why generics over T, and not an interface of tensors? A backend's tensor never meets another
// backend's: the type says so, and a layer cannot forget it.
package nn
