package simd

// adamParams are the scalars of one AdamW step as the kernels use them; the
// assembly reads them by offset.
type adamParams struct {
	gscale          float32 // on the gradient
	keep1, add1     float32 // β₁, 1−β₁
	keep2, add2     float32 // β₂, 1−β₂
	invC1, invC2    float32 // 1/c1, 1/c2
	eps, lr, shrink float32 // shrink = lr·decay
}

// AdamW does one step of AdamW with decoupled weight decay (arXiv 1711.05101) on the
// parameters w, whose gradient is gscale·g, and updates the moments m and v:
//
//	m = β₁m + (1−β₁)g      v = β₂v + (1−β₂)g²
//	w = w − lr·decay·w − lr·(m/c1)/(√(v/c2) + eps)
//
// with c1 = 1−β₁ᵗ and c2 = 1−β₂ᵗ at step t, counted from 1.
func AdamW(w, g, m, v []float32, lr, beta1, beta2, eps, decay, c1, c2, gscale float32) {
	checkSame("AdamW", len(w), len(g), len(m), len(v))
	p := adamParams{
		gscale: gscale,
		keep1:  beta1, add1: 1 - beta1,
		keep2: beta2, add2: 1 - beta2,
		invC1: 1 / c1, invC2: 1 / c2,
		eps: eps, lr: lr, shrink: lr * decay,
	}
	active.Load().adamW(w, g, m, v, &p)
}
