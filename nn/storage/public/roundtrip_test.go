package public

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"bitgpu/io/chat"
	"bitgpu/io/modeldir"
)

// readBitt reads a .bitt file as package storage does.
func readBitt(path string) (*Model, error) {
	files, err := modeldir.Open(path)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	return FromBitt(files, Options{})
}

// A model that is written as a .bitt file is read as it was, to the bit.
func TestBittRoundTrip(t *testing.T) {
	for path := range published(t) {
		m := open(t, path)
		to := filepath.Join(t.TempDir(), "model.bitt")
		if err := m.writeBitt(to); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := readBitt(to)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !reflect.DeepEqual(got.Decoder, m.Decoder) {
			t.Errorf("%s: got %+v, want %+v", path, got.Decoder, m.Decoder)
		}
		if !reflect.DeepEqual(*got.Weights, *m.Weights) {
			t.Errorf("%s: the weights differ", path)
		}
		sameText(t, path, got, m)
		info, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", path, info.Size())
	}
}

// sameText compares tokenizers by what they make of a text, ends and templates.
func sameText(t *testing.T, path string, got, want *Model) {
	t.Helper()
	slices.Sort(got.Ends)
	slices.Sort(want.Ends)
	if !slices.Equal(got.Ends, want.Ends) {
		t.Errorf("%s: got the ends %v, want %v", path, got.Ends, want.Ends)
	}
	if (got.Tokenizer == nil) != (want.Tokenizer == nil) || (got.Template == nil) != (want.Template == nil) {
		t.Fatalf("%s: got a tokenizer %v and a template %v, want %v and %v", path, got.Tokenizer != nil, got.Template != nil, want.Tokenizer != nil, want.Template != nil)
	}
	if want.Tokenizer != nil {
		const text = "The quick brown fox isn't lazy: 12345 dogs,\n\n  and café naïve हिन्दी — ok! <|im_start|>user<|eot_id|>"
		a, err := got.Tokenizer.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := want.Tokenizer.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a, b) {
			t.Errorf("%s: got the ids %v, want %v", path, a, b)
		}
	}
	if want.Template != nil {
		hello, err := chat.DecodeJSON([]byte(`[{"role":"user","content":"Hello"}]`))
		if err != nil {
			t.Fatal(err)
		}
		c := chat.Conversation{Messages: hello, AddGenerationPrompt: true}
		a, err1 := got.Template.Render(c)
		b, err2 := want.Template.Render(c)
		if a != b || err1 != nil || err2 != nil {
			t.Errorf("%s: got %q (%v), want %q (%v)", path, a, err1, b, err2)
		}
	}
}
