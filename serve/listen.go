package serve

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of connections.
const (
	mostConnections = 4096     // more wait until one ends
	mostHeaderBytes = 64 << 10 // per request
	headerTime      = 10 * time.Second
	idleTime        = 2 * time.Minute // between two requests
)

// Listener returns l with a limited number of connections.
func Listener(l net.Listener) net.Listener { return netutil.LimitListener(l, mostConnections) }

// HTTPServer returns a server for a handler that limits what a client may send before the handler is called. Problems with
// connections are logged at debug level.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
