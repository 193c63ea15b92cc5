package store

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RAM stores objects in the memory of a process, for tests. The zero value is empty.
type RAM struct {
	mu      sync.Mutex
	failing func(call, name string) (after bool, err error)
	objects map[string]ramObject
	written int
}

type ramObject struct {
	Info
	data []byte
}

func (r *RAM) String() string { return "RAM" }

// Close does nothing: the objects stay.
func (r *RAM) Close() error { return nil }

// SetFault sets a function that is called for each call (get, put, delete or list) and may make it fail, before it takes
// effect or, with after, afterwards.
func (r *RAM) SetFault(fault func(call, name string) (after bool, err error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = fault
}

func (r *RAM) fault(call, name string) (after bool, err error) {
	r.mu.Lock()
	failing := r.failing
	r.mu.Unlock()
	if failing == nil {
		return false, nil
	}
	return failing(call, name)
}

// Get implements [Objects].
func (r *RAM) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	if _, err := r.fault("get", name); err != nil {
		return nil, Info{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.objects[name]
	if !ok {
		return nil, Info{}, &fs.PathError{Op: "get", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.Info, ctx.Err()
}

// Put implements [Objects].
func (r *RAM) Put(ctx context.Context, name string, body io.ReadSeeker, version string) (string, error) {
	after, failed := r.fault("put", name)
	if failed != nil && !after {
		return "", failed
	}
	data, err := io.ReadAll(body)
	if err != nil || ctx.Err() != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.objects[name].Version != version {
		return "", ErrChanged
	}
	if r.objects == nil {
		r.objects = map[string]ramObject{}
	}
	r.written++
	info := Info{Name: name, Size: int64(len(data)), Version: strconv.Itoa(r.written), Modified: time.Now()}
	r.objects[name] = ramObject{info, data}
	return info.Version, failed
}

// Delete implements [Objects].
func (r *RAM) Delete(_ context.Context, name string) error {
	after, err := r.fault("delete", name)
	if err != nil && !after {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, name)
	return err
}

// List implements [Objects].
func (r *RAM) List(_ context.Context, prefix string) (found []Info, err error) {
	if _, err := r.fault("list", prefix); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, o := range r.objects {
		if strings.HasPrefix(name, prefix) {
			found = append(found, o.Info)
		}
	}
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// Now implements [Objects].
func (r *RAM) Now(context.Context) (time.Time, error) { return time.Now(), nil }
