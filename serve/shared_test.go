package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/serve/store"
	"bitgpu/serve/store/storetest"
)

// roundRobin sends each request to the next of several servers.
func roundRobin(t testing.TB, addresses []string) *httptest.Server {
	var next atomic.Int64
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := url.Parse(addresses[int(next.Add(1))%len(addresses)])
			r.SetURL(to)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server
}

// replicas are three servers with a store in common: each alone, and all behind a proxy that knows nothing of memories.
func replicas(t *testing.T, objects func() store.Objects, o Options) (all *client, each []*client) {
	t.Helper()
	var addresses []string
	for range 3 {
		o.MemoryStore = objects()
		c := begin(t, o)
		each, addresses = append(each, c), append(addresses, c.http.URL)
	}
	all = &client{t: t, server: each[0].server, others: []*Server{each[1].server, each[2].server}, http: roundRobin(t, addresses)}
	return all, each
}

// stores are those that memories are tested in.
func stores(t *testing.T, test func(t *testing.T, objects func() store.Objects)) {
	open := func(t *testing.T, place, endpoint string) func() store.Objects {
		return func() store.Objects {
			o, err := store.Open(t.Context(), place, endpoint)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
	}
	t.Run("directory", func(t *testing.T) { test(t, open(t, t.TempDir(), "")) })
	t.Run("S3", func(t *testing.T) { test(t, open(t, "s3://memories/ours", storetest.NewBucket(t).URL)) })
	t.Run("S3 program", func(t *testing.T) { test(t, open(t, "s3://memories/ours", storetest.StartProgram(t))) })
}

// TestAnyReplicaKnowsAMemory: what one has learned another goes on from, to the byte.
func TestAnyReplicaKnowsAMemory(t *testing.T) {
	stores(t, func(t *testing.T, objects func() store.Objects) {
		all, each := replicas(t, objects, Options{})
		model, _ := demoModel()
		session, err := model.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		id := all.newMemory("Rosalind")
		for i, text := range []string{"My name is Rosalind.", " I dwell", " in the skirts of the forest,", " like fringe upon a petticoat."} {
			if v := each[i%3].post("/v1/memories/"+id+"/learn", `{"text":`+quote(text)+`}`).object(t); at(v, "object") != "memory.learned" {
				t.Errorf("got %v", v)
			}
			if _, err := session.Learn(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		want, err := session.Generate(t.Context(), "\nROSALIND:", bitgpu.Options{MaxTokens: 20, Temperature: 1, Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(c *client, id, more string) string {
			return c.text(`{"prompt":"\nROSALIND:","max_tokens":20,"seed":4,"memory":"` + id + `"` + more + `}`)
		}
		for i, c := range each {
			if got := ask(c, id, `,"learn":false`); got != want {
				t.Errorf("replica %d: got %q, want %q", i, got, want)
			}
			if list := at(c.get("/v1/memories").object(t), "data").([]any); len(list) != 1 || at(list[0], "name") != "Rosalind" {
				t.Errorf("replica %d: got %v", i, list)
			}
		}
		fork := at(each[0].post("/v1/memories/"+id+"/fork", `{}`).object(t), "id").(string)
		file := each[1].get("/v1/memories/" + id + "/file")
		copied := at(each[2].send(t.Context(), "POST", "/v1/memories?name=copy", memoryType, file.body).object(t), "id").(string)
		for _, other := range []string{fork, copied} {
			if got := ask(each[1], other, ""); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if a := each[0].send(t.Context(), "PUT", "/v1/memories/"+fork+"/file", memoryType, file.body); a.status != 200 {
			t.Errorf("PUT file: got %d %s", a.status, a.body)
		}
		if got := ask(each[2], fork, ""); got != want {
			t.Errorf("a replaced file: got %q, want %q", got, want)
		}
		each[1].send(t.Context(), "DELETE", "/v1/memories/"+id, "", "").object(t)
		if a := each[0].get("/v1/memories/" + id); a.status != 404 {
			t.Errorf("a deleted memory: got %d", a.status)
		}
		checkRefusal(t, "a deleted memory", each[2].post("/v1/completions", `{"prompt":"a","memory":"`+id+`"}`), 404, "memory_not_found", "memory")
	})
}

// TestOneWriterOfAllReplicas: the second is told at once, readers read what was before, and keys see their own only.
func TestOneWriterOfAllReplicas(t *testing.T) {
	stores(t, func(t *testing.T, objects func() store.Objects) {
		_, each := replicas(t, objects, Options{Keys: []string{"first", "second"}})
		one, two := each[0].as("first"), each[1].as("first")
		id := one.newMemory("")
		w, err := one.server.store.write(one.server.guard.owners[sha256.Sum256([]byte("first"))], id)
		if err != nil {
			t.Fatal(err)
		}
		checkRefusal(t, "a second writer", two.post("/v1/completions", `{"prompt":"a","memory":"`+id+`"}`), 409, "memory_in_use", "memory")
		checkRefusal(t, "learning", two.post("/v1/memories/"+id+"/learn", `{"text":"a"}`), 409, "memory_in_use", "memory")
		checkRefusal(t, "deleting", two.send(t.Context(), "DELETE", "/v1/memories/"+id, "", ""), 409, "memory_in_use", "memory")
		two.post("/v1/completions", `{"prompt":"a","max_tokens":1,"learn":false,"memory":"`+id+`"}`).object(t)
		other := each[2].as("second")
		for path, method := range map[string]string{"": "GET", "/file": "GET", "/learn": "POST", "/fork": "POST"} {
			checkRefusal(t, "another key's", other.send(t.Context(), method, "/v1/memories/"+id+path, "application/json", `{"text":"a"}`), 404, "memory_not_found", "memory")
		}
		if err := w.commit(); err != nil {
			t.Fatal(err)
		}
		two.post("/v1/memories/"+id+"/learn", `{"text":"a"}`).object(t)
	})
}

// halting are objects that a replica does not reach while it stands still.
type halting struct {
	store.Objects
	halted atomic.Bool
}

func (o *halting) Put(ctx context.Context, name string, body io.ReadSeeker, version string) (string, error) {
	if o.halted.Load() {
		return "", errors.New("stands still")
	}
	return o.Objects.Put(ctx, name, body, version)
}

// TestStaleReplica: who was taken for dead is refused with his save, and says so.
func TestStaleReplica(t *testing.T) {
	r := &store.RAM{}
	var opened []*halting
	_, each := replicas(t, func() store.Objects {
		opened = append(opened, &halting{Objects: r})
		return opened[len(opened)-1]
	}, Options{MemoryLease: time.Second})
	id := each[0].newMemory("")
	w, err := each[0].server.store.write(nobody, id)
	if err != nil {
		t.Fatal(err)
	}
	opened[0].halted.Store(true)
	for {
		a := each[1].post("/v1/memories/"+id+"/learn", `{"text":"the other"}`)
		if a.status == 200 {
			break
		}
		checkRefusal(t, "before the lease is over", a, 409, "memory_in_use", "memory")
		time.Sleep(50 * time.Millisecond)
	}
	opened[0].halted.Store(false)
	tokens := at(each[2].get("/v1/memories/"+id).object(t), "tokens")
	var told *apiError
	if err := w.commit(); !errors.As(err, &told) || told.status != 409 || told.code != "memory_lost" {
		t.Errorf("got %v", err)
	}
	if a := at(each[2].get("/v1/memories/"+id).object(t), "tokens"); a != tokens || tokens == 0.0 {
		t.Errorf("got %v tokens, want the other's %v", a, tokens)
	}
}

// TestStoreFails: a store that does not answer is told from a memory that is not there, and the log names what went wrong.
func TestStoreFails(t *testing.T) {
	b := storetest.NewBucket(t)
	objects := func() store.Objects {
		o, err := store.Open(t.Context(), "s3://memories/ours", b.URL)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	c := begin(t, Options{MemoryStore: objects(), ResidentLimit: 1})
	id := c.newMemory("")
	learn := func() answer { return c.post("/v1/memories/"+id+"/learn", `{"text":"a"}`) }
	b.SetFault(func(*http.Request) storetest.Fault { return storetest.Refuse })
	checkRefusal(t, "a store that refuses", learn(), 503, "memory_store", "")
	checkRefusal(t, "a store that refuses", c.get("/v1/memories"), 503, "memory_store", "")
	checkRefusal(t, "a store that refuses", c.post("/v1/memories", "{}"), 503, "memory_store", "")
	b.SetFault(nil)
	learn().object(t)
	model, _ := demoModel()
	var state string
	for _, key := range b.Keys() {
		if strings.HasSuffix(key, store.StateSuffix) {
			state = key
		}
	}
	for name, data := range map[string]string{"foreign": "hello", "empty": "", "gone": ""} {
		b.Set(state, []byte(data), time.Now())
		if name == "gone" {
			b.Remove(state)
		}
		checkRefusal(t, name, learn(), 500, "internal", "")
	}
	b.Set("ours/"+model.ID()+"/"+id+store.HeadSuffix, []byte("hello"), time.Now())
	checkRefusal(t, "a head that is none", learn(), 500, "internal", "")
	if list := at(c.get("/v1/memories").object(t), "data").([]any); len(list) != 0 {
		t.Errorf("got %v", list)
	}
	c.newMemory("")
}

// longAgo has the next who looks count.
func (s *sharedMemories) longAgo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted = time.Time{}
}

// TestSharedMemoryLimit: the limit is that of all replicas together.
func TestSharedMemoryLimit(t *testing.T) {
	most := begin(t, Options{}).server.store.measured().largest()
	dir := t.TempDir()
	objects := func() store.Objects {
		o, err := store.OpenDirectory(dir)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	_, each := replicas(t, objects, Options{MemoryLimit: 4 * most})
	records := each[0].server.store.(*sharedMemories).records
	for i := range 9 {
		each[i%3].server.store.(*sharedMemories).longAgo()
		each[i%3].newMemory(fmt.Sprint(i))
		total, err := records.Total(t.Context())
		if err != nil || total.Bytes > 4*most {
			t.Errorf("memory %d: got %d bytes, %v, want at most %d", i, total.Bytes, err, 4*most)
		}
	}
	if total, err := records.Total(t.Context()); err != nil || total.Memories < 3 {
		t.Errorf("got %+v, %v, want three memories or more", total, err)
	}
	model, _ := demoModel()
	if _, err := New(model, Options{MemoryStore: objects(), MemoryLimit: most}); !errors.Is(err, ErrOption) {
		t.Errorf("a limit that has no room for one memory: got %v", err)
	}
	if _, err := New(model, Options{MemoryStore: objects(), MemoryDir: dir}); !errors.Is(err, ErrOption) {
		t.Errorf("both: got %v", err)
	}
	if _, err := New(model, Options{MemoryDir: dir}); err == nil || !strings.Contains(err.Error(), "is a store that servers share") {
		t.Errorf("a directory of a store for one server: got %v", err)
	}
	own := filepath.Join(t.TempDir(), "own")
	begin(t, Options{MemoryDir: own})
	if _, err := store.OpenDirectory(own); err == nil || !strings.Contains(err.Error(), "that it does not share") {
		t.Errorf("a directory of one server as a store: got %v", err)
	}
}

// TestScratch: the folder of a server that was killed goes, that of one at work stays.
func TestScratch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead, lock, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	alive, held, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := os.Stat(dead); err != nil {
		t.Error("the folder of a server at work has gone")
	}
	lock.Close()
	_, next, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := os.Stat(dead); err == nil {
		t.Error("the folder of a dead server is still there")
	}
	if _, err := os.Stat(alive); err != nil {
		t.Error("the folder of a server at work has gone with it")
	}
}

// TestTextsOfReplicas: sixty-four at a time, through a proxy that takes the replicas in turn, are those that the model writes alone.
func TestTextsOfReplicas(t *testing.T) {
	model, err := demoModel()
	if err != nil {
		t.Fatal(err)
	}
	r := &store.RAM{}
	all, _ := replicas(t, func() store.Objects { return r }, Options{Parallel: 4, Queue: 64})
	long := strings.Repeat("What light through yonder window breaks? It is the east. ", 40)
	all.concurrent(requestsOf(t, model, few(64, 16), 20, []string{"ROMEO:", "O, she doth teach", "JULIET:\nAy me!", long, long[:1500]}), 64)
}

// TestConversationsOfReplicas: sixty-four conversations with memories at once, whose turns go to whichever replica is next, have the
// texts of sessions alone.
func TestConversationsOfReplicas(t *testing.T) {
	model, err := demoModel()
	if err != nil {
		t.Fatal(err)
	}
	stores(t, func(t *testing.T, objects func() store.Objects) {
		all, _ := replicas(t, objects, Options{Parallel: 4, Queue: 64})
		prompts := []string{"ROMEO:", "\nJULIET:", "What light through yonder window breaks?", "\nAnd then", "Ay me!"}
		var talking sync.WaitGroup
		for i := range few(64, 8) {
			talking.Go(func() {
				random := rand.New(rand.NewPCG(5, uint64(i)))
				session, err := model.NewSession()
				if err != nil {
					t.Error(err)
					return
				}
				defer session.Close()
				id := at(all.post("/v1/memories", `{}`).value(), "id")
				for turn := range 3 {
					prompt := prompts[random.IntN(len(prompts))]
					o := bitgpu.Options{MaxTokens: 1 + random.IntN(10), Temperature: 0.9, TopK: random.IntN(50), Seed: uint64(random.IntN(1000))}
					want, err := session.Generate(context.Background(), prompt, o)
					if err != nil {
						t.Error(err)
						return
					}
					a := all.post("/v1/completions", fmt.Sprintf(`{"prompt":%s,"max_tokens":%d,"temperature":0.9,"top_k":%d,"seed":%d,"memory":"%v"}`,
						quote(prompt), o.MaxTokens, o.TopK, o.Seed, id))
					if got := at(a.value(), "choices", 0, "text"); got != want {
						t.Errorf("conversation %d, turn %d: got %q, want %q: %d %s", i, turn, got, want, a.status, a.body)
						return
					}
				}
			})
		}
		talking.Wait()
		all.idle()
	})
}
