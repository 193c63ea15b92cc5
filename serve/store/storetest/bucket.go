// Package storetest provides S3 servers for tests: one in the process, which supports the little that a store needs and fails
// on request, and another program on the loopback interface if one is installed.
package storetest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BucketName is the servers' bucket.
const BucketName = "memories"

// Bucket is an S3 server with one bucket. It does not check signatures.
type Bucket struct {
	URL string

	mu      sync.Mutex
	objects map[string]object
	fault   func(r *http.Request) Fault
}

type object struct {
	data     []byte
	modified time.Time
}

// Fault says how a request fails.
type Fault int

const (
	None     Fault = iota
	Refuse         // 403, without effect
	Drop           // the connection closes, without effect
	DropLate       // the request takes effect, and the connection closes without an answer
	Cut            // half of an object is sent
	Ignore         // conditions are ignored, as by servers that do not know them
)

// pageSize is how many names a list has; it is small so that tests need few.
const pageSize = 3

// NewBucket starts a server.
func NewBucket(t testing.TB) *Bucket {
	b := &Bucket{objects: map[string]object{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.URL = server.URL
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	return b
}

// SetFault sets a function that decides for each request how it fails.
func (b *Bucket) SetFault(fault func(r *http.Request) Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// Set stores an object, ignoring all conditions.
func (b *Bucket) Set(key string, data []byte, modified time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = object{data, modified}
}

// Remove removes an object.
func (b *Bucket) Remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
}

// Keys returns the names of all objects.
func (b *Bucket) Keys() (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (o object) tag() string {
	sum := md5.Sum(o.data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s.</Message></Error>`, code, http.StatusText(status))
}

// ServeHTTP implements [http.Handler].
func (b *Bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has disconnected
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fault := None
	if b.fault != nil {
		fault = b.fault(r)
	}
	switch fault {
	case Refuse:
		refuse(w, http.StatusForbidden, "AccessDenied")
	case Drop:
		panic(http.ErrAbortHandler)
	case DropLate:
		b.answer(httptest.NewRecorder(), r, data, fault)
		panic(http.ErrAbortHandler)
	default:
		b.answer(w, r, data, fault)
	}
}

func (b *Bucket) answer(w http.ResponseWriter, r *http.Request, data []byte, fault Fault) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	o, there := b.objects[key]
	switch {
	case bucket != BucketName:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case key == "" && r.Method == http.MethodHead:
	case key == "":
		b.list(w, r)
	case r.Method == http.MethodPut:
		match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
		switch {
		case fault == Ignore:
		case match != "" && !there:
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		case match != "" && match != o.tag(), none != "" && there:
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		o = object{data, time.Now()}
		b.objects[key] = o
		w.Header().Set("ETag", o.tag())
	case r.Method == http.MethodDelete:
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", o.tag())
		w.Header().Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", fmt.Sprint(len(o.data)))
		if fault == Cut {
			w.Write(o.data[:len(o.data)/2])
			panic(http.ErrAbortHandler)
		}
		io.Copy(w, bytes.NewReader(o.data))
	}
}

func (b *Bucket) list(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []content
	}
	var keys []string
	for key := range b.objects {
		if strings.HasPrefix(key, r.URL.Query().Get("prefix")) && key > r.URL.Query().Get("continuation-token") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) > pageSize {
		keys = keys[:pageSize]
		page.IsTruncated, page.NextContinuationToken = true, keys[pageSize-1]
	}
	for _, key := range keys {
		o := b.objects[key]
		page.Contents = append(page.Contents, content{key, o.modified.UTC().Format(time.RFC3339), o.tag(), len(o.data)})
	}
	w.Header().Set("Content-Type", "application/xml")
	xml.NewEncoder(w).Encode(page)
}
