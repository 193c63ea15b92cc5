package webgpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/quants"
	"bitgpu/wgsl"
)

// TestWorkgroupSizes checks every operation at the sizes that kernels may be tuned to, each with a quarter of the cases.
// TestOperations checks all of them at the usual size.
func TestWorkgroupSizes(t *testing.T) {
	for i, size := range []uint32{32, 256} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			o := New(gputest.Device(t))
			defer o.Close()
			o.workgroup = size
			optest.RunWhere(t, o, func(_, _ string, place int) bool { return inShare(place, 2*i, 4) })
		})
	}
}

// split runs what reads or writes matrices on a backend whose bindings are so small that every matrix has several buffers, and
// returns all results.
func split(t *testing.T, limit int) map[string][]float32 {
	o := New(gputest.Device(t))
	defer o.Close()
	if limit > 0 {
		o.limit = limit
	}
	const n, V, D, H = 2, 150, 36, 60
	r := rand.New(rand.NewPCG(1, 2))
	floats := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	normal := func(shape ...int) *Tensor {
		return o.Load(op.HostTensor{Format: op.F32, Shape: shape, F32: floats(op.Count(shape))})
	}
	all := map[string][]float32{}
	read := func(name string, x *Tensor) {
		v := make([]float32, op.Count(x.shape))
		if err := o.Download(x, 0, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = v
	}
	tokens := o.New(op.U32, n)
	o.WriteTokens(tokens, 0, []uint32{V - 1, 3})
	h, x, gain, logits := normal(n, D), normal(n, D), normal(D), normal(n, V)

	half, bytes := make([]uint16, V*D), make([]int8, V*D)
	for i := range half {
		half[i], bytes[i] = uint16(r.IntN(0x4000)), int8(r.IntN(256)-128)
	}
	for _, table := range []op.HostTensor{
		{Format: op.F32, Shape: []int{V, D}, F32: floats(V * D)},
		{Format: op.F16, Shape: []int{V, D}, F16: half},
		{Format: op.BF16, Shape: []int{V, D}, F16: half},
		{Format: op.I8, Shape: []int{V, D}, I8: bytes, Scales: floats(V)},
	} {
		w := o.Load(table)
		if parts := len(w.parts); limit > 0 && parts < 2 {
			t.Errorf("%v: %d part, want several", table.Format, parts)
		}
		run(t, o,
			&op.Embed[*Tensor]{H: h, Table: w, Tokens: tokens},
			&op.RMSNorm[*Tensor]{X: x, H: h, Gain: gain},
			&op.Head[*Tensor]{Logits: logits, X: x, W: w},
		)
		read("embed "+table.Format.String(), h)
		read("logits "+table.Format.String(), logits)
		if table.Format != op.F32 {
			continue
		}
		dw := normal(V, D)
		run(t, o,
			&op.HeadBackward[*Tensor]{DX: x, DW: dw, DLogits: logits, X: h, W: w},
			&op.EmbedBackward[*Tensor]{DTable: dw, DH: h, Tokens: tokens},
		)
		read("head dx", x)
		read("table gradient", dw)
		m, v, sum, hyper := normal(V, D), o.New(op.F32, V, D), o.New(op.F32, 1), o.New(op.F32, op.HyperCount)
		o.Write(hyper, 0, []float32{0.1, 0.9, 0.99, 1e-8, 0.01, 0.5, 0.5, 1})
		run(t, o,
			&op.SumSquares[*Tensor]{Sum: sum, G: dw},
			&op.AdamW[*Tensor]{W: w, M: m, V: v, G: dw, SumSquares: sum, Hyper: hyper},
		)
		read("sum", sum)
		read("stepped", w)
		o.Copy(m, 5, w, 77, V*D-100)
		o.Write(m, 1000, floats(1500))
		read("copied", m)
		o.Zero(m)
		read("zeroed", m)
	}

	splitQuants(t, o, normal, read)
	master, q := normal(2*H, D), o.NewTernary(2*H, D, 2, true)
	run(t, o, &op.Quantize[*Tensor]{Q: q, W: master})
	packed, err := o.DownloadTernary(q)
	if err != nil {
		t.Fatal(err)
	}
	if parts := len(q.parts); limit > 0 && parts < 2 {
		t.Errorf("ternary: %d part, want several", parts)
	}
	for _, c := range packed.Codes {
		all["codes"] = append(all["codes"], float32(c))
	}
	all["gammas"] = packed.Scales
	again := o.Load(packed)
	a, gu, y := normal(n, H), normal(n, 2*H), normal(n, 2*H)
	norm := &op.RMSNorm[*Tensor]{X: x, H: h, Gain: gain}
	run(t, o,
		norm, &op.Linear[*Tensor]{Y: gu, X: x, W: again}, &op.SwiGLU[*Tensor]{A: a, GateUp: gu},
		norm, &op.Linear[*Tensor]{Y: y, X: x, W: q},
	)
	read("act", a)
	read("gate and up", gu)
	read("linear", y)
	run(t, o,
		&op.Linear[*Tensor]{Y: y, Addend: gu, X: x, W: q},
		&op.LinearBackward[*Tensor]{DX: x, DW: master, DY: y, X: h, W: q},
	)
	read("added", y)
	read("linear dx", x)
	read("linear dw", master)
	for name, x := range splitDecoder(t, o, normal) {
		read(name, x)
	}
	return all
}

// splitQuants runs a table of whole numbers, in which each part has its own scales.
func splitQuants(t *testing.T, o *Ops, normal func(shape ...int) *Tensor, read func(name string, x *Tensor)) {
	const n, V, D = 1, 21, 256
	m := quants.New(quants.Q6_K, V, D)
	for i := range m.Codes {
		m.Codes[i] = byte(i * i)
	}
	for i := range m.Scales {
		if m.Scales[i] = uint32(i * 0x01030507); i%5 == 0 {
			m.Scales[i] = uint32(0x2800 + i)
		}
	}
	w := o.Load(op.HostTensor{Format: op.Q6_K, Shape: []int{V, D}, Quants: m})
	if o.limit < 1<<20 && len(w.parts) < 2 {
		t.Errorf("%v: %d part, want several", w.format, len(w.parts))
	}
	tokens, h, x, dx, logits := o.New(op.U32, n), normal(n, D), normal(n, D), normal(n, D), normal(n, V)
	o.WriteTokens(tokens, 0, []uint32{V - 1})
	run(t, o,
		&op.Embed[*Tensor]{H: h, Table: w, Tokens: tokens}, &op.RMSNorm[*Tensor]{X: x, H: h, Gain: normal(D)},
		&op.Head[*Tensor]{Logits: logits, X: x, W: w}, &op.HeadBackward[*Tensor]{DX: dx, DLogits: logits, X: x, W: w},
	)
	for name, x := range map[string]*Tensor{"embed Q6_K": h, "logits Q6_K": logits, "dx Q6_K": dx} {
		read(name, x)
	}
}

// splitDecoder runs matrices with scales of groups, and caches, as public models have them, and returns the results.
func splitDecoder(t *testing.T, o *Ops, normal func(shape ...int) *Tensor) map[string]*Tensor {
	const n, V, D, group, B, L, c = 2, 150, 64, 32, 3, 8, 32
	table := op.HostTensor{
		Format: op.Ternary, Shape: []int{V, D}, Codes: make([]byte, V*D/4), Group: group, GroupScales: make([]uint16, V*D/group),
	}
	for i := range table.Codes {
		table.Codes[i] = [3]byte{0b10010010, 0b00100001, 0b01101000}[i*i%3]
	}
	for i := range table.GroupScales {
		table.GroupScales[i] = uint16(0x3800 + i)
	}
	w := o.Load(table)
	tokens, position := o.New(op.U32, n), o.New(op.U32, B)
	o.WriteTokens(tokens, 0, []uint32{V - 1, 7})
	o.WriteTokens(position, 0, []uint32{5, 3, 6})
	h, x, logits, rounded := normal(n, D), normal(n, D), normal(n, V), normal(n, V)
	qkv, keys, values, raw, out := normal(B, 3*c), normal(B, L, c), normal(B, L, c), normal(B, 2*c), normal(B, c)
	if o.limit < 1<<20 && (len(w.parts) < 2 || len(keys.parts) != B) {
		t.Errorf("got %d parts of a table and %d of a cache, want several and %d", len(w.parts), len(keys.parts), B)
	}
	run(t, o,
		&op.Embed[*Tensor]{H: h, Table: w, Tokens: tokens},
		&op.RMSNorm[*Tensor]{X: x, H: h, Gain: normal(D), Eps: 1e-3}, &op.Head[*Tensor]{Logits: logits, X: x, W: w},
		&op.Linear[*Tensor]{Y: rounded, X: x, W: w, Int8: true},
		&op.RoPE[*Tensor]{QKV: qkv, Angles: normal(L, c), Position: position, Keys: keys, Values: values, Raw: raw, Heads: 1, KVHeads: 1},
		&op.Attention[*Tensor]{O: out, QKV: qkv, Keys: keys, Values: values, Position: position, Heads: 1, KVHeads: 1},
	)
	return map[string]*Tensor{"looked up": h, "logits of groups": logits, "rounded": rounded, "keys": keys, "values": values, "raw": raw, "heard": out}
}

// TestSplit compares matrices in several parts with whole ones. Only sums over rows are added in another order.
func TestSplit(t *testing.T) {
	whole, parts := split(t, 0), split(t, 1536)
	for name, want := range whole {
		scale := 0.0
		for _, x := range want {
			scale = max(scale, math.Abs(float64(x)))
		}
		for i, x := range want {
			if d := math.Abs(float64(x) - float64(parts[name][i])); !(d <= 1e-6*scale) {
				t.Errorf("%s: element %d: %v whole, %v in parts", name, i, x, parts[name][i])
				break
			}
		}
	}
}

// TestTooLarge checks that a tensor which no kernel can bind is an error that says so.
func TestTooLarge(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	o.limit = 1024
	a, b := o.New(op.F32, 10, 64), o.New(op.F32, 10, 64)
	w := o.NewTernary(64, 64, 1, false)
	_, err := o.Prepare(op.Program[*Tensor]{&op.Linear[*Tensor]{Y: a, Addend: a, X: b, W: w}})
	if want := "webgpu: a tensor of shape [10 64] has 2560 bytes"; err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("got %v, want an error that begins %q", err, want)
	}
}

// TestSlotsOrStarts checks that tensors which no kernel binds together are an error that says so.
func TestSlotsOrStarts(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	const T, K, V, k, v, taps, chunk = 4, 1, 1, 4, 4, 2, 2
	channels := 2*K*k + V*v
	f := func(shape ...int) *Tensor { return o.New(op.F32, shape...) }
	rule := &op.GatedDelta[*Tensor]{
		O: f(T, V*v), U: f(T, channels+V*v), B: f(T, V), A: f(T, V), Conv: f(channels, taps), Decay: f(V), Bias: f(V), Gain: f(v),
		State: f(2, V, v, k), Tail: f(2, taps-1, channels), QKV: f(T, channels), Starts: f(1, T/chunk, V, v, k), Slots: o.New(op.U32, 1),
		KeyHeads: K, Chunk: chunk,
	}
	want := "webgpu: the gated delta rule: got both slots and starts, want one of them"
	if _, err := o.Prepare(op.Program[*Tensor]{rule}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestNothingBound checks that with the buffers that replace missing ones, WebGPU allows a dispatch of any kernel: a device refuses
// writable bindings that overlap.
func TestNothingBound(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	for _, k := range wgsl.All() {
		if k.Params == nil || k.Vertex != "" || len(k.Bindings)-1 > int(o.dev.Limits().MaxStorageBuffersPerShaderStage) {
			continue
		}
		params := make([]byte, reflect.TypeOf(k.Params).Size())
		o.dispatchGrid(variant{kernel: k}, params, 0, 0, 0, make([]*gpu.Buffer, len(k.Bindings)-1)...)
		if err := o.Flush(); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// TestRaisingTooFar: if the device cannot have such a large cache, Raise says so, and the session goes on with the room that it had.
func TestRaisingTooFar(t *testing.T) {
	ops := New(gputest.Device(t))
	defer ops.Close()
	optest.EachFamily(func(name string, c nn.Config, w *nn.Weights[op.HostTensor]) {
		if name != "llama" {
			return
		}
		m, err := nn.NewModel(ops, c, w)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Release()
		s, err := m.NewSession(1, c.DefaultScan())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Forward([]uint32{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		limit := ops.limit
		ops.limit = 4 * c.Capacity() * c.Decoder.KVHeads * c.Decoder.HeadWidth // one cache as it is
		err = m.Raise(2 * c.Capacity())
		if ops.limit = limit; err == nil || m.Config.Capacity() != c.Capacity() {
			t.Errorf("got %v and room for %d tokens, want an error and room for %d", err, m.Config.Capacity(), c.Capacity())
		}
		if err := s.Forward(make([]uint32, s.Left())); err != nil {
			t.Error(err)
		}
		if err := m.Raise(2 * c.Capacity()); err != nil || s.Left() != int64(c.Capacity()) {
			t.Errorf("without that limit: got %v and room for %d tokens more, want %d", err, s.Left(), c.Capacity())
		}
	})
}
