//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/serve/store/storetest"
)

// replicas are servers with a store in common, behind a proxy that sends each request to the next of them, dead or alive.
type replicas struct {
	args  []string
	proxy *httptest.Server

	mu   sync.Mutex
	at   []*process
	urls []*url.URL
	next int
}

func startReplicas(t *testing.T, n int, args ...string) *replicas {
	r := &replicas{args: args, at: make([]*process, n), urls: make([]*url.URL, n)}
	for i := range n {
		r.start(t, i)
	}
	r.proxy = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.next++
			p.SetURL(r.urls[r.next%n])
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(r.proxy.Close)
	return r
}

func (r *replicas) start(t *testing.T, i int) {
	p, address := startServer(t, r.args...)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[i], r.urls[i] = p, u
}

// kill ends a replica as a machine that loses its power does.
func (r *replicas) kill(i int) {
	r.at[i].Process.Kill()
	r.at[i].Wait()
}

// learner teaches a memory the same few tokens again and again.
type learner struct {
	t        *testing.T
	base     string
	id       string
	tokens   []uint32
	tried    int // requests
	told     int // of which were answered with success
	unknown  int // requests whose answer did not come
	lessons  int // that the memory has, as it was told last
	refusals map[string]int
}

// send gives an answer's status and body; 0 where none came.
func (l *learner) send(method, path, body string) (int, []byte) {
	request, err := http.NewRequest(method, l.base+path, strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return 0, nil
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil
	}
	return r.StatusCode, data
}

// create makes the memory; one whose making was not told is nobody's.
func (l *learner) create() {
	for l.t.Context().Err() == nil {
		if status, data := l.send("POST", "/v1/memories", "{}"); status == http.StatusCreated {
			var made struct{ ID string }
			if err := json.Unmarshal(data, &made); err != nil {
				l.t.Error(err)
			}
			l.id = made.ID
			return
		}
	}
}

// learn is one lesson, which may be refused or lost; told says that it was neither.
func (l *learner) learn() (told bool) {
	body, _ := json.Marshal(map[string]any{"tokens": l.tokens})
	l.tried++
	status, data := l.send("POST", "/v1/memories/"+l.id+"/learn", string(body))
	var said struct {
		Memory struct{ Tokens int }
		Error  struct{ Code string }
	}
	json.Unmarshal(data, &said)
	switch {
	case status == http.StatusOK:
		l.told++
		l.check(said.Memory.Tokens)
	case status == 0 || status == http.StatusBadGateway:
		l.unknown++
	case status == http.StatusConflict || status == http.StatusServiceUnavailable:
		l.refusals[said.Error.Code]++
		time.Sleep(20 * time.Millisecond)
	default:
		l.t.Errorf("learning: got %d %s", status, data)
	}
	return status == http.StatusOK
}

// check holds how much a memory has read to what was told.
func (l *learner) check(tokens int) {
	lessons := tokens / len(l.tokens)
	if tokens%len(l.tokens) != 0 || lessons < l.told || lessons > l.tried || lessons < l.lessons {
		l.t.Errorf("%s has read %d tokens, %d lessons of %d, want %d to %d, and not fewer than %d",
			l.id, tokens, lessons, len(l.tokens), l.told, l.tried, l.lessons)
	}
	l.lessons = lessons
}

// TestReplicasKilled: replicas are killed at any moment while they learn. What was told to be learned is, in the memory's own bits.
func TestReplicasKilled(t *testing.T) {
	t.Run("directory", func(t *testing.T) { testReplicasKilled(t, filepath.Join(t.TempDir(), "store")) })
	t.Run("S3 program", func(t *testing.T) {
		t.Setenv("AWS_ENDPOINT_URL", storetest.StartProgram(t))
		testReplicasKilled(t, "s3://memories/of/ours")
	})
}

func testReplicasKilled(t *testing.T, place string) {
	kills := 5
	if text := os.Getenv("BITGPU_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const learners = 6
	r := startReplicas(t, 3, "--memory-store", place, "--memory-lease", "1s", "--log-format", "json")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []*learner
	var learning sync.WaitGroup
	var lessons atomic.Int64
	for i := range learners {
		l := &learner{t: t, base: r.proxy.URL, tokens: []uint32{uint32(10 + i), uint32(20 + i), 7}, refusals: map[string]int{}}
		all = append(all, l)
		learning.Go(func() {
			l.create()
			for ctx.Err() == nil {
				if l.learn() {
					lessons.Add(1)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	for kill := range kills {
		for before := lessons.Load(); lessons.Load() < before+4; { // a kill meets somebody who learns
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(50)) * time.Millisecond)
		i := random.IntN(3)
		r.kill(i)
		r.start(t, i)
		if t.Failed() {
			t.Fatalf("after kill %d", kill+1)
		}
	}
	cancel()
	learning.Wait()
	for i := range r.at {
		r.kill(i)
	}
	_, address := startServer(t, r.args...)
	model, err := bitgpu.LoadBytes(demo.Name, demo.Model, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	told, unknown, late := 0, 0, 0
	for _, l := range all {
		l.base = address
		_, data := l.send("GET", "/v1/memories/"+l.id, "")
		var found struct{ Tokens int }
		if err := json.Unmarshal(data, &found); err != nil {
			t.Errorf("%s: got %s", l.id, data)
			continue
		}
		l.check(found.Tokens)
		if _, data := l.send("GET", "/v1/memories/"+l.id+"/file", ""); !bytes.Equal(data, taught(t, model, l.tokens, l.lessons)) {
			t.Errorf("%s: the memory of %d lessons is not that of a session that had them", l.id, l.lessons)
		}
		told, unknown, late = told+l.told, unknown+l.unknown, late+l.lessons-l.told
		t.Logf("%d lessons told, %d without an answer, refused %v", l.told, l.unknown, l.refusals)
	}
	t.Logf("%d kills: %d lessons were told and are there; of %d without an answer %d are", kills, told, unknown, late)
	if told < kills {
		t.Errorf("got %d lessons, want more than kills", told)
	}
}

// taught is the file of a memory that was taught alone.
func taught(t *testing.T, model *bitgpu.Model, tokens []uint32, lessons int) []byte {
	t.Helper()
	session, err := model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for range lessons {
		if _, err := session.Forward(tokens); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), fmt.Sprint(lessons))
	if err := session.SaveMemory(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
