package nn_test

import (
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// Where the norms before them have gains of 1, the gains of norms in front of matrices are the same as columns of the matrices that
// are multiplied by them: a model without these norms gives the same logits.
func TestLinearNormsScaleColumns(t *testing.T) {
	d := *decoders()["llama"]
	d.SubNorms, d.Eps, d.LinearNormEps = true, 1e-9, 1e-9
	w := randomDecoder(&d, 3)
	gains := map[string][]float32{} // by the name of the matrix
	matrices := map[string][]float32{}
	nn.Walk(nn.OfDecoder(&d), w, func(p nn.Param, t *op.HostTensor) {
		name := p.Names[0]
		matrix, isNorm := strings.CutSuffix(name, "rms_norm.weight")
		switch {
		case isNorm:
			gains[matrix+"weight"] = t.F32
		case strings.Contains(name, "norm") && name != "norm_f.weight":
			for i := range t.F32 {
				t.F32[i] = 1
			}
		case strings.Contains(name, "_proj"):
			K := p.Shape[1]
			values := make([]float32, op.Count(p.Shape))
			for i := range values {
				values[i] = float32((i*7919)%13-6) / 40
			}
			*t = op.HostTensor{Shape: p.Shape, F32: values}
			scaled := make([]float32, len(values))
			for i, x := range values {
				scaled[i] = x * gains[name][i%K]
			}
			matrices[name] = scaled
		}
	})

	plain := d
	plain.LinearNormEps = 0
	pw := randomDecoder(&plain, 3)
	at := map[string]op.HostTensor{}
	nn.Walk(nn.OfDecoder(&d), w, func(p nn.Param, t *op.HostTensor) { at[p.Names[0]] = *t })
	nn.Walk(nn.OfDecoder(&plain), pw, func(p nn.Param, t *op.HostTensor) {
		if _, ok := matrices[p.Names[0]]; !ok {
			*t = at[p.Names[0]]
			return
		}
		*t = op.HostTensor{Shape: p.Shape}
		for _, name := range p.Names {
			t.F32 = append(t.F32, matrices[name]...)
		}
	})
	ids := randomTokens(20, &d, 4)
	want := readLogits(t, startDecoder(t, cpu.NewScalar[float64](), &d, w, 1), ids, 20)
	got := readLogits(t, startDecoder(t, cpu.NewScalar[float64](), &plain, pw, 1), ids, 20)
	if off := distance(got, want); !(off < 1e-6) {
		t.Errorf("the logits are off by %g of the largest, want 1e-6", off)
	}
}
