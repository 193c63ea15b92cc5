package serve

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"bitgpu/io/chat"
	"bitgpu/serve/store"
)

// ErrOption is returned for an option out of range. The text names it.
var ErrOption = errors.New("serve: invalid option")

// Options says how to serve a model. The zero value asks for no key and keeps memories until [Server.Close].
type Options struct {
	Name     string         // of the model, for clients; "" is "bitgpu"
	Version  string         // of the program
	Template *chat.Template // the model's chat template; nil refuses conversations

	Parallel int // requests at work at once; 0 is 4
	Queue    int // requests that wait for them; 0 is 512, negative is none

	Keys      []string // every request must have one of them; none: no key is needed
	Origins   []string // of pages from other hosts that may send requests, such as https://example.org, or "*"
	LocalOnly bool     // refuse requests whose Host is not this machine's own, such as those of a page whose name has been made to point here

	Timeout time.Duration // of a request including its time in the queue; 0 is none
	Ping    time.Duration // time without data in a stream before a comment is sent; 0 is 15 s
	Stall   time.Duration // how long a client may go without sending or taking a byte; 0 is 30 s

	BodyLimit int64 // bytes of a request that is not a memory file; 0 is 8 MiB

	MemoryDir     string // where memories are kept; "" is a directory that Close removes
	MemoryLimit   int64  // bytes of all memories, above which the least recently used are deleted; 0 is 10 GB
	ResidentLimit int64  // bytes of memories that stay in RAM as well; 0 is 256 MiB
	PrefixLimit   int64  // bytes of RAM for beginnings of prompts; 0 is 256 MiB, negative is none

	MemoryStore store.Objects // where servers of this model share memories, used instead of MemoryDir; [Server.Close] closes it
	MemoryLease time.Duration // after this time without a sign of life from a server, another may write what it was writing; 0 is 15 s

	// Local returns the files of the page at /local/, which runs models in the browser; nil: there is none. It is called once,
	// when the page is first asked for, and an error is sent to the client.
	Local func() (map[string][]byte, error)

	Log *slog.Logger // nil logs nothing
}

// Limits that no option changes.
const (
	mostChoices     = 16   // of n
	mostPrompts     = 128  // per request
	mostStops       = 16   // stop texts
	mostStopBytes   = 1024 // bytes of a stop text
	mostBias        = 1024 // entries of logit_bias
	mostTopLogProbs = 20
	mostTokens      = 1 << 24 // written by one request
	defaultTokens   = 16      // of a completion, as in OpenAI's API
	defaultAnswer   = 2048    // tokens of an answer in a conversation
	defaultStall    = 30 * time.Second
)

// Validate returns nil, or an [ErrOption], as [New] does with any model.
func (o Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

// withDefaults returns o with defaults filled in, or an [ErrOption].
func (o Options) withDefaults() (Options, error) {
	o.Name = cmp.Or(o.Name, "bitgpu")
	o.Version = cmp.Or(o.Version, "unknown")
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Queue = max(cmp.Or(o.Queue, 512), 0)
	o.Ping = cmp.Or(o.Ping, 15*time.Second)
	o.Stall = cmp.Or(o.Stall, defaultStall)
	o.BodyLimit = cmp.Or(o.BodyLimit, 8<<20)
	o.MemoryLimit = cmp.Or(o.MemoryLimit, 10_000_000_000)
	o.ResidentLimit = cmp.Or(o.ResidentLimit, 256<<20)
	o.PrefixLimit = cmp.Or(o.PrefixLimit, 256<<20)
	o.MemoryLease = cmp.Or(o.MemoryLease, 15*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	wrong := func(name string, got any, want string) (Options, error) {
		return o, fmt.Errorf("%w: %s: got %v, want %s", ErrOption, name, got, want)
	}
	switch {
	case o.Parallel < 1 || o.Parallel > 1024:
		return wrong("parallel", o.Parallel, "1 to 1024")
	case o.Queue > 1<<20:
		return wrong("queue", o.Queue, "at most 1048576")
	case o.Timeout < 0:
		return wrong("timeout", o.Timeout, "0 or more")
	case o.BodyLimit < 1:
		return wrong("body limit", o.BodyLimit, "1 or more bytes")
	case o.MemoryLimit < 1:
		return wrong("memory limit", o.MemoryLimit, "1 or more bytes")
	}
	switch {
	case o.MemoryStore != nil && o.MemoryDir != "":
		return wrong("memory directory", fmt.Sprintf("%q beside a store", o.MemoryDir), "one of them")
	case o.MemoryLease < time.Second || o.MemoryLease > time.Hour:
		return wrong("memory lease", o.MemoryLease, "1s to 1h")
	}
	for _, key := range o.Keys {
		if key == "" {
			return wrong("keys", `""`, "a key")
		}
	}
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "") {
			return wrong("origins", fmt.Sprintf("%q", origin), `"*" or a scheme with a host, such as https://example.org`)
		}
	}
	return o, nil
}
