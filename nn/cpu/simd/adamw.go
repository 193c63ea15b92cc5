package simd

// AdamW does one step of AdamW with decoupled weight decay (arXiv 1711.05101) on the
// parameters w, whose gradient is gscale·g, and updates the moments m and v:
//
//	m = β₁m + (1−β₁)g      v = β₂v + (1−β₂)g²
//	w = w − lr·decay·w − lr·(m/c1)/(√(v/c2) + eps)
//
// with c1 = 1−β₁ᵗ and c2 = 1−β₂ᵗ at step t, counted from 1.
func AdamW(w, g, m, v []float32, lr, beta1, beta2, eps, decay, c1, c2, gscale float32) {
	checkSame("AdamW", len(w), len(g), len(m), len(v))
	active.Load().adamW(w, g, m, v, gscale, beta1, 1-beta1, beta2, 1-beta2, 1/c2, eps, lr/c1, lr*decay)
}
