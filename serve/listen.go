package serve

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// The limits of connections.
const (
	mostConnections = 4096     // others wait until one ends
	mostHeaderBytes = 64 << 10 // of one request
	headerTime      = 10 * time.Second
	idleTime        = 2 * time.Minute // between two requests
)

// Listener is l with a bounded number of connections.
func Listener(l net.Listener) net.Listener { return netutil.LimitListener(l, mostConnections) }

// HTTPServer answers with a handler, and bounds what a client may send before one sees it. What goes wrong with a connection is
// logged at the level of debugging.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
