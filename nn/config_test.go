package nn_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bitgpu/nn"
	"bitgpu/nn/optest"
)

func parse(t *testing.T, text string) nn.Config {
	t.Helper()
	c, err := nn.ParseConfig("config.json", []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func TestConfigDefaults(t *testing.T) {
	c := parse(t, `{"vocab_size": 100, "hidden_dim": 36, "num_layers": 2, "inner_lr": 0.1}`)
	want := nn.Config{
		Vocab: 100, Width: 36, Layers: 2, InnerLR: 0.1, WeightScale: nn.ScaleNone, Rule: nn.RuleSequential,
		Chunk: nn.DefaultMinibatch, Mixer: nn.MixerTied, MemoryWidth: 9, Heads: 1, MLPWidth: 144, Activation: nn.ActivationSiLU, NormEps: 1e-5,
	}
	same(t, c, want)
	if c.MLPWidth != 144 || c.HeadWidth() != 9 || c.Mixer != nn.MixerTied {
		t.Errorf("widths %d, %d of the %s mixer", c.MLPWidth, c.HeadWidth(), c.Mixer)
	}
	delta := parse(t, `{"vocab_size": 1, "hidden_dim": 512, "num_layers": 1, "ttt_mixer": "delta"}`)
	if delta.MemoryWidth != 128 || delta.Heads != 2 || delta.HeadWidth() != 64 {
		t.Errorf("delta: %+v", delta)
	}
	if narrow := parse(t, `{"vocab_size": 1, "hidden_dim": 64, "num_layers": 1, "ttt_mixer": "delta"}`); narrow.Heads != 1 {
		t.Errorf("delta of width 64: %d heads, want 1", narrow.Heads)
	}
}

// same compares what the written form shows.
func same(t *testing.T, got, want nn.Config) {
	t.Helper()
	g, w := fmt.Sprintf("%+v", visible(got)), fmt.Sprintf("%+v", visible(want))
	if g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

// visible are a configuration's exported fields.
func visible(c nn.Config) map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			fields[f.Name] = v.Field(i).Interface()
		}
	}
	return fields
}

func TestConfigAllKeys(t *testing.T) {
	same(t, parse(t, `{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 1e-2, "weight_scale": "absmean",
		"ttt_rule": "minibatch", "ttt_chunk": 5}`), nn.Config{
		Vocab: 7, Width: 8, Layers: 3, InnerLR: 0.01, WeightScale: nn.ScaleAbsmean, Rule: nn.RuleMinibatch, Chunk: 5,
		Mixer: nn.MixerTied, MemoryWidth: 2, Heads: 1, MLPWidth: 32, Activation: nn.ActivationSiLU, NormEps: 1e-5,
	})
	same(t, parse(t, `{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0, "weight_scale": "none",
		"ttt_rule": "sequential", "ttt_mixer": "delta", "ttt_dim": 12, "ttt_heads": 3, "mlp_dim": 24, "hidden_act": "relu2", "rms_norm_eps": 1e-6,
		"tie_word_embeddings": true}`), nn.Config{
		Vocab: 7, Width: 8, Layers: 3, WeightScale: nn.ScaleNone, Rule: nn.RuleSequential, Chunk: nn.DefaultMinibatch,
		Mixer: nn.MixerDelta, MemoryWidth: 12, Heads: 3, MLPWidth: 24, Activation: nn.ActivationReLU2, NormEps: 1e-6, TiedHead: true,
	})
}

// Every key that a configuration has is written and read again, and no other is written.
func TestConfigKeysAreWritten(t *testing.T) {
	for _, text := range []string{
		`{"vocab_size":7,"hidden_dim":8,"num_layers":3,"inner_lr":0.01,"weight_scale":"absmean","ttt_rule":"minibatch","ttt_chunk":5,"mlp_dim":20}`,
		`{"vocab_size":7,"hidden_dim":8,"num_layers":3,"inner_lr":0,"weight_scale":"none","ttt_rule":"sequential","ttt_mixer":"delta","ttt_dim":12,"ttt_heads":3}`,
		`{"vocab_size":7,"hidden_dim":8,"num_layers":3,"inner_lr":1,"weight_scale":"none","ttt_rule":"sequential","hidden_act":"relu2","rms_norm_eps":0.000001}`,
		`{"vocab_size":7,"hidden_dim":8,"num_layers":3,"inner_lr":1,"weight_scale":"none","ttt_rule":"sequential","tie_word_embeddings":true}`,
		`{"vocab_size":7,"hidden_dim":8,"num_layers":3,"inner_lr":1,"weight_scale":"none","ttt_rule":"sequential"}`,
	} {
		if got := string(marshal(t, parse(t, text))); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	flags := map[string]bool{}
	for _, k := range nn.Keys {
		if k.Flag != "" && (flags[k.Flag] || k.Usage == "") {
			t.Errorf("%s: the flag --%s is another's or has no words", k.Name, k.Flag)
		}
		flags[k.Flag] = true
	}
}

func TestConfigAliases(t *testing.T) {
	want := parse(t, `{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 1}`)
	for _, text := range []string{
		`{"vocab_size": 7, "hidden_size": 8, "num_hidden_layers": 3, "inner_lr": 1}`,
		`{"vocab_size": 7, "hidden_size": 8, "n_layers": 3, "inner_lr": 1}`,
		`{"vocab_size": 7, "hidden_dim": 8, "hidden_size": 8, "num_layers": 3, "n_layers": 3, "num_hidden_layers": 3, "inner_lr": 1}`,
		`{"vocab_size": 7, "hidden_dim": null, "hidden_size": 8, "num_layers": 3, "inner_lr": 1, "weight_scale": null, "ttt_chunk": null}`,
	} {
		c := parse(t, text)
		same(t, c, want)
		same(t, parse(t, string(marshal(t, c))), want)
	}
}

func marshal(t testing.TB, c nn.Config) []byte {
	t.Helper()
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConfigKeepsUnknownKeys(t *testing.T) {
	c := parse(t, `{"vocab_size": 7, "zeta": {"b": [1, 2.50], "a": null}, "hidden_size": 8, "n_layers": 3, "inner_lr": 0.5,
		"architectures": ["X"], "big": 123456789012345678901234567890, "none": null, "quote\"d": "ü"}`)
	c.Vocab = 9 // rewritten after a change
	out := marshal(t, c)
	want := `{"vocab_size":9,"hidden_dim":8,"num_layers":3,"inner_lr":0.5,"weight_scale":"none","ttt_rule":"sequential",` +
		`"architectures":["X"],"big":123456789012345678901234567890,"none":null,"quote\"d":"ü","zeta":{"b":[1,2.50],"a":null}}`
	if string(out) != want {
		t.Errorf("written:\n%s\nwanted:\n%s", out, want)
	}
	if again := marshal(t, parse(t, string(out))); string(again) != want {
		t.Errorf("written again:\n%s\nwanted:\n%s", again, want)
	}
}

// manyKeys are n members that no config has.
func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `, "%d": 0`, i)
	}
	return b.String()
}

func TestConfigRefuses(t *testing.T) {
	tied := func(more string) string {
		return `{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1` + more + `}`
	}
	for _, c := range []struct{ text, says string }{
		{``, "not a JSON object"}, {`[]`, "not a JSON object"}, {`{"vocab_size": 7`, "not a JSON object"}, {tied(`} {`), "more follows the JSON object"},
		{`null`, "not a JSON object"}, {`{}`, "vocab_size is missing"},
		{`{"vocab_size": 7, "num_layers": 3, "inner_lr": 0.1}`, "hidden_dim is missing"},
		{`{"vocab_size": 7, "hidden_dim": 8, "inner_lr": 0.1}`, "num_layers is missing"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3}`, "inner_lr is missing"},
		{`{"vocab_size": "7", "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1}`, `vocab_size: got "7", want a whole number`},
		{`{"vocab_size": 7.5, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1}`, "vocab_size: got 7.5, want a whole number"},
		{`{"vocab_size": 9e99, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1}`, "vocab_size: got 9e99, want a whole number"},
		{`{"vocab_size": 0, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1}`, "vocab_size: got 0, want a number above 0"},
		{`{"vocab_size": 99999999, "hidden_dim": 8, "num_layers": 3, "inner_lr": 0.1}`, "vocab_size: got 99999999, want 1 to 16777216"},
		{`{"vocab_size": 7, "hidden_dim": 10, "num_layers": 3, "inner_lr": 0.1}`, "hidden_dim: got 10, want a multiple of 4 up to 131072"},
		{`{"vocab_size": 7, "hidden_dim": 1000000, "num_layers": 3, "inner_lr": 0.1}`, "hidden_dim: got 1000000, want a multiple of 4 up to 131072"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": -3, "inner_lr": 0.1}`, "num_layers: got -3, want a number above 0"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 99999, "inner_lr": 0.1}`, "num_layers: got 99999, want 1 to 4096"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": -1}`, "inner_lr: got -1, want a float32 that is not negative"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 1e60}`, "inner_lr: got 1e+60, want a float32 that is not negative"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": 1e999}`, "inner_lr: got 1e999, want a number"},
		{`{"vocab_size": 7, "hidden_dim": 8, "num_layers": 3, "inner_lr": "big"}`, `inner_lr: got "big", want a number`},
		{tied(`, "hidden_size": 12`), "hidden_size 12 contradicts hidden_dim 8"},
		{tied(`, "n_layers": 4`), "n_layers 4 contradicts num_layers 3"},
		{tied(`, "num_hidden_layers": 4`), "num_hidden_layers 4 contradicts num_layers 3"},
		{tied(`, "weight_scale": "mean"`), `weight_scale: got "mean", want "none" or "absmean"`},
		{tied(`, "weight_scale": ""`), `weight_scale: got "", want a word`},
		{tied(`, "ttt_rule": ""`), `ttt_rule: got "", want a word`},
		{tied(`, "ttt_mixer": ""`), `ttt_mixer: got "", want a word`},
		{tied(manyKeys(5000)), "got more than 4096 keys"},
		{tied(`, "weight_scale": 1`), "weight_scale: got 1, want a word"},
		{tied(`, "ttt_rule": "batch"`), `ttt_rule: got "batch", want "sequential" or "minibatch"`},
		{tied(`, "ttt_chunk": 0`), "ttt_chunk: got 0, want a number above 0"},
		{tied(`, "ttt_chunk": 200000`), "ttt_chunk: got 200000, want 1 to 131072"},
		{tied(`, "ttt_mixer": "gamma"`), `ttt_mixer: got "gamma", want "tied" or "delta"`},
		{tied(`, "ttt_mixer": "delta", "ttt_rule": "minibatch"`), `ttt_rule: got "minibatch", the "delta" mixer knows the "sequential" rule only`},
		{tied(`, "ttt_mixer": "delta", "ttt_dim": 200000`), "ttt_dim: got 200000, want 1 to 131072"},
		{tied(`, "ttt_mixer": "delta", "ttt_dim": 10, "ttt_heads": 3`), "ttt_heads: got 3, want a divisor of ttt_dim 10"},
		{tied(`, "ttt_mixer": "delta", "ttt_dim": [4]`), "ttt_dim: got [4], want a whole number"},
		{tied(`, "hidden_act": "gelu"`), `hidden_act: got "gelu", want "silu" or "relu2"`},
		{tied(`, "rms_norm_eps": 0`), "rms_norm_eps: got 0, want a number above 0"},
		{tied(`, "rms_norm_eps": -1e-5`), "rms_norm_eps: got -1e-05, want a number above 0"},
		{tied(`, "rms_norm_eps": 3`), "rms_norm_eps: got 3, want 1e-30 to 1"},
		{tied(`, "tie_word_embeddings": 1`), "tie_word_embeddings: got 1, want true or false"},
		{tied(`, "tie_word_embeddings": "true"`), `tie_word_embeddings: got "true", want true or false`},
	} {
		_, err := nn.ParseConfig("models/config.json", []byte(c.text))
		if err == nil {
			t.Errorf("%s: accepted, want %q", c.text, c.says)
		} else if !strings.HasPrefix(err.Error(), "models/config.json: "+c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\ngot %v,\nwant %s", c.text, err, c.says)
		}
	}
	for _, rate := range []float64{math.NaN(), math.Inf(1), -0.1} {
		c := nn.Config{Vocab: 1, Width: 4, Layers: 1, InnerLR: rate}.WithDefaults()
		if c.Validate() == nil {
			t.Errorf("inner_lr %v accepted", rate)
		}
	}
}

// A configuration written and read is the same.
func TestConfigRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := nn.Config{
			Vocab: rapid.IntRange(1, 1<<20).Draw(t, "vocab"), Width: 4 * rapid.IntRange(1, 1000).Draw(t, "width/4"),
			Layers: rapid.IntRange(1, 100).Draw(t, "layers"), InnerLR: rapid.Float64Range(0, 2).Draw(t, "inner_lr"),
			WeightScale: rapid.SampledFrom([]string{"", nn.ScaleNone, nn.ScaleAbsmean}).Draw(t, "scale"), TiedHead: rapid.Bool().Draw(t, "tied head"),
		}
		if rapid.Bool().Draw(t, "delta") {
			c.Mixer, c.Heads = nn.MixerDelta, rapid.IntRange(1, 9).Draw(t, "heads")
			c.MemoryWidth = c.Heads * rapid.IntRange(1, 99).Draw(t, "c")
		} else if rapid.Bool().Draw(t, "minibatch") {
			c.Rule, c.Chunk = nn.RuleMinibatch, rapid.IntRange(1, 99).Draw(t, "chunk")
		}
		c = c.WithDefaults()
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := nn.ParseConfig("config", out)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(visible(again), visible(c)) {
			t.Fatalf("got %+v, want %+v", again, c)
		}
	})
}

// FuzzParseConfig: whatever is read is refused, or valid and the same when it is written and read.
func FuzzParseConfig(f *testing.F) {
	for _, name := range optest.ReferenceNames {
		data, err := os.ReadFile(filepath.Join(optest.ReferenceDir(name), "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"vocab_size":1,"hidden_size":4,"n_layers":1,"num_layers":null,"inner_lr":1,"x":{"y":[]},"ttt_dim":3}`))
	f.Add([]byte(`{"vocab_size":1,"hidden_dim":4,"num_layers":1,"inner_lr":1,"tie_word_embeddings":false}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := nn.ParseConfig("config.json", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "config.json: ") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		out := marshal(t, c)
		again, err := nn.ParseConfig("config.json", out)
		if err != nil {
			t.Fatalf("what was written is refused: %s: %v", out, err)
		}
		if third := marshal(t, again); string(third) != string(out) {
			t.Fatalf("%s\nis written again as\n%s", out, third)
		}
	})
}
