package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitgpu/serve/store/storetest"
)

// TestForeign: what is no memory of a server is named, and does not stand in the way of the others.
func TestForeign(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "hello", "cut": `{"id":"mem_`, "another's": `{"id":"mem_AAAAAAAAAAAAAAAAAAAAAAAAAA","file":""}`,
		"another's file": `{"id":"ID","file":"mem_AAAAAAAAAAAAAAAAAAAAAAAAAA-X.memory"}`, "outside": `{"id":"ID","file":"../ID-X.memory"}`,
		"negative": `{"id":"ID","file":"ID-X.memory","bytes":-1}`, "a lease for ever": `{"id":"ID","writer":{"lease_ms":9000000000000000000}}`, "a folder": `{"id":"ID","file":"ID-/../x.memory"}`, "huge": strings.Repeat(" ", mostHead) + `{"id":"ID"}`,
	} {
		s := newStore(t, &RAM{}, longLease)
		good, id := made(t, s, "good").ID, NewID()
		if _, err := s.objects.Put(t.Context(), s.headName(id), strings.NewReader(strings.ReplaceAll(text, "ID", id)), Absent); err != nil {
			t.Fatal(err)
		}
		_, err := s.About(t.Context(), id)
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), id+".json: is not what a server has written") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := s.Write(t.Context(), id); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: writing: got %v", name, err)
		}
		told := 0
		if all, err := s.List(t.Context(), func(error) { told++ }); err != nil || len(all) != 1 || all[0].ID != good || told != 1 {
			t.Errorf("%s: a list: got %v, %v, and %d told", name, all, err, told)
		}
		s.objects = late{s.objects, time.Hour}
		if err := s.Collect(t.Context(), time.Minute); err != nil || len(names(t, s)) != 3 {
			t.Errorf("%s: got %v, and %q stay", name, err, names(t, s))
		}
	}
	s := newStore(t, &RAM{}, longLease)
	for _, id := range []string{"", "mem_", "../x", "mem_aaaaaaaaaaaaaaaaaaaaaaaaaa", "mem_AAAAAAAAAAAAAAAAAAAAAAAAAA/"} {
		if _, err := s.About(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v", id, err)
		}
	}
}

// TestOpenS3: what is wrong with a place is a sentence.
func TestOpenS3(t *testing.T) {
	b := storetest.NewBucket(t)
	for _, c := range []struct{ place, endpoint, want string }{
		{"s3://", b.URL, `got "s3://", want s3://BUCKET or s3://BUCKET/PREFIX`},
		{"s3:///x", b.URL, `want s3://BUCKET`},
		{"s3://other/x", b.URL, `s3://other/x: there is no bucket "other" at ` + b.URL},
		{"s3://memories", "127.0.0.1:9000", `endpoint: got "127.0.0.1:9000", want one such as https://`},
		{"s3://memories", "ftp://127.0.0.1", `endpoint: got "ftp://127.0.0.1"`},
		{"s3://memories", b.URL + "/path", "endpoint: got"},
		{"s3://memories", "http://127.0.0.1:1", "connection refused"},
	} {
		if _, err := Open(t.Context(), c.place, c.endpoint); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s at %s: got %v, want %s", c.place, c.endpoint, err, c.want)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL", b.URL)
	opened(t, "s3://memories", "")
}

// TestDirectoryOfOneServer: a directory whose server has died may be shared, and a file is no directory.
func TestDirectoryOfOneServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model", ".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if IsShared(dir) {
		t.Error("it is shared before anybody has opened it")
	}
	opened(t, dir, "")
	if !IsShared(dir) {
		t.Error("it is not shared")
	}
	if _, err := OpenDirectory(filepath.Join(dir, "model", ".lock")); err == nil {
		t.Error("a file was opened as a directory")
	}
}

// FuzzHead: whatever a head is, it is a memory's or refused, and nothing else is touched by those who look at it.
func FuzzHead(f *testing.F) {
	id := NewID()
	for _, text := range []string{"", "{}", `{"id":"ID","file":""}`, `{"id":"ID","file":"ID-X.memory","bytes":3,"tokens":1,"writer":{"token":"x","lease_ms":1},"mark":"y"}`,
		`{"id":"ID","gone":true}`, `{"id":"ID","used_at":-1,"name":"é"}`} {
		f.Add(strings.ReplaceAll(text, "ID", id))
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &RAM{}
		s, err := New(t.Context(), r, "model", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{s.headName(id): text, "model/notes.txt": "mine", "other/x": "mine"} {
			if _, err := r.Put(t.Context(), name, strings.NewReader(text), Absent); err != nil {
				t.Fatal(err)
			}
		}
		a, err := s.About(t.Context(), id)
		if of, ok := stateOf(a.File); err == nil && (a.ID != id || !ok || of != id || a.Bytes < 0 || a.Tokens < 0) {
			t.Errorf("got %+v", a)
		}
		if err != nil && !errors.Is(err, ErrBroken) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		s.List(t.Context(), func(error) {})
		s.Evict(t.Context(), 0, func(error) {})
		if l, err := s.Write(t.Context(), id); err == nil {
			l.Release(t.Context())
		}
		s.objects = late{r, time.Hour}
		if err := s.Collect(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		s.Delete(t.Context(), id)
		for _, name := range []string{"model/notes.txt", "other/x"} {
			if text, _ := content(t, r, name); text != "mine" {
				t.Errorf("%s: got %q", name, text)
			}
		}
	})
}
