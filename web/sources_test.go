package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/internal/chromium"
	"bitgpu/nn/storage/public/publictest"
)

// give serves data by ranges, and notes the ranges that were asked for.
func (s *site) give(path string, data []byte) *[]string {
	var mu sync.Mutex
	ranges := &[]string{}
	s.more.Store(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*ranges = append(*ranges, r.Header.Get("Range"))
		mu.Unlock()
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(data)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	return ranges
}

// A public model comes from an address, from a server that is busy and gives it by parts, and converses as it does natively; it is kept, and what is no
// model is not.
func TestSources(t *testing.T) {
	path := publictest.File(t, "qwen3")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	ranges := s.give("models/qwen3.gguf", data)
	whole, _ := s.more.Load("models/qwen3.gguf")
	requests := 0
	s.more.Store("models/qwen3.gguf", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests++; requests {
		case 1:
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		case 2:
			r.Header.Set("Range", fmt.Sprintf("bytes=0-%d", len(data)/2-1)) // a server may give less than it is asked for
		}
		whole.(http.HandlerFunc)(w, r)
	}))
	s.give("models/cut.gguf", data[:len(data)-1000])
	s.give("models/page.bitt", []byte("<!doctype html>"))
	s.more.Store("models/plain.gguf", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(data) })) // knows no ranges

	p := chromium.Browse(t).Open(s.URL + "/blank.html")
	got := p.Eval(script(fmt.Sprintf(`
		const seen = [];
		globalThis.model = await load("/models/qwen3.gguf", {backend: "cpu", onProgress: p => seen.push(p), sha256: "%x"});
		const last = seen.filter(p => p.what === "model").at(-1);
		return JSON.stringify([model.info.family, model.info.chat, model.info.context, last.loaded, last.total])`, sha256.Sum256(data))))
	if want := fmt.Sprintf(`["qwen3",true,64,%d,%[1]d]`, len(data)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if at := fmt.Sprintf("bytes=%d-", len(data)/2); len(*ranges) != 2 || !strings.HasPrefix((*ranges)[1], at) {
		t.Errorf("got the ranges %q, want the second to begin with %s", *ranges, at)
	}

	got = p.Eval(script(`
		const options = {maxTokens: 4, seed: 7, temperature: 0.8};
		const first = (await all(model.chat("Hi", options))).text;
		const file = await model.saveMemory();
		const again = (await all(model.chat("", {...options, again: true}))).text;
		const state = await model.loadMemory(file);
		const second = await all(model.chat("Go", options));
		return JSON.stringify([first, again === first, state.messages.length, second.text, second.kept > 0])`))
	first, second := nativeChat(t, path)
	if want, _ := json.Marshal([]any{first, true, 2, second, true}); !sameJSON(got, string(want)) {
		t.Errorf("got %s, want %s", got, want)
	}

	got = p.Eval(script(`
		const bytes = await (await fetch("/models/qwen3.gguf")).blob();
		const other = await load(new File([bytes], "mine.gguf"));
		const unkept = await load(bytes);
		const plain = await load("/models/plain.gguf");
		const names = async () => (await kept()).map(m => m.name).join();
		const before = await names();
		await forget("mine.gguf");
		return JSON.stringify([before, await names(), other.info.id === model.info.id && plain.info.id === model.info.id, (await load({kept: "plain.gguf"})).info.name])`))
	if want := `["mine.gguf,plain.gguf,qwen3.gguf","plain.gguf,qwen3.gguf",true,"plain.gguf"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	for source, want := range map[string]string{
		`"/models/none.gguf"`:                          "the server answers 404",
		`"/models/cut.gguf"`:                           "cut.gguf: ",
		`"/models/page.bitt"`:                          "page.bitt: ",
		`"http://127.0.0.1:1/x.gguf"`:                  "http://127.0.0.1:1/x.gguf: cannot be read",
		`{kept: "none.gguf"}`:                          "none.gguf: is not kept here",
		`new File(["nothing"], "n.gguf")`:              "n.gguf: ",
		`new Blob([])`:                                 "model: an empty file",
		`"/models/qwen3.gguf", {sha256: "00"}`:         "got the SHA-256 ",
		`undefined, {backend: "tpu"}`:                  "tpu",
		`undefined, {backend: "gpu", adapter: "none"}`: "adapter",
	} {
		got := p.Eval(script(`return await refused(load(` + source + `))`))
		if !strings.Contains(got, want) || strings.Contains(got, "/bitgpu/") {
			t.Errorf("load(%s): got %q, want %q", source, got, want)
		}
	}
	if got := p.Eval(script(`return (await kept()).map(m => m.name).join()`)); got != "plain.gguf,qwen3.gguf" {
		t.Errorf("got %s kept, want what was, and none that is no model", got)
	}

	dir := filepath.Join("..", "testdata", "reference", "d32-delta")
	var files []string
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s.give("dir/"+name, data)
		files = append(files, fmt.Sprintf("%q", name))
	}
	if got := p.Eval(script(`
		const files = await Promise.all([` + strings.Join(files, ",") + `].map(async n => new File([await (await fetch("/dir/" + n)).blob()], n)));
		return String((await load(files)).info.width)`)); got != "32" {
		t.Errorf("a directory's files: got width %s, want 32", got)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprintf("%#v", x) == fmt.Sprintf("%#v", y)
}

func nativeChat(t *testing.T, path string) (first, second string) {
	t.Helper()
	m, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	c, err := bitgpu.NewChat(s, bitgpu.ChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(text string) string {
		r, err := c.Send(context.Background(), text, bitgpu.Options{MaxTokens: 4, Seed: 7, Temperature: 0.8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Answer.Content
	}
	return send("Hi"), send("Go")
}

// A model that the tab has no memory for is an error in a sentence, and the next one loads, be the model too large for any tab or
// only for one whose memory ends earlier, where the engine ends with it.
func TestOutOfMemory(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		flag, want string
		size       int64
	}{
		{"--no-first-run", "huge.bitt: got 6000000000 bytes, want at most 2147483648 where", 6e9},
		{"--js-flags=--wasm-max-mem-pages=8192", "the engine cannot go on: it has ended: most often the tab has no memory left for this model", 1.5e9},
	} {
		p := chromium.Browse(t, c.flag).Open(s.URL + "/blank.html")
		got := p.Eval(script(fmt.Sprintf(`
			const dir = await (await navigator.storage.getDirectory()).getDirectoryHandle("bitgpu-models", {create: true});
			const to = await (await dir.getFileHandle("huge.bitt", {create: true})).createWritable();
			await to.write("BITT");
			await to.truncate(%d);
			await to.close();
			const message = await refused(load({kept: "huge.bitt"}));
			const demo = await load();
			return message + demo.info.layers`, c.size)))
		if !strings.Contains(got, c.want) || !strings.HasSuffix(got, "4") {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A model of 450 MB, which BITGPU_WEB_MODEL names, loads and writes within 2 GB of the tab's memory:
// bitgpu bench --family 1.7B --write-gguf FILE makes one.
func TestLargeModel(t *testing.T) {
	path := os.Getenv("BITGPU_WEB_MODEL")
	if path == "" {
		t.Skip("BITGPU_WEB_MODEL names no large model for the page")
	}
	s := serve(t)
	s.more.Store("large.gguf", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	b := chromium.Browse(t)
	p := b.Open(s.URL + "/blank.html")
	p.Eval(`globalThis.result = null; void ` + script(`
		try {
			const model = await load("/large.gguf", {backend: "cpu"});
			const r = await all(model.generate("Hello", {maxTokens: 2, seed: 7}));
			globalThis.result = JSON.stringify({...model.info, ...r});
		} catch (e) { globalThis.result = e.message }`))
	p.Until(`globalThis.result !== null`)
	got := p.Eval(`globalThis.result`)
	t.Log(got)
	if !strings.Contains(got, `"tokens":2`) {
		t.Errorf("got %s, want two tokens", got)
	}
	most, err := b.Peak()
	t.Logf("the tab had %d MB at most", most>>20)
	if err != nil || most > 2<<30 {
		t.Errorf("got %d bytes of memory (%v), want at most 2 GiB", most, err)
	}
}
