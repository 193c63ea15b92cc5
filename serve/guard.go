package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard decides who may ask for what: by key, by the host that a browser believes it is talking to, and by the page that
// asks.
type guard struct {
	owners    map[[32]byte]string // by the hash of a key, so that the time of a comparison does not reveal how much of a key is right
	origins   []string
	localOnly bool
	cross     *http.CrossOriginProtection
}

func newGuard(o Options) (*guard, error) {
	g := &guard{owners: map[[32]byte]string{}, origins: o.Origins, localOnly: o.LocalOnly, cross: http.NewCrossOriginProtection()}
	for _, key := range o.Keys {
		sum := sha256.Sum256([]byte(key))
		g.owners[sum] = hex.EncodeToString(sum[:8])
	}
	for _, origin := range o.Origins {
		if origin == "*" {
			g.cross = nil
		} else if g.cross != nil {
			if err := g.cross.AddTrustedOrigin(origin); err != nil {
				return nil, fmt.Errorf("%w: origins: %w", ErrOption, err)
			}
		}
	}
	return g, nil
}

// nobody owns what is made if there are no keys.
const nobody = "nobody"

// check returns who sent a request, and sets the headers that let a page from elsewhere see the answer.
func (g *guard) check(w http.ResponseWriter, r *http.Request, keyed bool) (owner string, err error) {
	if g.localOnly && !localHost(r.Host) {
		return "", &apiError{status: http.StatusMisdirectedRequest, code: "host", message: fmt.Sprintf("Host: got %.200q, want this machine's own name", r.Host)}
	}
	if origin := r.Header.Get("Origin"); origin != "" && len(g.origins) > 0 {
		w.Header().Add("Vary", "Origin")
		if slices.Contains(g.origins, "*") || slices.Contains(g.origins, origin) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
		}
	}
	if g.cross != nil && g.cross.Check(r) != nil {
		return "", &apiError{status: http.StatusForbidden, code: "origin", message: fmt.Sprintf("Origin: pages of %.200q may not send requests here", r.Header.Get("Origin"))}
	}
	if !keyed || len(g.owners) == 0 {
		return nobody, nil
	}
	key := r.Header.Get("X-Api-Key")
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(token)
	}
	if key == "" {
		return "", &apiError{status: http.StatusUnauthorized, code: "missing_api_key", message: "an API key is needed: Authorization: Bearer KEY"}
	}
	owner, ok := g.owners[sha256.Sum256([]byte(key))]
	if !ok {
		return "", &apiError{status: http.StatusUnauthorized, code: "invalid_api_key", message: "the API key is not one of this server's"}
	}
	return owner, nil
}

// localHost reports whether a Host header is one that this machine uses for itself.
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	address, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") || err == nil && address.IsLoopback()
}

// preflight answers a browser that asks what a page from elsewhere may send.
func (g *guard) preflight(w http.ResponseWriter, r *http.Request) {
	if _, err := g.check(w, r, false); err != nil || w.Header().Get("Access-Control-Allow-Origin") == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
