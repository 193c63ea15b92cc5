package serve

import (
	"fmt"
	"net/http"
	"strings"
)

// route is a path with its handler.
type route struct {
	method, path string
	who          access
	f            func(c *call) error
}

func (s *Server) table() []route {
	return []route{
		{"GET", "/{$}", open, s.showPage},
		{"GET", "/local/{$}", open, s.showLocal},
		{"GET", "/local/{file}", open, s.showLocal},
		{"GET", "/openapi.json", open, s.showOpenAPI},
		{"GET", "/health", open, s.health},
		{"GET", "/v1/models", keyed, s.models},
		{"GET", "/v1/models/{id}", keyed, s.oneModel},
		{"POST", "/v1/completions", keyed, s.completions},
		{"POST", "/v1/chat/completions", keyed, s.chat},
		{"POST", "/v1/embeddings", keyed, s.embeddings},
		{"POST", "/tokenize", keyed, s.tokenize},
		{"POST", "/detokenize", keyed, s.detokenize},
		{"GET", "/tokenizer_info", keyed, s.tokenizerInfo},
		{"POST", "/v1/memories", keyed, s.createMemory},
		{"GET", "/v1/memories", keyed, s.listMemories},
		{"GET", "/v1/memories/{id}", keyed, s.getMemory},
		{"DELETE", "/v1/memories/{id}", keyed, s.deleteMemory},
		{"POST", "/v1/memories/{id}/fork", keyed, s.forkMemory},
		{"POST", "/v1/memories/{id}/learn", keyed, s.learnMemory},
		{"GET", "/v1/memories/{id}/file", keyed, s.getMemoryFile},
		{"PUT", "/v1/memories/{id}/file", keyed, s.putMemoryFile},
		{"GET", "/v1/memories/{id}/picture", keyed, s.memoryPicture},
		{"POST", "/v1/responses", keyed, s.responses},
		{"GET", "/v1/responses/{id}", keyed, s.getResponse},
		{"DELETE", "/v1/responses/{id}", keyed, s.deleteResponse},
		{"POST", "/api/generate", ollama, s.ollamaGenerate},
		{"POST", "/api/chat", ollama, s.ollamaChat},
		{"GET", "/api/tags", ollama, s.ollamaTags},
		{"POST", "/api/show", ollama, s.ollamaShow},
		{"GET", "/api/version", ollama, s.ollamaVersion},
		{"GET", "/metrics", keyed, s.showMetrics},
	}
}

// routes returns the handler of all paths. An unknown path, or a method that a path does not have, also gives an error in
// OpenAI's form.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range s.table() {
		mux.Handle(r.method+" "+r.path, s.handle(r.path, r.who, r.f))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, known := range methods {
		allow := strings.Join(known, ", ")
		mux.Handle(path, s.handle(path, open, func(c *call) error {
			if c.r.Method == http.MethodOptions {
				s.guard.preflight(c.w, c.r)
				return nil
			}
			c.w.Header().Set("Allow", allow)
			return &apiError{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: fmt.Sprintf("%s: got %s, want %s", path, c.r.Method, allow)}
		}))
	}
	mux.Handle("/", s.handle("other", open, func(c *call) error {
		if c.r.Method == http.MethodOptions {
			s.guard.preflight(c.w, c.r)
			return nil
		}
		return notFound("unknown_url", "there is nothing at %s %.200s", c.r.Method, c.r.URL.Path)
	}))
	return mux
}
