package serve

import (
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/nn/storage/public/publictest"
)

func (c *client) newMemory(name string) string {
	c.t.Helper()
	return at(c.post("/v1/memories", `{"name":`+quote(name)+`}`).object(c.t), "id").(string)
}

// What a memory has read is what a session has read, across requests, forks, files and restarts.
func TestMemoriesGoOn(t *testing.T) {
	dir := t.TempDir()
	c := begin(t, Options{MemoryDir: dir})
	model, _ := demoModel()
	session, err := model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Learn(t.Context(), "My name is Rosalind."); err != nil {
		t.Fatal(err)
	}
	o := bitgpu.Options{MaxTokens: 20, Temperature: 1, Seed: 4}
	want, err := session.Generate(t.Context(), "\nROSALIND:", o)
	if err != nil {
		t.Fatal(err)
	}
	next, err := session.Generate(t.Context(), "\n", o)
	if err != nil {
		t.Fatal(err)
	}

	id := c.newMemory("Rosalind")
	if v := c.post("/v1/memories/"+id+"/learn", `{"text":"My name is Rosalind."}`).object(t); at(v, "tokens") == 0.0 || at(v, "memory", "tokens") != at(v, "tokens") {
		t.Errorf("learn: got %v", v)
	}
	ask := func(c *client, id, prompt, more string) string {
		return c.text(`{"prompt":` + quote(prompt) + `,"max_tokens":20,"seed":4,"memory":"` + id + `"` + more + `}`)
	}
	for range 2 { // on a copy, so it says the same again
		if got := ask(c, id, "\nROSALIND:", `,"learn":false`); got != want {
			t.Errorf("without learning: got %q, want %q", got, want)
		}
	}
	fork := at(c.post("/v1/memories/"+id+"/fork", `{}`).object(t), "id").(string)
	file := c.get("/v1/memories/" + id + "/file")
	copied := at(c.send(t.Context(), "POST", "/v1/memories?name=copy", memoryType, file.body).object(t), "id").(string)
	if got := ask(c, id, "\nROSALIND:", ""); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.end()

	c = begin(t, Options{MemoryDir: dir, ResidentLimit: 1})
	if got := ask(c, id, "\n", ""); got != next {
		t.Errorf("after a restart: got %q, want %q", got, next)
	}
	for name, other := range map[string]string{"a fork": fork, "an upload": copied} {
		if got := ask(c, other, "\nROSALIND:", ""); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if a := c.send(t.Context(), "PUT", "/v1/memories/"+fork+"/file", memoryType, file.body); a.status != 200 {
		t.Errorf("PUT file: got %d %s", a.status, a.body)
	}
	if got := ask(c, fork, "\nROSALIND:", ""); got != want {
		t.Errorf("a replaced file: got %q, want %q", got, want)
	}
	if got := c.text(`{"prompt":"\nROSALIND:","max_tokens":20,"seed":4}`); got == want {
		t.Error("a request without a memory remembers")
	}
	list := at(c.get("/v1/memories").object(t), "data").([]any)
	if len(list) != 3 {
		t.Errorf("got %d memories, want 3", len(list))
	}
	c.send(t.Context(), "DELETE", "/v1/memories/"+id, "", "").object(t)
	if a := c.get("/v1/memories/" + id); a.status != 404 {
		t.Errorf("a deleted memory: got %d", a.status)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "mem_*"))
	if len(files) != 4 {
		t.Errorf("got the files %q, want two of each of two memories", files)
	}
}

// What one key has made does not exist for another.
func TestMemoriesBelongToTheirKey(t *testing.T) {
	first := begin(t, Options{Keys: []string{"first", "second"}}).as("first")
	second := first.as("second")
	id := first.newMemory("mine")
	for _, r := range []struct{ method, path, kind, body string }{
		{"GET", "", "", ""}, {"DELETE", "", "", ""}, {"POST", "/fork", "", ""}, {"POST", "/learn", "application/json", `{"text":"a"}`},
		{"GET", "/file", "", ""}, {"PUT", "/file", memoryType, "x"},
	} {
		if a := second.send(t.Context(), r.method, "/v1/memories/"+id+r.path, r.kind, r.body); a.status != 404 {
			t.Errorf("%s %s of another key: got %d %s", r.method, r.path, a.status, a.body)
		}
	}
	for _, learn := range []string{"true", "false"} {
		if a := second.post("/v1/completions", `{"prompt":"a","memory":"`+id+`","learn":`+learn+`}`); a.status != 404 {
			t.Errorf("a completion with another key's memory: got %d %s", a.status, a.body)
		}
	}
	if list := at(second.get("/v1/memories").object(t), "data").([]any); len(list) != 0 {
		t.Errorf("another key's list has %v", list)
	}
	if a := first.get("/v1/memories/" + id); a.status != 200 {
		t.Errorf("one's own: got %d", a.status)
	}
}

// A memory has one writer; others read what it was before. A writer who goes away leaves what he has been shown.
func TestOneWriter(t *testing.T) {
	c := begin(t, Options{Stall: time.Hour})
	id := c.newMemory("")
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", c.http.URL+"/v1/completions", strings.NewReader(`{"prompt":"ROMEO:","max_tokens":10000000,"stream":true,"memory":"`+id+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w, err := c.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if _, err := io.ReadFull(w.Body, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, "a second writer", c.post("/v1/completions", `{"prompt":"a","memory":"`+id+`"}`), 409, "memory_in_use", "")
	checkRefusal(t, "learning", c.post("/v1/memories/"+id+"/learn", `{"text":"a"}`), 409, "memory_in_use", "")
	checkRefusal(t, "deleting", c.send(t.Context(), "DELETE", "/v1/memories/"+id, "", ""), 409, "memory_in_use", "")
	if a := c.post("/v1/completions", `{"prompt":"a","max_tokens":1,"learn":false,"memory":"`+id+`"}`); a.status != 200 {
		t.Errorf("a reader: got %d %s", a.status, a.body)
	}
	if v := c.get("/v1/memories/" + id).object(t); at(v, "tokens") != 0.0 {
		t.Errorf("got %v tokens before the writer has ended, want 0", at(v, "tokens"))
	}
	go io.Copy(io.Discard, w.Body)
	cancel()
	until(func() bool { busy, _ := c.server.gate.counts(); return busy == 0 })
	if v := c.get("/v1/memories/" + id).object(t); !(at(v, "tokens").(float64) > 3) {
		t.Errorf("after the writer has gone: got %v tokens, want what was shown", at(v, "tokens"))
	}
	if a := c.post("/v1/completions", `{"prompt":"a","max_tokens":1,"memory":"`+id+`"}`); a.status != 200 {
		t.Errorf("the next writer: got %d %s", a.status, a.body)
	}
}

// The limit holds at every moment: the longest unused go, and never one that is being written.
func TestMemoryLimit(t *testing.T) {
	dir := t.TempDir()
	most := begin(t, Options{}).server.store.measured().largest()
	c := begin(t, Options{MemoryDir: dir, MemoryLimit: 4 * most})
	size := func() (n int64) {
		files, _ := filepath.Glob(filepath.Join(dir, "*", "mem_*.memory"))
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	var ids []string
	for range 6 {
		ids = append(ids, c.newMemory(""))
		if n := size(); n > 4*most {
			t.Fatalf("%d memories have %d bytes, want at most %d", len(ids), n, 4*most)
		}
	}
	kept := 0
	for i, id := range ids {
		status := c.get("/v1/memories/" + id).status
		if status == 200 {
			kept++
		} else if i > 2 {
			t.Errorf("memory %d has gone, which is one of the newest", i)
		}
	}
	if n, bytes := c.server.store.totals(); n != kept || bytes != size() || kept < 3 {
		t.Errorf("got %d memories and %d bytes, want %d and %d", n, bytes, kept, size())
	}
	w, err := c.server.store.write(nobody, ids[5])
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		c.newMemory("")
	}
	if err := w.commit(); err != nil {
		t.Errorf("what was being written has gone: %v", err)
	}
	if n := size(); n > 4*most {
		t.Errorf("got %d bytes, want at most %d", n, 4*most)
	}
	if _, err := New(c.server.model, Options{MemoryLimit: most}); err == nil {
		t.Error("a limit that has no room for one memory was taken")
	}
}

// Whichever change of the file system fails while a memory learns, the next server finds what it was before or what it was to be.
func TestFailedStatesKeepTheMemory(t *testing.T) {
	before := t.TempDir()
	c := begin(t, Options{MemoryDir: before})
	id := c.newMemory("a")
	learn := func() int { return c.post("/v1/memories/"+id+"/learn", `{"text":"one two"}`).status }
	was := at(c.post("/v1/memories/"+id+"/learn", `{"text":"one"}`).object(t), "memory", "tokens")
	c.end()
	seen := map[any]bool{}
	for n := 0; ; n++ {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(before)); err != nil {
			t.Fatal(err)
		}
		c = begin(t, Options{MemoryDir: dir})
		left := n
		atomicfile.Fault = func(string) error {
			if left--; left == -1 {
				return errors.New("broken")
			}
			return nil
		}
		status := learn()
		atomicfile.Fault = nil
		c.end()
		if left >= 0 {
			if status != 200 || n < 8 {
				t.Errorf("after %d changes: got %d", n, status)
			}
			break
		}
		c = begin(t, Options{MemoryDir: dir})
		now := at(c.get("/v1/memories/"+id).object(t), "tokens")
		if seen[now] = true; status != 500 || learn() != 200 {
			t.Errorf("change %d: got %d and %v tokens where there were %v, and then it cannot learn", n, status, now, was)
		}
		c.end()
	}
	if len(seen) != 2 || !seen[was] {
		t.Errorf("got memories of %v tokens, want those from before, of %v, and those from after", seen, was)
	}
}

// What somebody killed has left is cleared, and what is not a server's is refused.
func TestStoreFindsOnlyWhatIsWhole(t *testing.T) {
	dir := t.TempDir()
	c := begin(t, Options{MemoryDir: dir})
	id := c.newMemory("a")
	where := c.server.store.measured().dir
	c.end()
	stray := filepath.Join(where, id+"-XXXX.memory")
	if err := os.WriteFile(stray, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = begin(t, Options{MemoryDir: dir})
	if _, err := os.Stat(stray); err == nil {
		t.Error("what no memory names is still there")
	}
	a, _ := c.server.store.get(nobody, id)
	c.end()
	data, err := os.ReadFile(filepath.Join(where, a.File))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(filepath.Join(where, a.File), data, 0o600); err != nil {
		t.Fatal(err)
	}
	c = begin(t, Options{MemoryDir: dir})
	checkRefusal(t, "a file that was changed", c.post("/v1/completions", `{"prompt":"a","memory":"`+id+`"}`), 500, "internal", "")
	c.end()
	if err := os.Truncate(filepath.Join(where, a.File), 100); err != nil {
		t.Fatal(err)
	}
	model, _ := demoModel()
	if _, err := New(model, Options{MemoryDir: dir}); err == nil || !strings.Contains(err.Error(), a.File) {
		t.Errorf("a file that was cut: got %v", err)
	}
}

// Saved, restarted, loaded and gone on is the same as never stopped, and no token is read again: of a memory that learns, of keys
// and values, and of states of the gated delta rule.
func TestRestartReadsNothingAgain(t *testing.T) {
	for _, path := range []string{"../testdata/reference/d32-delta", publictest.File(t, "qwen3"), publictest.File(t, "qwen35")} {
		model, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { model.Close() })
		session, err := model.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		dir := t.TempDir()
		c := beginWith(t, model, Options{MemoryDir: dir})
		id := c.newMemory("")
		c.post("/v1/memories/"+id+"/learn", `{"text":"the ship"}`).object(t)
		if _, err := session.Learn(t.Context(), "the ship"); err != nil {
			t.Fatal(err)
		}
		read := session.Position()
		for turn := range 3 {
			c.end()
			c = beginWith(t, model, Options{MemoryDir: dir, ResidentLimit: int64(turn)})
			want, err := session.Generate(t.Context(), "", bitgpu.Options{MaxTokens: 5, Temperature: 1, Seed: 4})
			if err != nil {
				t.Fatal(err)
			}
			v := c.post("/v1/completions", `{"max_tokens":5,"seed":4,"memory":"`+id+`"}`).object(t)
			if at(v, "choices", 0, "text") != want || at(v, "usage", "prompt_tokens") != 0.0 {
				t.Errorf("%s: after restart %d: got %v, want %q and nothing read", path, turn, v, want)
			}
			if a := c.get("/v1/memories/" + id).object(t); at(a, "tokens") != float64(session.Position()) || session.Position() <= read {
				t.Errorf("%s: after restart %d: got %v, want %d tokens", path, turn, a, session.Position())
			}
			read = session.Position()
		}
	}
}

// A memory has a picture: white while it is empty, another one when it has learned; one that is keys and values has none.
func TestPictureOfAMemory(t *testing.T) {
	c := begin(t, Options{})
	id := c.newMemory("")
	drawn := func() image.Image {
		a := c.get("/v1/memories/" + id + "/picture")
		p, err := png.Decode(strings.NewReader(a.body))
		if err != nil || a.header.Get("Content-Type") != "image/png" {
			t.Fatalf("got %d %v: %v", a.status, a.header, err)
		}
		return p
	}
	coloured := func(p image.Image) (n int) {
		for y := range p.Bounds().Dy() {
			for x := range p.Bounds().Dx() {
				if r, g, b, a := p.At(x, y).RGBA(); a > 0 && (r != g || g != b) {
					n++
				}
			}
		}
		return n
	}
	empty := drawn()
	c.post("/v1/memories/"+id+"/learn", `{"text":"My name is Rosalind."}`).object(t)
	learned := drawn()
	if coloured(empty) != 0 || coloured(learned) < 1000 || learned.Bounds().Dx() < 64 {
		t.Errorf("got %d and %d coloured pixels of %v", coloured(empty), coloured(learned), learned.Bounds())
	}
	model, err := bitgpu.Load(publictest.File(t, "qwen3"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	c = beginWith(t, model, Options{})
	checkRefusal(t, "keys and values", c.get("/v1/memories/"+c.newMemory("")+"/picture"), 422, "no_picture", "")
}
