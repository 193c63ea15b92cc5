package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/internal/version"
	"bitgpu/io/chat"
	"bitgpu/io/regular"
	"bitgpu/serve"
	"bitgpu/serve/store"
	"bitgpu/web"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "answer HTTP requests as OpenAI's API has them, each with a memory of its own",
		UsageText: "bitgpu serve -m MODEL [flags]",
		Description: example("Clients of OpenAI's API and of ollama's take the address as it is; GET /openapi.json describes all of it, and a browser\n"+
			"finds a page to write with. A request may name a memory, which goes on where it ended. The first Ctrl-C or SIGTERM lets\n"+
			"running answers end, the second ends at once.",
			"bitgpu serve -m model.bitt --port 8080",
			"bitgpu serve -m model.bitt --host 0.0.0.0 --api-key-file keys.txt --memory-dir memories"),
		Flags: slices.Concat(
			group("Model", modelFlags(
				&cli.StringFlag{Name: "alias", Usage: "`NAME` under which clients ask for the model", DefaultText: "that of its file"},
				&cli.StringFlag{Name: "chat-template", Usage: "write conversations by the Jinja template in `FILE`", DefaultText: "the model's own, where it has one"},
			)...),
			group("Address",
				&cli.StringFlag{Name: "host", Value: "127.0.0.1", Usage: "listen at `ADDRESS`; one that is not this machine's own loopback needs keys"},
				&cli.IntFlag{Name: "port", Value: 8080, Usage: "listen at port `N`, 0 for a free one"},
				&cli.StringFlag{Name: "tls-cert", Usage: "encrypt, with the certificate in `FILE`"},
				&cli.StringFlag{Name: "tls-key", Usage: "and its key in `FILE`"},
				&cli.StringSliceFlag{Name: "cors-origins", Usage: "let pages of `ORIGIN` send requests, such as https://example.org, or * for all; may be given several times"},
			),
			group("Keys",
				&cli.StringFlag{Name: "api-key-file", Usage: "answer only who shows one of the keys in `FILE`, one a line"},
				&cli.BoolFlag{Name: "insecure", Usage: "answer everybody who reaches an address that is not loopback"},
			),
			group("Limits",
				&cli.IntFlag{Name: "parallel", Value: 4, Usage: "work on `N` requests at once"},
				&cli.IntFlag{Name: "queue", Value: 512, Usage: "let `N` more wait, and refuse others"},
				&cli.DurationFlag{Name: "timeout", Usage: "end a request after `TIME`, such as 10m", DefaultText: "never"},
			),
			group("Memories",
				&cli.StringFlag{Name: "memory-dir", Usage: "keep memories in `DIR`", DefaultText: "one that ends with the program"},
				&cli.StringFlag{Name: "memory-store", Usage: "share memories with other servers in `DIR|s3://BUCKET/PREFIX`"},
				&cli.StringFlag{Name: "memory-endpoint", Usage: "reach S3 at `URL`, with the credentials of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", DefaultText: "AWS_ENDPOINT_URL_S3, or Amazon's"},
				&cli.DurationFlag{Name: "memory-lease", Value: 15 * time.Second, Usage: "let another server write a memory when its writer has been silent for `TIME`"},
				&cli.StringFlag{Name: "memory-limit", Value: "10GB", Usage: "keep `SIZE` of memories at most; the longest unused go first"},
			),
			group("Log",
				&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`text|json`: how requests are logged on stderr"},
			),
			computeFlags(),
		),
		Action: serveAction,
	}
}

func serveAction(c *cli.Context) error {
	o, err := serveOptions(c)
	if err != nil {
		return err
	}
	if err := checkTLS(c); err != nil {
		return err
	}
	if place := c.String("memory-store"); place != "" {
		if o.MemoryStore, err = openStore(c.Context, place, c.String("memory-endpoint")); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.String("host"), strconv.Itoa(c.Int("port"))))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("serve: --port: %d is taken by another program; --port N takes another, 0 any that is free", c.Int("port"))
	}
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer listener.Close()
	listener = serve.Listener(listener)
	ctx, stop := interruptible(c.Context)
	defer stop()
	ignoreLostReaders() // nobody may be reading the log

	var handler atomic.Pointer[http.Handler]
	set := func(h http.Handler) { handler.Store(&h) }
	set(serve.Loading())
	server := serve.HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }), o.Log)
	failed := make(chan error, 1)
	go func() {
		if c.IsSet("tls-cert") {
			failed <- server.ServeTLS(listener, c.String("tls-cert"), c.String("tls-key"))
		} else {
			failed <- server.Serve(listener)
		}
	}()
	defer server.Close()

	m, err := openModel(c, bitgpu.WithSessions(o.Parallel))
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := serve.New(m, o)
	if errors.Is(err, serve.ErrOption) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	set(s)
	scheme := "http"
	if c.IsSet("tls-cert") {
		scheme = "https"
	}
	fmt.Fprintf(c.App.ErrWriter, "bitgpu: serving %s at %s://%s\n", o.Name, scheme, listener.Addr())
	select {
	case err := <-failed:
		s.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(c.App.ErrWriter, "bitgpu: ending when the running answers have ended; Ctrl-C again ends at once")
	s.Drain(context.Background())
	server.Shutdown(context.Background())
	return s.Close()
}

// serveOptions reads and checks all flags that do not need the model.
func serveOptions(c *cli.Context) (serve.Options, error) {
	o := serve.Options{
		Name: cmp.Or(c.String("alias"), modelName(c.String("model"))), Version: version.Text(),
		Parallel: c.Int("parallel"), Queue: c.Int("queue"), Timeout: c.Duration("timeout"),
		Origins: c.StringSlice("cors-origins"), MemoryDir: c.String("memory-dir"), MemoryLease: c.Duration("memory-lease"),
		Local: func() (map[string][]byte, error) { return web.Files(demo.Model, licenses) },
	}
	for _, f := range []struct {
		name           string
		got, low, high int
	}{{"port", c.Int("port"), 0, 65535}, {"parallel", o.Parallel, 1, 1024}, {"queue", o.Queue, 0, 1 << 20}} {
		if f.got < f.low || f.got > f.high {
			return o, usagef("serve: --%s: got %d, want %d to %d", f.name, f.got, f.low, f.high)
		}
	}
	if o.Queue == 0 {
		o.Queue = -1 // none
	}
	if o.Timeout < 0 {
		return o, usagef("serve: --timeout: got %v, want 0 or more", o.Timeout)
	}
	shared := c.String("memory-store")
	switch {
	case shared != "" && o.MemoryDir != "":
		return o, usagef("serve: --memory-dir and --memory-store: want one of them")
	case !store.IsS3(shared) && c.IsSet("memory-endpoint"):
		return o, usagef("serve: --memory-endpoint: is for --memory-store s3://BUCKET/PREFIX")
	case !store.IsS3(shared) && strings.Contains(shared, "://"):
		return o, usagef("serve: --memory-store: got %q, want a directory or s3://BUCKET/PREFIX", shared)
	case o.MemoryLease < time.Second || o.MemoryLease > time.Hour:
		return o, usagef("serve: --memory-lease: got %v, want 1s to 1h", o.MemoryLease)
	}
	limit, err := humanize.ParseBytes(c.String("memory-limit"))
	if err != nil || limit == 0 || limit > 1<<62 {
		return o, usagef("serve: --memory-limit: got %q, want a size such as 10GB", c.String("memory-limit"))
	}
	o.MemoryLimit = int64(limit)
	if o.Log, err = logger(c.App.ErrWriter, c.String("log-format")); err != nil {
		return o, err
	}
	if file := c.String("api-key-file"); file != "" {
		if o.Keys, err = readKeys(file); err != nil {
			return o, err
		}
	}
	local := loopback(c.String("host"))
	if !local && len(o.Keys) == 0 && !c.Bool("insecure") {
		return o, usagef("serve: --host %s: others can reach this address, so keys are needed: --api-key-file FILE, or --insecure to do without", c.String("host"))
	}
	o.LocalOnly = local && len(o.Keys) == 0
	if err := o.Validate(); err != nil { // before the model is loaded
		return o, usageError{err}
	}
	o.Template, err = chatTemplate(c)
	return o, err
}

// openStore opens a memory store.
func openStore(ctx context.Context, place, endpoint string) (store.Objects, error) {
	objects, err := store.Open(ctx, place, endpoint)
	if err != nil {
		return nil, flagError("memory-store", err)
	}
	return objects, nil
}

func checkTLS(c *cli.Context) error {
	if c.IsSet("tls-cert") != c.IsSet("tls-key") {
		return usagef("serve: --tls-cert and --tls-key are needed together")
	}
	for _, flag := range []string{"tls-cert", "tls-key"} {
		if c.IsSet(flag) {
			if _, err := readFlag(flag, c.String(flag)); err != nil {
				return err
			}
		}
	}
	if !c.IsSet("tls-cert") {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(c.String("tls-cert"), c.String("tls-key")); err != nil {
		return fmt.Errorf("--tls-cert %s, --tls-key %s: %s", c.String("tls-cert"), c.String("tls-key"), strings.TrimPrefix(err.Error(), "tls: "))
	}
	return nil
}

func logger(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usagef("serve: --log-format: got %q, want text or json", format)
}

// readKeys reads one key per line, ignoring empty lines and those that begin with #.
func readKeys(file string) ([]string, error) {
	data, err := regular.ReadFile(file)
	if err != nil {
		return nil, flagError("api-key-file", err)
	}
	var keys []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("--api-key-file: %s: got no key, want one a line", file)
	}
	return keys, nil
}

// loopback reports whether an address can only be reached from this machine.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// modelName returns the name for clients of a model that has no alias.
func modelName(path string) string {
	if path == "" {
		return "demo"
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	name := filepath.Base(path)
	if name == "model.bitt" || name == "model.safetensors" {
		name = filepath.Base(filepath.Dir(path))
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".bitt"), ".safetensors")
}

// chatTemplate loads the template that a flag names; nil means the model's own.
func chatTemplate(c *cli.Context) (*chat.Template, error) {
	if !c.IsSet("chat-template") {
		return nil, nil
	}
	data, err := readFlag("chat-template", c.String("chat-template"))
	if err != nil {
		return nil, err
	}
	t, err := chat.FromConfig(nil, data)
	if err != nil {
		return nil, fmt.Errorf("--chat-template: %s: %w", c.String("chat-template"), err)
	}
	return t, nil
}
