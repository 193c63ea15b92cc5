package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bitgpu/serve/store/storetest"
)

// everywhere runs a test on all objects; again opens those of a place once more, as another process does.
func everywhere(t *testing.T, test func(t *testing.T, again func() Objects)) {
	t.Run("RAM", func(t *testing.T) {
		r := &RAM{}
		test(t, func() Objects { return r })
	})
	t.Run("directory", func(t *testing.T) {
		dir := t.TempDir()
		test(t, func() Objects { return opened(t, dir, "") })
	})
	t.Run("S3", func(t *testing.T) {
		b := storetest.NewBucket(t)
		test(t, func() Objects { return opened(t, "s3://memories/of/ours/", b.URL) })
	})
	t.Run("S3 program", func(t *testing.T) {
		endpoint := storetest.StartProgram(t)
		test(t, func() Objects { return opened(t, "s3://memories/of/ours/", endpoint) })
	})
}

func opened(t *testing.T, place, endpoint string) Objects {
	t.Helper()
	o, err := Open(t.Context(), place, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// content reads an object.
func content(t testing.TB, o Objects, name string) (string, Info) {
	t.Helper()
	body, info, err := o.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), info
}

// TestObjects is what all of them promise.
func TestObjects(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		o, other := again(), again()
		ctx := t.Context()
		if _, _, err := o.Get(ctx, "m/a.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is not there: got %v", err)
		}
		first, err := o.Put(ctx, "m/a.json", strings.NewReader("one"), Absent)
		if err != nil || first == Absent {
			t.Fatalf("got %q, %v", first, err)
		}
		if text, info := content(t, other, "m/a.json"); text != "one" || info.Version != first || info.Size != 3 || info.Name != "m/a.json" {
			t.Errorf("got %q, %+v, want the version %q", text, info, first)
		}
		for _, version := range []string{Absent, "0123456789abcdef0123456789abcdef"} {
			if _, err := other.Put(ctx, "m/a.json", strings.NewReader("no"), version); !errors.Is(err, ErrChanged) {
				t.Errorf("with the version %q: got %v", version, err)
			}
		}
		if _, err := o.Put(ctx, "m/b.json", strings.NewReader("no"), first); !errors.Is(err, ErrChanged) {
			t.Errorf("another version of what is not there: got %v", err)
		}
		second, err := other.Put(ctx, "m/a.json", strings.NewReader("two"), first)
		if err != nil || second == first {
			t.Fatalf("got %q, %v", second, err)
		}
		if _, err := o.Put(ctx, "m/a.json", strings.NewReader("late"), first); !errors.Is(err, ErrChanged) {
			t.Errorf("the version before: got %v", err)
		}
		body, _, err := o.Get(ctx, "m/a.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Put(ctx, "m/a.json", strings.NewReader("three"), second); err != nil {
			t.Error(err)
		}
		if data, err := io.ReadAll(body); err != nil || string(data) != "two" {
			t.Errorf("what was opened before: got %q, %v", data, err)
		}
		body.Close()

		large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		names := []string{"m/a.json", "n/x.json", "n/y-1.memory", "n/y.json", "n/z.json", "nn/a.json"}
		for _, name := range names[1:] {
			if _, err := o.Put(ctx, name, bytes.NewReader(large), Absent); err != nil {
				t.Fatal(err)
			}
		}
		if text, _ := content(t, other, "n/y.json"); text != string(large) {
			t.Errorf("got %d bytes, want %d as they were", len(text), len(large))
		}
		for prefix, want := range map[string][]string{"n/": names[1:5], "n/y": names[2:4], "": names, "x/": nil, "n/z.json": names[4:5]} {
			all, err := other.List(ctx, prefix)
			var got []string
			for _, info := range all {
				got = append(got, info.Name)
				_, there := content(t, o, info.Name)
				if info.Size != there.Size || info.Version != "" && info.Version != there.Version || !info.Modified.Truncate(time.Second).Equal(there.Modified.Truncate(time.Second)) {
					t.Errorf("a list has %+v, and there is %+v", info, there)
				}
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q: got %q, %v, want %q", prefix, got, err, want)
			}
		}
		now, err := other.Now(ctx)
		if _, info := content(t, o, "n/z.json"); err != nil || now.Sub(info.Modified) < -2*time.Second || now.Sub(info.Modified) > time.Hour {
			t.Errorf("now is %v, %v, just now was %v", now, err, info.Modified)
		}
		for range 2 {
			if err := o.Delete(ctx, "n/z.json"); err != nil {
				t.Error(err)
			}
		}
		if _, _, err := other.Get(ctx, "n/z.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was taken away: got %v", err)
		}
		if _, err := other.Put(ctx, "n/z.json", strings.NewReader("again"), Absent); err != nil {
			t.Error(err)
		}
	})
}

// TestOneOfManyWrites: of writes at the same moment that want the same version, one takes place.
func TestOneOfManyWrites(t *testing.T) {
	everywhere(t, func(t *testing.T, again func() Objects) {
		const writers, rounds = 8, 12
		version, taken := Absent, 0
		for round := range rounds {
			var won atomic.Int32
			var next atomic.Value
			var all sync.WaitGroup
			for w := range writers {
				o := again()
				all.Go(func() {
					written, err := o.Put(t.Context(), "m/head.json", strings.NewReader(fmt.Sprint(round, w)), version)
					switch {
					case err == nil:
						won.Add(1)
						next.Store(written)
					case !errors.Is(err, ErrChanged):
						t.Error(err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Fatalf("round %d: got %d writes, want one", round, won.Load())
			}
			version, taken = next.Load().(string), taken+1
			if _, info := content(t, again(), "m/head.json"); info.Version != version {
				t.Errorf("round %d: got the version %q, want %q", round, info.Version, version)
			}
		}
		if taken != rounds {
			t.Errorf("got %d rounds", taken)
		}
	})
}
