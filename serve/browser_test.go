package serve

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser opens the page in a headless Chromium. Its screenshots go to the folder that BITGPU_SCREENSHOTS names, if any.
func browser(t *testing.T, width, height int64) (context.Context, func(name string)) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: the page was not tried in a browser")
	}
	// Not those of the default: in a container there are no namespaces, and what is not headless has no use.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("headless", "new"),
		chromedp.WindowSize(int(width), int(height)), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(5*time.Minute))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	return ctx, func(name string) {
		t.Helper()
		dir := os.Getenv("BITGPU_SCREENSHOTS")
		if dir == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What a person does at the page: write, read along, stop, load the page again, take a text back, and make, teach, fork, look at and
// download a memory, also at the width of a phone.
func TestPageInABrowser(t *testing.T) {
	c := begin(t, Options{})
	ctx, screenshot := browser(t, 1000, 800)
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	is := func(expression string) bool {
		t.Helper()
		found, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		return found
	}
	script := func(statements string) {
		t.Helper()
		is(statements + "; true")
	}
	wait := func(expression string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(2*time.Minute))); err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
	}
	text := func(expression string) string {
		t.Helper()
		found, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		return found
	}
	// A person's Enter puts no line end into the field, since the page takes the key; the driver's comes by itself.
	enter := func() {
		t.Helper()
		script(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}))`)
	}
	// What asks a person cannot be operated, so it answers by itself.
	answer := func() {
		t.Helper()
		script(`prompt = () => "Rosalind"; confirm = () => true`)
	}
	const answers, last = `document.querySelectorAll("article.assistant").length`, `[...document.querySelectorAll("article")].at(-1).innerText`
	const idle = `document.getElementById("stop").hidden`

	do("open", chromedp.Navigate(c.http.URL), chromedp.WaitVisible("#prompt"))
	wait(`document.getElementById("name").textContent === "demo"`)
	answer()
	screenshot("1-empty")

	do("type", chromedp.SetValue("#seed", "7"), chromedp.SendKeys("#prompt", "ROMEO:"))
	enter()
	wait(answers + ` === 1 && ` + idle)
	want := c.text(`{"prompt":"ROMEO:","max_tokens":200,"temperature":0.8,"seed":7}`)
	if got := text(`turns[1].text`); got != want {
		t.Errorf("the page has %q, want %q", got, want)
	}
	if note := text(last); !strings.Contains(note, "tokens, ") || !strings.Contains(note, "a second") {
		t.Errorf("got %q, want how fast it was", note)
	}
	screenshot("2-written")

	do("reload", chromedp.Reload(), chromedp.WaitVisible("#prompt"))
	wait(answers + ` === 1`)
	answer()
	if got := text(`turns[1].text`); got != want {
		t.Errorf("after a reload: got %q", got)
	}

	script(`[...document.querySelectorAll("article button")].at(-1).click()`)
	wait(answers + ` === 1 && ` + idle)
	if got := text(`turns[1].text`); got != want {
		t.Errorf("again with the same seed: got %q", got)
	}

	do("a long text", chromedp.SetValue("#max_tokens", "1000000"), chromedp.SendKeys("#prompt", "JULIET:"), chromedp.Click("#send"))
	wait(answers + ` === 2 && turns.at(-1).text.length > 20`)
	screenshot("3-streaming")
	do("stop", chromedp.Click("#stop"))
	wait(idle + ` && turns.at(-1).note.includes("stopped")`)
	until(func() bool { busy, _ := c.server.gate.counts(); return busy == 0 })

	script(`[...document.querySelectorAll("article.user button")].at(-1).click()`)
	if !is(`document.getElementById("prompt").value === "JULIET:" && turns.length === 2`) {
		t.Error("what is to be edited is not in the field")
	}
	script(`document.getElementById("prompt").value = ""`)
	do("clear", chromedp.Click("#clear"), chromedp.SetValue("#max_tokens", "20"))

	do("a memory", chromedp.Click("#make"))
	wait(`document.getElementById("memory").value !== ""`)
	do("look", chromedp.Click("#learned summary"))
	wait(`document.getElementById("picture").naturalWidth > 32`)
	before := text(`document.getElementById("picture").src`)
	// A chooser of files cannot be operated; the input behind it is the page's own.
	script(`choose = async () => new File([` + quote(strings.Repeat("My name is Rosalind, and the forest is my home.\n", 8)) + `], "notes.txt")`)
	do("teach", chromedp.Click("#teach"))
	wait(`document.getElementById("memory").selectedOptions[0].textContent.match(/ (\d+) tokens/)[1] > 50`)
	wait(`document.getElementById("picture").src !== ` + quote(before) + ` && document.getElementById("picture").complete`)
	screenshot("4-taught")

	do("fork", chromedp.Click("#fork"))
	wait(`document.getElementById("memory").options.length === 3`)
	do("remember", chromedp.SendKeys("#prompt", "My name is"))
	enter()
	wait(answers + ` === 1 && ` + idle)
	if n := len(at(c.get("/v1/memories").object(t), "data").([]any)); n != 2 {
		t.Errorf("got %d memories, want two", n)
	}
	script(`URL.createObjectURL = (make => blob => { if (blob.type !== "image/png") window.saved = blob.size; return make.call(URL, blob) })(URL.createObjectURL)`)
	do("download", chromedp.Click("#save"))
	wait(`window.saved > 1000`)

	do("a phone", chromedp.EmulateViewport(360, 640), chromedp.Reload(), chromedp.WaitVisible("#prompt"))
	wait(answers + ` === 1 && document.getElementById("memory").value !== ""`)
	answer()
	if !is(`document.documentElement.scrollWidth <= 360`) {
		t.Error("the page is wider than a phone")
	}
	screenshot("5-phone")
	do("delete", chromedp.Click("#drop"))
	wait(`document.getElementById("memory").options.length === 2`)
	do("keyboard", chromedp.SetValue("#max_tokens", "1000000"), chromedp.Focus("#prompt"), chromedp.KeyEvent("HAMLET:"))
	enter()
	wait(`turns.at(-1).role === "assistant" && turns.at(-1).text.length > 5`)
	do("escape", chromedp.KeyEvent("\x1b"))
	wait(idle)
}
