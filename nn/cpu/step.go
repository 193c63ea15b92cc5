package cpu

func (s *Scalar[F]) Step(b, x, w, bias *Tensor[F]) {
	checkStep(b, x, w, bias)
	n, h := rowsOf(b)
	D := w.Shape[1]
	for i := range n {
		for j := range h {
			b.Data[i*h+j] = sigmoid(dot(x.Data[i*D:(i+1)*D], w.Data[j*D:(j+1)*D]) + bias.Data[j])
		}
	}
}

func (s *Scalar[F]) StepBackward(dx, dw, dbias, db, b, x, w *Tensor[F]) {
	checkStepBackward(dx, dw, dbias, db, b, x, w)
	n, h := rowsOf(b)
	D := w.Shape[1]
	for i := range n {
		for j := range h {
			y := b.Data[i*h+j]
			d := db.Data[i*h+j] * y * (1 - y)
			axpy(dx.Data[i*D:(i+1)*D], d, w.Data[j*D:(j+1)*D])
			axpy(dw.Data[j*D:(j+1)*D], d, x.Data[i*D:(i+1)*D])
			dbias.Data[j] += d
		}
	}
}
