package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// path returns the path by which --only chooses a peer's row: that of the same model on an engine.
func (p PeerSpeed) path() string {
	size, kind, batch := modelKey(p.Key)
	if size == "" {
		return p.Key // of a family
	}
	return fmt.Sprintf("model/%s/%s/%s/%s", size, kind, p.Mixer, batch)
}

// column returns the heading of a peer's rows.
func (p PeerSpeed) column() string { return p.Peer + " on " + p.Device + ", " + p.Mixer }

// engine returns the name of the engine that computes on the same kind of device.
func (p PeerSpeed) engine() string {
	if strings.HasPrefix(strings.ToLower(p.Device), "cpu") {
		return "cpu"
	}
	return "gpu"
}

// peers runs another program on the sizes and batches of this run, right after the engines. It is
// given the sizes and batches as arguments and prints PeerSpeed rows as one JSON array; see bench/peers.
func (s *suite) peers(ctx context.Context) error {
	if len(s.Peer) == 0 {
		return nil
	}
	wanted := false
	for _, size := range s.sizes {
		for _, mixer := range s.mixers() {
			wanted = wanted || s.wantsSpeed(size, mixer)
		}
	}
	if !wanted {
		return nil
	}
	s.progress(strings.Join(s.Peer, " "))
	var sizes, batches []string
	for _, size := range s.sizes {
		sizes = append(sizes, fmt.Sprintf("%dx%dx%d", size.Width, size.Layers, size.Vocab))
	}
	for _, b := range s.batches {
		batches = append(batches, strconv.Itoa(b))
	}
	return s.askPeer(ctx,
		"--sizes", strings.Join(sizes, ","), "--batches", strings.Join(batches, ","),
		"--prompt", strconv.Itoa(s.prompt), "--text", strconv.Itoa(s.text), "--context", strconv.Itoa(s.context), "--repeats", strconv.Itoa(s.repeats),
		"--longest", strconv.FormatFloat(s.longest.Seconds(), 'g', -1, 64))
}

// askPeer runs the peer with more arguments behind its own, and keeps the rows that are wanted.
func (s *suite) askPeer(ctx context.Context, more ...string) error {
	arguments := slices.Concat(s.Peer[1:], more)
	command := exec.CommandContext(ctx, s.Peer[0], arguments...)
	out, problems := bounded{most: maxPeer}, bounded{most: maxPeer}
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(problems.text)), "\n")
		return fmt.Errorf("the peer %s: %w: %s", s.Peer[0], cmp.Or(out.err, problems.err, err), lines[len(lines)-1])
	}
	var rows []PeerSpeed
	if err := json.Unmarshal(out.text, &rows); err != nil {
		return fmt.Errorf("the peer %s: not a JSON array of rows: %w", s.Peer[0], err)
	}
	for i, row := range rows {
		if t := row.Seconds.Median; !(t > 0) {
			return fmt.Errorf("the peer %s: row %d: seconds: median: got %v, want a time above 0", s.Peer[0], i, t)
		}
		if s.wants(row.path()) {
			s.report.Peers = append(s.report.Peers, row)
		}
	}
	return nil
}

// maxPeer is far above what a peer has to say.
const maxPeer = 4 << 20

// bounded keeps what a program writes, up to a number of bytes.
type bounded struct {
	text []byte
	most int
	err  error
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > b.most {
		b.err = fmt.Errorf("got more than %d bytes of output", b.most)
		return 0, b.err
	}
	b.text = append(b.text, p...)
	return len(p), nil
}
