package bench

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"bitgpu/bench/family"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

func families(t *testing.T, names ...string) (all []family.Family) {
	t.Helper()
	for _, name := range names {
		f, err := family.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// Every row of every family is measured, and nothing else.
func TestFamilies(t *testing.T) {
	o := Options{Mode: Quick, Families: families(t, "1.7B", "27B", "bitnet-2B4T"), Batches: []int{1, 3}}
	r, err := Run(t.Context(), o, CPU())
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	var got []string
	for _, m := range r.Families {
		got = append(got, m.Key)
		if !(m.Seconds.Median > 0 && m.Seconds.Count == 3 && m.Floor > 0 && m.Bytes > 0 && m.FLOPs > 0 && m.Weights > 0 && m.Memory > m.Weights) {
			t.Errorf("got %+v, want a measured row", m)
		}
		// Of the two layers, or of one in four: keys and values of 2 × 64 float32.
		if want := map[bool]int64{true: 2 * 128 * 4, false: 4 * 128 * 4}[strings.Contains(m.Key, "27B")]; m.Cache != want {
			t.Errorf("%s: got %d bytes a token, want %d", m.Key, m.Cache, want)
		}
		if recurrent := strings.Contains(m.Key, "27B"); recurrent != (m.PerSession > 0) {
			t.Errorf("%s: got a state of %d bytes", m.Key, m.PerSession)
		}
	}
	var want []string
	for _, name := range []string{"qwen3-1.7B-tiny", "qwen3.5-27B-tiny", "bitnet-2B4T-tiny"} {
		for _, row := range []string{"prompt/b1", "text/b1", "text/b3", "context/32", "context/256"} {
			if strings.HasPrefix(row, "context") && strings.HasPrefix(name, "bitnet") {
				continue
			}
			want = append(want, "family/"+name+"/"+row)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got the rows %v, want %v", got, want)
	}
	if len(r.Models)+len(r.Ops)+len(r.Parity)+len(r.Positions) > 0 {
		t.Error("got other rows than those of the families")
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Public families\n", "qwen3-1.7B-tiny/prompt/b1", "qwen3.5-27B-tiny/context/256", "bitnet-2B4T-tiny/text/b3", "KV bytes a token"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the report lacks %q:\n%s", part, out.String())
		}
	}
	if changes := Compare(r, r); len(changes) < len(want) {
		t.Errorf("got %d rows to compare, want %d and the floor", len(changes), len(want))
	}
}

// A run that is stopped ends within a row, with those before it.
func TestFamiliesStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Mode: Quick, Families: families(t, "1.7B"), Progress: func(key string) {
		if strings.HasSuffix(key, "/text/b1") {
			stop()
		}
	}}
	r, err := Run(ctx, o, CPU())
	if err != nil || r.Err() != nil || len(r.Families) != 1 {
		t.Errorf("got %d rows, %v and %v, want the one before", len(r.Families), err, r.Err())
	}
}

// without is a backend without some operations.
type without struct{ op.Executor[tensor] }

func (l without) Has(o op.Op[tensor]) bool {
	switch o.(type) {
	case *op.RoPE[tensor], *op.Attention[tensor]:
		return false
	}
	return l.Executor.Has(o)
}

// An engine that lacks operations says which, and measures nothing.
func TestFamiliesLeftOut(t *testing.T) {
	o := Options{Mode: Quick, Families: families(t, "1.7B"), Only: regexp.MustCompile("/text/")}
	r, err := Run(t.Context(), o, engineOf(without{cpu.New()}))
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	left := r.leftOut()
	const want = "2 of family/… left out on the cpu engine, for it has no RoPE, no Attention"
	if len(r.Families) != 0 || len(left) != 1 || left[0].Text != want {
		t.Errorf("got %+v and %d rows, want %q", left, len(r.Families), want)
	}
}

// A model that does not fit is left out, with how much it needs.
func TestFamilyTooLarge(t *testing.T) {
	f := families(t, "27B-tiny")
	f[0].Name, f[0].Decoder.Vocab = "huge-tiny", 1<<24
	f[0].Decoder.Width = 1 << 17
	r, err := Run(t.Context(), Options{Mode: Quick, Families: f}, CPU())
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	left := r.leftOut()
	if len(r.Families) != 0 || len(left) != 1 || !strings.Contains(left[0].Text, "MB needed") {
		t.Errorf("got %+v and %d rows, want a sentence that it does not fit", left, len(r.Families))
	}
}

func TestFamilyPeer(t *testing.T) {
	o := Options{Mode: Quick, Families: families(t, "1.7B"), Only: regexp.MustCompile("text/b1$")}
	// The program sees a file, and says in its row what it was asked for.
	o.Peer = []string{"sh", "-c", `test -s "$2" && printf '[{"peer": "%s", "device": "cpu, 2 threads", "key": "%s/text/b1", "mixer": "%s", "seconds": {"median": 0.5}}, {"peer": "x", "device": "cpu", "key": "%s/prompt/b1", "seconds": {"median": 0.5}}]' "$7 $8 $9 ${10}" "$4" "$6" "$4"`, "peer"}
	r, err := Run(t.Context(), o, CPU())
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if len(r.Peers) != 2 || r.Peers[0].Mixer != "TQ2_0" || r.Peers[1].Mixer != "Q2_0" || r.Peers[1].Peer != "--prompt 16 --text 4" {
		t.Fatalf("got %+v, want a row of text for each of two layouts", r.Peers)
	}
	rows := r.familyTable().Rows
	if len(rows) != 1 || !strings.Contains(strings.Join(rows[0], "|"), ", our cpu is ") {
		t.Errorf("got %v, want one row with ratios", rows)
	}
	o.Types = []string{"PQ2_0"}
	o.Peer = []string{"sh", "-c", "echo first >&2; echo no type 142 >&2; exit 1"}
	if r, err = Run(t.Context(), o, CPU()); err != nil || r.Err() == nil || !strings.Contains(r.Err().Error(), "no type 142") {
		t.Errorf("got %v and %v, want what the peer said", err, r.Err())
	}
	o.Types = []string{"Q4_K"}
	if _, err := Run(t.Context(), o, CPU()); err == nil || !strings.Contains(err.Error(), `got "Q4_K", want one of PQ2_0`) {
		t.Errorf("got %v, want a refusal of the type", err)
	}
}

// What has to be moved is what the family's shape says: of 1.7 billion weights at 2.125 bits 457 MB, and at 32,768 tokens
// their keys and values too; of the hybrid what its published file has but for the embedding.
func TestFamilyFloor(t *testing.T) {
	f := families(t, "1.7B", "27B")
	for _, c := range []struct {
		f        family.Family
		position int
		cache    int64
		want     float64 // MB
	}{{f[0], 0, 0, 457.3}, {f[0], 32768, 229376, 457.3 + 7516.4}, {f[1], 0, 0, 7154.0 - 337.7}} {
		got := moved(c.f, familyRow{batch: 1, time: 16, position: c.position}, c.cache, 0)
		if mb := got.bytes / 1e6; mb < 0.999*c.want || mb > 1.001*c.want {
			t.Errorf("%s at %d: got %.1f MB a token, want %.1f", c.f.Name, c.position, mb, c.want)
		}
	}
}
