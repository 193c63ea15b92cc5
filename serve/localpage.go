package serve

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"sync"
	"time"
)

// localPolicy is the content security policy of the page and its workers: their own WebAssembly, models from anywhere. It
// need not be isolated from other origins, because its threads share no memory.
const localPolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src *; worker-src 'self'; img-src data:; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// localTypes make the types of files independent of the system.
var localTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".ts": "text/plain; charset=utf-8",
	".gz": "application/gzip",
}

// localFile is a file of the page, ready to be sent.
type localFile struct {
	data      []byte
	kind, tag string
}

// localFiles makes the files when the first one is asked for.
func localFiles(make func() (map[string][]byte, error)) func() (map[string]localFile, error) {
	return sync.OnceValues(func() (map[string]localFile, error) {
		if make == nil {
			return nil, notFound("no_local_page", "this server has no page that runs models in the browser")
		}
		all, err := make()
		if err != nil {
			return nil, notFound("no_local_page", "%v", err)
		}
		found := map[string]localFile{}
		for name, data := range all {
			found[name] = localFile{data, cmp.Or(localTypes[path.Ext(name)], "application/octet-stream"), fmt.Sprintf(`"%x"`, sha256.Sum256(data))}
		}
		return found, nil
	})
}

// showLocal sends a file of the page that runs models in the browser. That page only needs files from this server.
func (s *Server) showLocal(c *call) error {
	files, err := s.local()
	if err != nil {
		return err
	}
	name := c.r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	file, ok := files[name]
	if !ok {
		return notFound("unknown_url", "there is nothing at %s %.200s", c.r.Method, c.r.URL.Path)
	}
	h := c.w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Content-Security-Policy", localPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // check for a newer version
	h.Set("ETag", file.tag)
	http.ServeContent(c.w, c.r, "", time.Time{}, bytes.NewReader(file.data))
	return nil
}
