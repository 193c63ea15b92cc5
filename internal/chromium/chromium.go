// Package chromium lets tests use pages in a headless Chromium, if one is installed.
package chromium

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser is a headless browser, controlled over pipes with the DevTools protocol. The little that is needed takes fewer
// lines than the use of a library, and no further module.
type Browser struct {
	t       *testing.T
	out     *os.File
	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	profile string
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// patience is how long anything may take on a busy machine.
const patience = 10 * time.Minute

// Browse starts the browser with a new profile, or skips the test if there is none.
func Browse(t *testing.T, flags ...string) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: the page was not tried in a browser")
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	cmd := exec.Command(path, append([]string{"--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--user-data-dir=" + profile, "--window-size=1000,800"}, flags...)...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{t: t, out: out, waiting: map[int]chan reply{}, profile: profile}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for r := bufio.NewReader(in); ; {
			line, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m reply
			if json.Unmarshal(line[:len(line)-1], &m) != nil {
				continue
			}
			b.mu.Lock()
			if c := b.waiting[m.ID]; c != nil {
				c <- m
				delete(b.waiting, m.ID)
			}
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		b.try("", "Browser.close", map[string]any{})
		out.Close()
		cmd.Wait()
		in.Close()
		<-read
	})
	return b
}

// try sends a command, to a tab if session is not "".
func (b *Browser) try(session, method string, params map[string]any) (json.RawMessage, error) {
	b.mu.Lock()
	b.next++
	id, c := b.next, make(chan reply, 1)
	b.waiting[id] = c
	m := map[string]any{"id": id, "method": method, "params": params}
	if session != "" {
		m["sessionId"] = session
	}
	data, err := json.Marshal(m)
	if err == nil {
		_, err = b.out.Write(append(data, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r := <-c:
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer in %v", method, patience)
	}
}

// Tab is a page of the browser.
type Tab struct {
	*Browser
	session, target string
}

// Open opens a page in a new tab.
func (b *Browser) Open(url string) *Tab {
	b.t.Helper()
	var target struct{ TargetID string }
	var session struct{ SessionID string }
	b.do("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.do("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &Tab{b, session.SessionID, target.TargetID}
	p.Command("Page.enable", nil)
	p.Visit(url)
	return p
}

func (b *Browser) do(session, method string, params map[string]any, into any) {
	b.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	r, err := b.try(session, method, params)
	if err == nil && into != nil {
		err = json.Unmarshal(r, into)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// Command sends a command of the protocol, which must not fail.
func (p *Tab) Command(method string, params map[string]any) {
	p.t.Helper()
	p.do(p.session, method, params, nil)
}

// Visit opens a page and returns once it has loaded.
func (p *Tab) Visit(url string) {
	p.t.Helper()
	p.Command("Page.navigate", map[string]any{"url": url})
	p.Until(fmt.Sprintf("location.href.startsWith(%q) && document.readyState === 'complete'", url))
}

// Close closes the tab.
func (p *Tab) Close() { p.do("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil) }

// Resize gives the page a size in pixels.
func (p *Tab) Resize(width, height int) {
	p.t.Helper()
	p.Command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// Type enters a text where the focus is, as any keyboard does.
func (p *Tab) Type(text string) {
	p.t.Helper()
	p.Command("Input.insertText", map[string]any{"text": text})
}

// Press presses and releases a key by its name, such as Escape.
func (p *Tab) Press(key string) {
	p.t.Helper()
	for _, what := range []string{"rawKeyDown", "keyUp"} {
		p.Command("Input.dispatchKeyEvent", map[string]any{"type": what, "key": key, "code": key})
	}
}

// Run evaluates an expression, which may be a promise.
func (p *Tab) Run(expression string) (string, error) {
	r, err := p.try(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true})
	if err != nil {
		return "", err
	}
	var v struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(r, &v); err != nil {
		return "", err
	}
	if e := v.ExceptionDetails; e != nil {
		return "", fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	var text string
	if json.Unmarshal(v.Result.Value, &text) == nil {
		return text, nil
	}
	return string(v.Result.Value), nil
}

// Eval is Run for what must not fail; a value that is not text is returned as JSON.
func (p *Tab) Eval(expression string) string {
	p.t.Helper()
	v, err := p.Run(expression)
	if err != nil {
		p.t.Fatalf("%.300s: %v", expression, err)
	}
	return v
}

// Until waits until an expression is true.
func (p *Tab) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		v, err := p.Run(expression)
		if err == nil && v == "true" {
			return
		}
		if time.Now().After(end) {
			text, _ := p.Run("document.body.innerText")
			p.t.Fatalf("never true: %s (%v)\n%s", expression, err, text)
		}
	}
}

// Picture saves a screenshot if BITGPU_SCREENSHOTS names a folder.
func (p *Tab) Picture(name string) {
	dir := os.Getenv("BITGPU_SCREENSHOTS")
	if dir == "" {
		return
	}
	var r struct{ Data string }
	p.do(p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(dir+"/"+strings.ReplaceAll(name, " ", "-")+".png", data, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// Peak returns the largest memory that a page of the browser has used, in bytes.
func (b *Browser) Peak() (most int64, err error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		if !strings.Contains(string(line), "--type=renderer") || !strings.Contains(string(line), b.profile) {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		var kilobytes int64
		if _, err := fmt.Sscan(rest, &kilobytes); err == nil {
			most = max(most, kilobytes<<10)
		}
	}
	if most == 0 && err == nil {
		err = fmt.Errorf("no page of %s was found", b.profile)
	}
	return most, err
}
