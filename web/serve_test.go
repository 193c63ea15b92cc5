package web

import (
	"net/http/httptest"
	"testing"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/internal/chromium"
	program "bitgpu/serve"
)

// Behind "bitgpu serve", at a path of its own and with the policy that it sends, the page runs the demo, and keeps itself for later.
func TestPageBehindServe(t *testing.T) {
	if _, err := engine(); err != nil { // built before anybody waits for it
		t.Fatal(err)
	}
	m, err := bitgpu.LoadBytes("demo", demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := program.New(m, program.Options{LocalOnly: true, Local: engine})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	p := chromium.Browse(t).Open("about:blank")
	p.Command("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "delete Navigator.prototype.gpu; globalThis.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.blockedURI))"})
	p.Visit(server.URL + "/local/")
	p.Until(`!document.querySelector("#send").hidden && document.querySelectorAll("article").length === 2 && document.querySelector("article:last-child p").innerText.includes("seed")`)
	p.Until(`navigator.serviceWorker.controller !== null`)
	if got := p.Eval(`JSON.stringify(refused)`); got != "[]" {
		t.Errorf("the policy refuses %s", got)
	}
	got := p.Eval(`(async () => {
		const {load} = await import("/local/bitgpu.js");
		const model = await load(undefined, {backend: "cpu"});
		let text = "";
		for await (const piece of model.generate("ROMEO:", {maxTokens: 60, temperature: 0.8, seed: 7})) text += piece.text ?? piece;
		return text})()`)
	if want := native(t, "ROMEO:"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
