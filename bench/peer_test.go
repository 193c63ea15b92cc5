package bench

import (
	"regexp"
	"strings"
	"testing"
)

func TestPeers(t *testing.T) {
	only := regexp.MustCompile("^model/64x2/V512/text/tied/b1$")
	o := Options{Mode: Quick, Only: only, Sizes: []Size{{64, 2, 512}}, Batches: []int{1, 8}}
	// The program says in its row what it was asked for.
	o.Peer = []string{"sh", "-c", `printf '[{"peer": "%s", "device": "cpu", "key": "model/64x2/V512/text/b1", "mixer": "tied", "seconds": {"median": 0.5}}]' "$*"`, "peer"}
	r, err := Run(t.Context(), o, CPU())
	if err != nil || len(r.Failures) > 0 {
		t.Fatal(err, r.Failures)
	}
	if len(r.Peers) != 1 || r.Peers[0].Seconds.Median != 0.5 || !strings.HasPrefix(r.Peers[0].Peer, "--sizes 64x2x512 --batches 1,8 ") {
		t.Errorf("got %+v, want one row that says what was asked for", r.Peers)
	}
	before := sampleReport()
	before.Peers = []PeerSpeed{r.Peers[0]}
	before.Peers[0].Seconds = newSample([]float64{1, 1, 1})
	if changes := Compare(before, r); len(changes) == 0 || changes[len(changes)-1].Ratio != 2 {
		t.Errorf("want the peer twice as fast among %+v", changes)
	}
	o.Only = regexp.MustCompile("^head/|/training/")
	if r, err = Run(t.Context(), o, CPU()); err != nil || len(r.Peers) != 0 {
		t.Errorf("got %+v, want no row that was not asked for, %v", r.Peers, err)
	}
	o.Only = regexp.MustCompile("^head/")
	o.Peer = []string{"false"} // which nobody asked for
	if r, err = Run(t.Context(), o, CPU()); err != nil || r.Err() != nil {
		t.Error(err, r.Err())
	}
	o.Only = only
	for _, c := range []struct{ script, want string }{
		{"echo first >&2; echo last line >&2; exit 3", "last line"},
		{"echo no JSON", "not a JSON array of rows"},
	} {
		o.Peer = []string{"sh", "-c", c.script}
		r, err := Run(t.Context(), o, CPU())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "first") {
			t.Errorf("%s: got %v, want an error with %q", c.script, err, c.want)
		}
	}
}

// What has no end is not kept, and no time is none.
func TestPeersAreNotTrusted(t *testing.T) {
	for script, want := range map[string]string{
		"yes":                                  "got more than 4194304 bytes of output",
		"yes >&2":                              "got more than 4194304 bytes of output",
		"echo [{}]":                            "row 0: seconds: median: got 0, want a time above 0",
		`echo '[{"seconds": {"median": -1}}]'`: "row 0: seconds: median: got -1, want a time above 0",
	} {
		s := &suite{Options: Options{Peer: []string{"sh", "-c", script}}, report: new(Report), stopped: func() bool { return false }}
		if err := s.askPeer(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %.200v, want %q", script, err, want)
		}
	}
}
