package hf

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
	"bitgpu/nn/ternary"

	"github.com/x448/float16"
	"pgregory.net/rapid"
)

// codes draws rows × cols of −1, 0, +1.
func codes(t *rapid.T, rows, cols int) []int {
	return rapid.SliceOfN(rapid.IntRange(-1, 1), rows*cols, rows*cols).Draw(t, "codes")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// same compares a matrix with codes and, weight by weight, scales.
func same(t *rapid.T, m *trit.Matrix, q []int, scale func(r, c int) float32) {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	for r := range m.Rows {
		for c := range m.Cols {
			if got := ternary.At(m.Row(r), c); got != q[r*m.Cols+c] {
				t.Fatalf("weight (%d, %d) is %d, want %d", r, c, got, q[r*m.Cols+c])
			}
			if got := m.Scale(r, c); got != scale(r, c) && q[r*m.Cols+c] != 0 {
				t.Fatalf("scale of (%d, %d) is %v, want %v", r, c, got, scale(r, c))
			}
		}
	}
}

func bf16s(name string, shape []int, v ...float32) safetensors.Tensor {
	t := safetensors.Tensor{Name: name, DType: safetensors.BF16, Shape: shape}
	for _, x := range v {
		t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(math.Float32bits(x)>>16))
	}
	return t
}

func f16s(name string, shape []int, v []float32) safetensors.Tensor {
	t, err := safetensors.FromFloat16s(name, shape, v)
	if err != nil {
		panic(err)
	}
	return t
}

// pack is BitNet's packing, as the format's description has it.
func pack(name string, q []int, rows, cols int) safetensors.Tensor {
	data := make([]byte, rows/4*cols)
	for r := range rows {
		for c := range cols {
			data[r%(rows/4)*cols+c] |= byte(q[r*cols+c]+1) << (2 * (r / (rows / 4)))
		}
	}
	return safetensors.FromUint8s(name, []int{rows / 4, cols}, data)
}

func TestPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := 4*rapid.IntRange(1, 5).Draw(t, "quarter"), rapid.IntRange(1, 9).Draw(t, "cols")
		q := codes(t, rows, cols)
		stored := math.Float32frombits(uint32(rapid.Uint16Range(0x3000, 0x4800).Draw(t, "scale")) << 16)
		for _, divides := range []bool{false, true} {
			m, err := Packed(pack("w", q, rows, cols), bf16s("s", []int{1}, stored), divides)
			if err != nil {
				t.Fatal(err)
			}
			want := stored
			if divides {
				want = float32(1 / float64(stored))
			}
			same(t, m, q, func(int, int) float32 { return want })
			if m.Granularity() != trit.PerMatrix {
				t.Fatal(m.Granularity())
			}
		}
	})
	w := safetensors.FromUint8s("w", []int{2, 3}, []byte{0, 1, 2, 0, 0x30, 0})
	one := bf16s("w_scale", []int{1}, 1)
	_, err := Packed(w, one, false)
	wantError(t, err, "w: row 5, weight 1 has code 3")
	for _, bad := range []safetensors.Tensor{bf16s("s", []int{1}, 0), bf16s("s", []int{1}, float32(math.NaN())), bf16s("s", []int{1}, float32(math.Inf(1))), bf16s("s", []int{2}, 1, 1), bf16s("s", []int{1}, -1)} {
		_, err = Packed(w, bad, false)
		wantError(t, err, "want one positive number")
	}
	_, err = Packed(w, safetensors.FromUint8s("s", []int{1}, []byte{1}), false)
	wantError(t, err, "scale: s: got type U8, want F32, F16 or BF16")
	_, err = Packed(one, one, false)
	wantError(t, err, "type BF16 and shape (1), want U8 (out/4, in)")
}

func TestMLX(t *testing.T) {
	const group = 32
	shape := func(cols int) []int { return []int{2, cols / group} }
	rapid.Check(t, func(t *rapid.T) {
		cols := group * rapid.IntRange(1, 3).Draw(t, "groups")
		q := codes(t, 2, cols)
		n := 2 * cols / group
		scales := rapid.SliceOfN(rapid.SampledFrom([]float32{0, 0.5, 0.25, 3, -1}), n, n).Draw(t, "scales")
		minus := make([]float32, n)
		for i, s := range scales {
			minus[i] = -s
		}
		w := safetensors.Tensor{Name: "w", DType: safetensors.U32, Shape: []int{2, cols / 16}}
		for i := 0; i < len(q); i += 16 {
			word := uint32(0)
			for j, x := range q[i : i+16] {
				word |= uint32(x+1) << (2 * j)
			}
			w.Data = binary.LittleEndian.AppendUint32(w.Data, word)
		}
		m, err := MLX(w, f16s("s", shape(cols), scales), f16s("b", shape(cols), minus), group)
		if err != nil {
			t.Fatal(err)
		}
		same(t, m, q, func(r, c int) float32 { return scales[r*cols/group+c/group] })
	})
	w := safetensors.Tensor{Name: "w", DType: safetensors.U32, Shape: []int{2, 4}, Data: make([]byte, 32)}
	half, minus := f16s("s", shape(64), []float32{1, 1, 1, 0.5}), f16s("b", shape(64), []float32{-1, -1, -1, -1})
	_, err := MLX(w, half, minus, group)
	wantError(t, err, "row 1, group 1 has the scale 0.5 and the bias -1, want the bias −scale of ternary weights")
	_, err = MLX(w, half, half, 64)
	wantError(t, err, "4 words and 2 groups of 64 a row are not two bits a weight")
	_, err = MLX(w, half, f16s("b", []int{4}, []float32{0, 0, 0, 0}), group)
	wantError(t, err, "want scales and biases (out, in/group)")
	_, err = MLX(half, half, half, group)
	wantError(t, err, "type F16 and shape (2, 2), want U32 (out, in/16)")
	w.Data[17] = 0x0C
	_, err = MLX(w, minus, f16s("b", shape(64), []float32{1, 1, 1, 1}), group)
	wantError(t, err, "row 1, weight 5 has code 3")
}

func TestQuantize(t *testing.T) {
	// The mean is 0.5, so the scale 2 makes ties of ±0.25.
	w := safetensors.FromFloat32s("w", []int{2, 3}, []float32{0.25, -0.25, 1, -1, 0.26, -0.24})
	for rounding, want := range map[Rounding][]int{HalfEven: {0, 0, 1, -1, 1, 0}, HalfUp: {1, 0, 1, -1, 1, 0}} {
		m, err := Quantize(w, rounding)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range want {
			if got := ternary.At(m.Row(i/3), i%3); got != q {
				t.Errorf("rounding %d: weight %d is %d, want %d", rounding, i, got, q)
			}
		}
		if m.Scales[0] != 0.5 || m.Granularity() != trit.PerMatrix {
			t.Errorf("scale %v", m.Scales)
		}
	}
	below := math.Nextafter32(0.5, 0) // the sum with 0.5 is rounded to 1
	if HalfUp.round(below) != 1 || HalfEven.round(below) != 0 || HalfUp.round(-below) != 0 || HalfEven.round(math.Nextafter32(-0.5, -1)) != -1 {
		t.Error("rounding just beside a half")
	}
	m, err := Quantize(safetensors.FromFloat32s("w", []int{1, 2}, []float32{0, 1e-34}), HalfEven)
	if s := float32(1) / float32(1e-5); err != nil || m.Scales[0] != 1/s || ternary.At(m.Row(0), 1) != 0 {
		t.Errorf("%+v (%v)", m, err)
	}
	_, err = Quantize(bf16s("w", []int{1, 2}, 1, float32(math.Inf(-1))), HalfEven)
	wantError(t, err, "row 0, input 1 is -Inf, want a finite number")
	_, err = Quantize(safetensors.FromInt32s("w", []int{1, 2}, []int32{1, 2}), HalfEven)
	wantError(t, err, "w: got type I32, want F32, F16 or BF16")
	_, err = Quantize(safetensors.FromFloat32s("w", []int{2}, []float32{1, 2}), HalfEven)
	wantError(t, err, "shape (2), want a matrix")
}

// Floats that were made of codes and scales of any granularity give them back.
func TestUnpacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.SampledFrom([]int{1, 2, 6}).Draw(t, "rows"), 128*rapid.SampledFrom([]int{1, 2, 6}).Draw(t, "groups")
		block := rapid.SampledFrom([][2]int{{rows, cols}, {(rows + 1) / 2, cols}, {rows, (cols/128 + 1) / 2 * 128}, {1, 128}}).Draw(t, "block")
		if rows%block[0] != 0 || cols%block[1] != 0 {
			block = [2]int{1, 128}
		}
		n := rows / block[0] * (cols / block[1])
		scales := rapid.SliceOfN(rapid.SampledFrom([]float32{0.5, 0.7, 3}), n, n).Draw(t, "scales")
		q := codes(t, rows, cols)
		w := make([]float32, rows*cols)
		for i := range w {
			s := scales[i/cols/block[0]*(cols/block[1])+i%cols/block[1]]
			w[i] = float32(q[i]) * float16.Fromfloat32(s).Float32()
		}
		m, err := Unpacked(f16s("w", []int{rows, cols}, w))
		if err != nil {
			t.Fatal(err)
		}
		same(t, m, q, func(r, c int) float32 { return float32(math.Abs(float64(w[r*cols+c]))) })
		if len(m.Scales) > n {
			t.Fatalf("%d scales, want at most %d", len(m.Scales), n)
		}
		got := make([]float32, cols)
		for r := range rows {
			if m.Floats(got, r); !slices.Equal(got, w[r*cols:(r+1)*cols]) {
				t.Fatalf("row %d: %v, want %v", r, got, w[r*cols:(r+1)*cols])
			}
		}
	})
}

func TestUnpackedGranularity(t *testing.T) {
	fill := func(rows, cols int, scale func(r, c int) float32) safetensors.Tensor {
		w := make([]float32, rows*cols)
		for i := range w {
			w[i] = float32(i%3-1) * scale(i/cols, i%cols)
		}
		return safetensors.FromFloat32s("w", []int{rows, cols}, w)
	}
	for want, scale := range map[trit.Granularity]func(r, c int) float32{
		trit.PerMatrix:  func(r, c int) float32 { return 2 },
		trit.PerRows:    func(r, c int) float32 { return float32(1 + r/2) },
		trit.PerColumns: func(r, c int) float32 { return float32(1 + c/256) },
		trit.PerGroup:   func(r, c int) float32 { return float32(1 + r + 5*(c/128)) },
	} {
		m, err := Unpacked(fill(4, 512, scale))
		if err != nil {
			t.Fatal(err)
		}
		n := map[trit.Granularity]int{trit.PerMatrix: 1, trit.PerRows: 2, trit.PerColumns: 2, trit.PerGroup: 16}[want]
		if m.Granularity() != want || len(m.Scales) != n {
			t.Errorf("%v with %d scales, want %v with %d", m.Granularity(), len(m.Scales), want, n)
		}
	}
	off := fill(4, 512, func(r, c int) float32 { return 2 })
	binary.LittleEndian.PutUint32(off.Data[4*(3*512+300):], math.Float32bits(1.5))
	_, err := Unpacked(off)
	wantError(t, err, "is not ternary: row 3, input 300 is 1.5, neither 0 nor ±2, the largest of inputs 256 to 383 (off by 25 %)")
	_, err = Unpacked(fill(2, 100, func(r, c int) float32 { return float32(1 + r + c/10) }))
	wantError(t, err, "is not ternary: row ")
	_, err = Unpacked(safetensors.Tensor{Name: "w", DType: safetensors.F16, Shape: []int{1 << 30, 0}})
	wantError(t, err, "shape (1073741824, 0), want a matrix")
	_, err = Unpacked(safetensors.FromFloat32s("w", []int{1, 2}, []float32{1, float32(math.NaN())}))
	wantError(t, err, "row 0, input 1 is NaN")
}

// checkpoint writes a directory.
func checkpoint(t *testing.T, config string, tensors ...safetensors.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *Checkpoint {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The config says what a tensor of which type means.
func TestTernary(t *testing.T) {
	q := []int{1, -1, 0, 1}
	packed := []safetensors.Tensor{pack("q.weight", q, 4, 1), bf16s("q.weight_scale", []int{1}, 4)}
	master := bf16s("q.weight", []int{4, 1}, 3, -3, 0, 2)
	mlx := []safetensors.Tensor{
		{Name: "q.weight", DType: safetensors.U32, Shape: []int{1, 2}, Data: bytes.Repeat([]byte{0b10_01_00_10}, 8)},
		f16s("q.scales", []int{1, 1}, []float32{0.5}), f16s("q.biases", []int{1, 1}, []float32{-0.5}),
	}
	for name, c := range map[string]struct {
		config  string
		tensors []safetensors.Tensor
		scale   float32
	}{
		"bitlinear":     {`{"quantization_config":{"quant_method":"bitnet","modules_to_not_convert":null}}`, packed, 0.25},
		"by name":       {`{"quantization_config":{"quant_method":"bitnet","linear_class":"bitlinear","quantization_mode":"offline"}}`, packed, 0.25},
		"autobitlinear": {`{"quantization_config":{"quant_method":"bitnet","linear_class":"autobitlinear"}}`, packed, 4},
		"online":        {`{"quantization_config":{"quant_method":"bitnet","linear_class":"autobitlinear","quantization_mode":"online"}}`, []safetensors.Tensor{master}, 2},
		"mlx":           {`{"quantization":{"bits":2,"group_size":32},"quantization_config":{"bits":2,"group_size":32}}`, mlx, 0.5},
		"unpacked":      {`{}`, []safetensors.Tensor{bf16s("q.weight", []int{2, 16}, append(make([]float32, 31), 7)...)}, 7},
	} {
		m, err := open(t, checkpoint(t, c.config, c.tensors...)).Ternary("q.weight")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if m.Scales[0] != c.scale || m.Name != "q.weight" {
			t.Errorf("%s: %s has scale %v, want %v", name, m.Name, m.Scales[0], c.scale)
		}
	}
	_, err := open(t, checkpoint(t, `{}`, master)).Ternary("q.weight")
	wantError(t, err, "q.weight: is not ternary: fewer than 32 weights share a magnitude")
	m, err := open(t, checkpoint(t, `{}`, bf16s("q.weight", []int{1, 4}, 3, -3, 0, 2))).Quantize("q.weight", HalfUp)
	if err != nil || m.Scales[0] != 2 || m.Codes[0] != 0b10_01_00_10 {
		t.Errorf("%+v (%v)", m, err)
	}
}

func TestTernaryRefusals(t *testing.T) {
	auto := `{"quantization_config":{"quant_method":"bitnet","linear_class":"autobitlinear","quantization_mode":"online","modules_to_not_convert":["layers.1"]}}`
	w := bf16s("q.weight", []int{1, 4}, 3, -3, 0, 2)
	named := func(name string) safetensors.Tensor { v := w; v.Name = name; return v }
	u32 := safetensors.Tensor{Name: "q.weight", DType: safetensors.U32, Shape: []int{1, 2}, Data: make([]byte, 8)}
	for want, c := range map[string]struct {
		config  string
		tensors []safetensors.Tensor
	}{
		"q.weight: is not there":                     {`{}`, nil},
		"q.weight: has the shape (4), want a matrix": {`{}`, []safetensors.Tensor{bf16s("q.weight", []int{4}, 1, 2, 3, 4)}},
		"q.weight: is packed, but config.json has no quantization_config with quant_method bitnet":    {`{}`, []safetensors.Tensor{pack("q.weight", []int{1, 1, 1, 1}, 4, 1)}},
		"q.weight: q.weight_scale is not there":                                                       {`{"quantization_config":{"quant_method":"bitnet"}}`, []safetensors.Tensor{pack("q.weight", []int{1, 1, 1, 1}, 4, 1)}},
		"q.weight: is BF16, want packed weights of type U8: the model keeps this one in floats":       {`{"quantization_config":{"quant_method":"bitnet"}}`, []safetensors.Tensor{w}},
		"model.embed_tokens.weight: is not among the layers that the model quantizes":                 {auto, []safetensors.Tensor{named("model.embed_tokens.weight")}},
		"lm_head.weight: is not among the layers":                                                     {auto, []safetensors.Tensor{named("lm_head.weight")}},
		"model.layers.1.q.weight: is not among the layers":                                            {auto, []safetensors.Tensor{named("model.layers.1.q.weight")}},
		"q.weight: is packed by MLX, but config.json has no quantization with bits and group_size":    {`{}`, []safetensors.Tensor{u32}},
		"q.weight: is packed by MLX in the mode \"mxfp4\", want affine":                               {`{"quantization":{"bits":2,"group_size":32,"mode":"mxfp4"}}`, []safetensors.Tensor{u32}},
		"q.weight: q.scales is not there":                                                             {`{"quantization":{"bits":2,"group_size":32}}`, []safetensors.Tensor{u32}},
		"q.weight: q.biases is not there":                                                             {`{"quantization":{"bits":2,"group_size":32}}`, []safetensors.Tensor{u32, f16s("q.scales", []int{1, 1}, []float32{1})}},
		"q.weight: is not ternary: row 0, input 3 is 2, neither 0 nor ±3, the largest of inputs 0 to": {`{}`, []safetensors.Tensor{w}},
	} {
		name := strings.Split(want, ":")[0]
		dir := checkpoint(t, c.config, c.tensors...)
		_, err := open(t, dir).Ternary(name)
		wantError(t, err, "hf: "+filepath.Join(dir, "model.safetensors")+": "+want)
	}
	_, err := open(t, checkpoint(t, `{}`)).Quantize("q.weight", HalfEven)
	wantError(t, err, "q.weight: is not there")
}

func TestOpenRefusals(t *testing.T) {
	for want, config := range map[string]string{
		"config.json: unexpected end of JSON input":                                           `{"a":`,
		`config.json: quantization_config: quant_method "gptq" is not supported, want bitnet`: `{"quantization_config":{"quant_method":"gptq"}}`,
		`linear_class "biglinear" is not supported, want bitlinear or autobitlinear`:          `{"quantization_config":{"quant_method":"bitnet","linear_class":"biglinear"}}`,
		`quantization_mode "sometimes" is not supported, want offline or online`:              `{"quantization_config":{"quant_method":"bitnet","quantization_mode":"sometimes"}}`,
	} {
		_, err := Open(checkpoint(t, config))
		wantError(t, err, want)
	}
	dir := checkpoint(t, `{}`)
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	wantError(t, err, "neither model.safetensors nor model.safetensors.index.json is here")
	_, err = Open(filepath.Join(dir, "config.json"))
	wantError(t, err, "not a directory")
	if err := os.WriteFile(filepath.Join(dir, safetensors.IndexName), []byte(`{"weight_map":{"a":"../x"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir)
	wantError(t, err, "want the name of a file in the index's own directory")
	_, err = Open(t.TempDir())
	wantError(t, err, "config.json: no such file")
}
