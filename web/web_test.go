package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/internal/chromium"
	"bitgpu/io/atomicfile"
)

// engine builds cmd/bitgpu-wasm once, with the flags of "make cross", whose packages it finds built.
var engine = sync.OnceValues(func() (map[string][]byte, error) {
	out := filepath.Join(os.TempDir(), fmt.Sprintf("bitgpu-web-%d.wasm", os.Getpid()))
	defer os.Remove(out)
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "bitgpu/cmd/bitgpu-wasm")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	loader, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, err
	}
	pack := exec.Command("xz", "--format=lzma", "-6", "-c")
	pack.Stdin = bytes.NewReader(wasm)
	small, err := pack.Output()
	if err != nil { // the page takes gzip, too
		if small, err = packed(wasm); err != nil {
			return nil, err
		}
	}
	return files(demo.Model, fstest.MapFS{"built/" + Engine: {Data: small}, "built/" + Loader: {Data: loader}})
})

// site serves the page, and what tests add to it.
type site struct {
	*httptest.Server
	more sync.Map // path → http.HandlerFunc
}

func serve(t *testing.T) *site {
	t.Helper()
	all, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if f, ok := s.more.Load(name); ok {
			f.(http.HandlerFunc)(w, r)
			return
		}
		if name == "" {
			name = "index.html"
		}
		data, ok := all[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	s.more.Store("blank.html", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>blank</title>")
	}))
	return s
}

// script is an async function's body with what bitgpu.js exports, and a few helpers.
func script(body string) string {
	return `(async () => {
		const {load, kept, forget} = await import("/bitgpu.js");
		const all = async stream => { let text = "", r; while (!(r = await stream.next()).done) text += r.value.text ?? r.value; return {text, ...r.value} };
		const refused = async promise => { try { await promise } catch (e) { return e.message } return "nothing" };
		` + body + `})()`
}

// native is what the engine of this process writes.
func native(t *testing.T, prompts ...string) (text string) {
	t.Helper()
	m, err := bitgpu.LoadBytes("demo", demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, prompt := range prompts {
		if text, err = s.Generate(context.Background(), prompt, bitgpu.Options{MaxTokens: 60, Temperature: 0.8, Seed: 7}); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

// A program without the engine says what builds one with it.
func TestNotBuilt(t *testing.T) {
	if _, err := files(demo.Model, fstest.MapFS{}); err != ErrNotBuilt {
		t.Errorf("got %v, want %v", err, ErrNotBuilt)
	}
}

// The service worker names the files that there are, and another version where one of them is another.
func TestVersion(t *testing.T) {
	version := func(engine string) string {
		all, err := files(demo.Model, fstest.MapFS{"built/" + Engine: {Data: []byte(engine)}, "built/" + Loader: {}})
		if err != nil {
			t.Fatal(err)
		}
		text := string(all["sw.js"])
		line := text[strings.Index(text, "const version"):]
		line = line[:strings.Index(line, "\n")]
		for name := range all {
			if named := strings.Contains(line, fmt.Sprintf("%q", name)); named != (name != "index.html" && name != "sw.js" && name != "bitgpu.d.ts") {
				t.Errorf("%s: got %v in %s", name, named, line)
			}
		}
		return line
	}
	if a, b := version("a"), version("b"); a == b || strings.Contains(a, "VERSION") || strings.Contains(a, "FILES") {
		t.Errorf("got %s and %s, want two versions", a, b)
	}
}

// All that a visitor downloads has 4.5 MB at most.
func TestSize(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed: the size of the page was not tried")
	}
	all, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for name, data := range all {
		if name != "bitgpu.d.ts" {
			size += len(data)
		}
	}
	if size > 4.5e6 {
		t.Errorf("got a page of %d bytes, want at most 4.5 million", size)
	}
	t.Logf("%d bytes", size)
}

// The text is the native one, also from a memory that went through a file, and after a stop the model goes on.
func TestAPI(t *testing.T) {
	s := serve(t)
	p := chromium.Browse(t).Open(s.URL + "/blank.html")
	first, second := native(t, "ROMEO:"), native(t, "ROMEO:", "\n\nJULIET:")
	p.Eval(script(`globalThis.model = await load(undefined, {backend: "cpu"})`))
	options := `{maxTokens: 60, temperature: 0.8, seed: 7}`
	if got := p.Eval(script(`return (await all(model.generate("ROMEO:", ` + options + `))).text`)); got != first {
		t.Errorf("got %q, want %q", got, first)
	}
	got := p.Eval(script(`
		const file = await model.saveMemory(), other = await load(undefined, {backend: "cpu"});
		const state = await other.loadMemory(file);
		const text = (await all(other.generate("\n\nJULIET:", ` + options + `))).text;
		other.close();
		return (state.position > 60) + text`))
	if got != "true"+second {
		t.Errorf("from a memory's file: got %q, want %q", got, second)
	}
	got = p.Eval(script(`
		await model.reset();
		const stop = new AbortController();
		let n = 0, message;
		try { for await (const text of model.generate("ROMEO:", {maxTokens: 100000, signal: stop.signal})) if (++n === 3) stop.abort() }
		catch (e) { message = e.name }
		for await (const text of model.generate("ROMEO:", {maxTokens: 100000})) break;
		const before = (await model.state()).position;
		const {tokens} = await model.learn("My name is Rosalind.");
		const after = (await model.state()).position;
		const pictures = await model.memory();
		await model.reset();
		return JSON.stringify([message, before < 100000, after - before === tokens, pictures.length, pictures[0].pixels.length, pictures.every(p => p.norm > 0),
			(await model.state()).position, await refused(model.loadMemory(new Blob(["no memory"]))), await refused(all(model.generate("x", {temperature: -1}))),
			await refused(all(model.generate("x", {warmth: 1}))), await refused(all(model.chat("x"))), (await all(model.generate("ROMEO:", ` + options + `))).text])`))
	want := `["AbortError",true,true,8,4096,true,0,"memory: `
	for _, part := range []string{want, "temperature", "warmth", "chat template", fmt.Sprintf(",%q]", first)} {
		if !strings.Contains(got, part) {
			t.Errorf("got %s, want %s in it", got, part)
		}
	}
}

// On WebGPU the text is the native one, too, and a memory made there goes on on the CPU.
func TestWebGPU(t *testing.T) {
	s := serve(t)
	p := chromium.Browse(t, "--enable-unsafe-webgpu").Open(s.URL + "/blank.html")
	got := p.Eval(script(`
		let model;
		const began = performance.now();
		try { model = await load(undefined, {backend: "gpu"}) } catch (e) { return "skipped: " + e.message }
		const pieces = model.generate("ROMEO:", {maxTokens: 60, temperature: 0.8, seed: 7}), piece = (await pieces.next()).value;
		globalThis.firstText = performance.now() - began;
		const first = piece + (await all(pieces)).text, file = await model.saveMemory();
		const cpu = await load(undefined, {backend: "cpu"});
		await cpu.loadMemory(file);
		const second = (await all(cpu.generate("\n\nJULIET:", {maxTokens: 60, temperature: 0.8, seed: 7}))).text;
		return JSON.stringify([model.info.backend, first, second])`))
	if why, ok := strings.CutPrefix(got, "skipped: "); ok {
		t.Skipf("WebGPU in a browser was not tried: %s", why)
	}
	if want := fmt.Sprintf(`["gpu",%q,%q]`, native(t, "ROMEO:"), native(t, "ROMEO:", "\n\nJULIET:")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	t.Logf("on WebGPU the first text comes %s s after the model is asked for", p.Eval(seconds))
}

// firstText notes when a page shows the first of an answer, in milliseconds from when it was gone to; seconds is that as text. How long
// it takes is said by -v, and no test holds it: the download is over loopback, and what else the machine does counts.
const (
	firstText = `new MutationObserver((_, watch) => {
		if (![...document.querySelectorAll("article.assistant")].some(e => e.firstChild?.data)) return;
		globalThis.firstText = performance.now();
		watch.disconnect();
	}).observe(document, {childList: true, subtree: true});`
	seconds = `(firstText / 1000).toFixed(2)`
)

// A visitor's way: the demo writes by itself, a memory is kept and is there after a reload and in a new tab, without a network.
func TestPage(t *testing.T) {
	s := serve(t)
	b := chromium.Browse(t)
	p := b.Open("about:blank")
	p.Command("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "delete Navigator.prototype.gpu;" + firstText})
	p.Visit(s.URL + "/")
	const answered = `!document.querySelector("#send").hidden && document.querySelectorAll("article").length === %d && document.querySelector("article:last-child p").innerText.includes("seed")`
	p.Until(fmt.Sprintf(answered, 2))
	t.Logf("on the CPU engine the first text comes %s s after the page is gone to", p.Eval(seconds))
	p.Picture("first visit")
	if device := p.Eval(`document.querySelector("#device").innerText`); !strings.Contains(device, "CPU") || !strings.Contains(device, "this browser offers no WebGPU") {
		t.Errorf("got %q, want the CPU and why", device)
	}
	p.Eval(`document.querySelector("#maxTokens").value = 30; document.querySelector("#prompt").value = "JULIET:"; document.querySelector("#send").click()`)
	p.Until(fmt.Sprintf(answered, 4))
	p.Eval(`document.querySelector("#memoryPart").open = true`)
	p.Until(`document.querySelectorAll("#pictures canvas").length === 8`)
	p.Eval(`document.querySelector("#keep").click()`)
	p.Until(`document.querySelector("#ask").open`)
	p.Picture("keep a memory")
	p.Eval(`document.querySelector("#ask input").value = "star / crossed"; document.querySelector("#ask button").click()`)
	p.Until(`document.querySelector("#memory").value === "star / crossed"`)
	p.Command("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}})
	p.Picture("memory, dark")
	p.Command("Emulation.setDeviceMetricsOverride", map[string]any{"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true})
	if wide := p.Eval(`document.documentElement.scrollWidth > innerWidth`); wide != "false" {
		t.Error("the page is wider than a phone")
	}
	p.Picture("phone, memory")
	p.Eval(`document.querySelector("#memoryPart").open = false`)
	p.Picture("phone, dark")
	p.Command("Emulation.clearDeviceMetricsOverride", nil)
	text, position := p.Eval(`document.querySelector("#text").innerText.replace(/\s*again$/, "")`), p.Eval(`document.querySelector("#position").innerText`)
	p.Until(`navigator.serviceWorker.controller !== null`)
	p.Close()

	s.Close()
	p = b.Open(s.URL + "/")
	p.Until(fmt.Sprintf(answered, 4))
	p.Until(`!document.querySelector("#keep").disabled`)
	if got := p.Eval(`document.querySelector("#text").innerText.replace(/\s*again$/, "")`); got != text {
		t.Errorf("in a new tab, without a network: got %q, want %q", got, text)
	}
	if got := p.Eval(`document.querySelector("#position").innerText`); got != position {
		t.Errorf("in a new tab: got %q, want %q", got, position)
	}
	p.Eval(`document.querySelector("#prompt").value = "ROMEO:"; document.querySelector("#prompt").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", cancelable: true}))`)
	p.Until(fmt.Sprintf(answered, 6))
	p.Picture("without a network")
}

// TestWriteFails: whichever change of the file system fails, the folder has the files of one page; the old worker may stand beside
// the new files, never a new one beside old files.
func TestWriteFails(t *testing.T) {
	of := func(version string) map[string][]byte {
		return map[string][]byte{"a.js": []byte(version), entrance: []byte(version), "index.html": []byte(version), worker: []byte(version), "z.js": []byte(version)}
	}
	seen := map[string]int{} // how often what a server finds says that it is unfinished
	for at := 0; ; at++ {
		dir := filepath.Join(t.TempDir(), "page")
		if _, err := writeFiles(dir, of("old")); err != nil {
			t.Fatal(err)
		}
		n, broken := 0, errors.New("broken")
		atomicfile.Fault = func(string) error {
			if n++; n == at+1 {
				return broken
			}
			return nil
		}
		size, err := writeFiles(dir, of("new"))
		atomicfile.Fault = nil
		for name, text := range unfinished {
			mine := content(t, dir, name)
			if mine == text {
				seen[name]++
			} else if a, z := content(t, dir, "a.js"), content(t, dir, "z.js"); mine != a || mine != z {
				t.Errorf("change %d: a server gives %q as %s, beside %q and %q", at, mine, name, a, z)
			}
		}
		if again := atomicfile.Recover(dir); again != nil {
			t.Fatal(again)
		}
		found := map[string]string{}
		for name := range of("") {
			found[name] = content(t, dir, name)
		}
		whole := found["a.js"] == found["z.js"] && found["a.js"] == found["index.html"]
		if !whole || found[worker] == "new" && found["a.js"] == "old" || err == nil && (found[worker] != "new" || size != 15) {
			t.Errorf("change %d: got %v of %d bytes (%v)", at, found, size, err)
		}
		if err == nil {
			break
		}
	}
	if seen["index.html"] < 2 || seen[entrance] < 2 {
		t.Errorf("got %v failures that left a page which says so, want some", seen)
	}
}

// content is what a file of a folder has in it.
func content(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
