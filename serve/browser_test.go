package serve

import (
	"strings"
	"testing"

	"bitgpu/internal/chromium"
)

// What a person does at the page: write, read along, stop, load the page again, take a text back, and make, teach, fork, look at and
// download a memory, also at the width of a phone.
func TestPageInABrowser(t *testing.T) {
	c := begin(t, Options{})
	p := chromium.Browse(t).Open("about:blank")
	p.Resize(1000, 800)
	is := func(expression string) bool {
		t.Helper()
		return p.Eval(expression) == "true"
	}
	set := func(id, value string) {
		t.Helper()
		p.Eval(`document.getElementById("` + id + `").value = ` + quote(value))
	}
	write := func(text string) {
		t.Helper()
		p.Eval(`document.getElementById("prompt").focus()`)
		p.Type(text)
	}
	click := func(id string) {
		t.Helper()
		p.Eval(`document.getElementById("` + id + `").click()`)
	}
	// A person's Enter puts no line end into the field, since the page takes the key; the driver's comes by itself.
	enter := func() {
		t.Helper()
		p.Eval(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}))`)
	}
	// What asks a person cannot be operated, so it answers by itself.
	answer := func() {
		t.Helper()
		p.Eval(`prompt = () => "Rosalind"; confirm = () => true`)
	}
	const answers, last = `document.querySelectorAll("article.assistant").length`, `[...document.querySelectorAll("article")].at(-1).innerText`
	const idle = `document.getElementById("stop").hidden`

	p.Visit(c.http.URL)
	p.Until(`document.getElementById("name").textContent === "demo"`)
	answer()
	p.Picture("1-empty")

	set("seed", "7")
	write("ROMEO:")
	enter()
	p.Until(answers + ` === 1 && ` + idle)
	want := c.text(`{"prompt":"ROMEO:","max_tokens":200,"temperature":0.8,"seed":7}`)
	if got := p.Eval(`turns[1].text`); got != want {
		t.Errorf("the page has %q, want %q", got, want)
	}
	if note := p.Eval(last); !strings.Contains(note, "tokens, ") || !strings.Contains(note, "a second") {
		t.Errorf("got %q, want how fast it was", note)
	}
	p.Picture("2-written")

	p.Visit(c.http.URL)
	p.Until(answers + ` === 1`)
	answer()
	if got := p.Eval(`turns[1].text`); got != want {
		t.Errorf("after a reload: got %q", got)
	}

	p.Eval(`[...document.querySelectorAll("article button")].at(-1).click()`)
	p.Until(answers + ` === 1 && ` + idle)
	if got := p.Eval(`turns[1].text`); got != want {
		t.Errorf("again with the same seed: got %q", got)
	}

	set("max_tokens", "1000000")
	write("JULIET:")
	click("send")
	p.Until(answers + ` === 2 && turns.at(-1).text.length > 20`)
	p.Picture("3-streaming")
	click("stop")
	p.Until(idle + ` && turns.at(-1).note.includes("stopped")`)
	until(func() bool { busy, _ := c.server.gate.counts(); return busy == 0 })

	p.Eval(`[...document.querySelectorAll("article.user button")].at(-1).click()`)
	if !is(`document.getElementById("prompt").value === "JULIET:" && turns.length === 2`) {
		t.Error("what is to be edited is not in the field")
	}
	p.Eval(`document.getElementById("prompt").value = ""`)
	click("clear")
	set("max_tokens", "20")

	click("make")
	p.Until(`document.getElementById("memory").value !== ""`)
	p.Eval(`document.querySelector("#learned summary").click()`)
	p.Until(`document.getElementById("picture").naturalWidth > 32`)
	before := p.Eval(`document.getElementById("picture").src`)
	// A chooser of files cannot be operated; the input behind it is the page's own.
	p.Eval(`choose = async () => new File([` + quote(strings.Repeat("My name is Rosalind, and the forest is my home.\n", 8)) + `], "notes.txt")`)
	click("teach")
	p.Until(`document.getElementById("memory").selectedOptions[0].textContent.match(/ (\d+) tokens/)[1] > 50`)
	p.Until(`document.getElementById("picture").src !== ` + quote(before) + ` && document.getElementById("picture").complete`)
	p.Picture("4-taught")

	click("fork")
	p.Until(`document.getElementById("memory").options.length === 3`)
	write("My name is")
	enter()
	p.Until(answers + ` === 1 && ` + idle)
	if n := len(at(c.get("/v1/memories").object(t), "data").([]any)); n != 2 {
		t.Errorf("got %d memories, want two", n)
	}
	p.Eval(`URL.createObjectURL = (make => blob => { if (blob.type !== "image/png") window.saved = blob.size; return make.call(URL, blob) })(URL.createObjectURL)`)
	click("save")
	p.Until(`window.saved > 1000`)

	p.Resize(360, 640)
	p.Visit(c.http.URL)
	p.Until(answers + ` === 1 && document.getElementById("memory").value !== ""`)
	answer()
	if !is(`document.documentElement.scrollWidth <= 360`) {
		t.Error("the page is wider than a phone")
	}
	p.Picture("5-phone")
	click("drop")
	p.Until(`document.getElementById("memory").options.length === 2`)
	set("max_tokens", "1000000")
	write("HAMLET:")
	enter()
	p.Until(`turns.at(-1).role === "assistant" && turns.at(-1).text.length > 5`)
	p.Press("Escape")
	p.Until(idle)
}
