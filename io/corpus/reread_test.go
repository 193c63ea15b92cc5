package corpus

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func rereadingSampler(t testing.TB, tokens *Tokens, batch, time int, share float64) *Sampler {
	t.Helper()
	s := newSampler(t, tokens, batch, time, Shuffle, 9)
	if err := s.Reread(share); err != nil {
		t.Fatal(err)
	}
	return s
}

// rows takes n rows with their last target, one row a slice.
func rows(t testing.TB, s *Sampler, n int) [][]uint32 {
	t.Helper()
	inputs, targets := make([]uint32, s.batch*s.time), make([]uint32, s.batch*s.time)
	var all [][]uint32
	for len(all) < n {
		if err := s.Next(inputs, targets); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(inputs); at += s.time {
			row := append(slices.Clone(inputs[at:at+s.time]), targets[at+s.time-1])
			if diff := cmp.Diff(row[1:], targets[at:at+s.time]); diff != "" {
				t.Fatalf("targets: %s", diff)
			}
			all = append(all, row)
		}
	}
	return all
}

// isText says whether tokens that count up follow each other.
func isText(ids []uint32) bool {
	for i, id := range ids {
		if id != ids[0]+uint32(i) {
			return false
		}
	}
	return true
}

// TestRereadShare: a row is composed as often as the share says, evenly, and the others are the windows that they
// would be without.
func TestRereadShare(t *testing.T) {
	tokens := count(t, "a.u32", 1<<20)
	plain := rows(t, newSampler(t, tokens, 4, 64, Shuffle, 9), 1000)
	for share, want := range map[float64]int{0: 0, 0.25: 250, 0.6: 600, 1: 1000} {
		composed, inTen := 0, 0
		for i, row := range rows(t, rereadingSampler(t, tokens, 4, 64, share), 1000) {
			if slices.Equal(row, plain[i]) {
				continue
			}
			if isText(row) {
				t.Fatalf("share %v, row %d: another window", share, i)
			}
			composed++
			if i < 10 {
				inTen++
			}
		}
		if composed < want-3 || composed > want+3 || inTen < want/100-1 || inTen > want/100+2 {
			t.Errorf("share %v: %d of 1000 rows are composed, %d of the first ten", share, composed, inTen)
		}
	}
}

// TestRereadPieces takes composed rows apart: a piece repeats its first passage as a whole, or is text that nothing repeats.
func TestRereadPieces(t *testing.T) {
	const time = 64
	var twice, around, scattered, once, pieces int
	for _, row := range rows(t, rereadingSampler(t, count(t, "a.u32", 1<<20), 3, time, 1), 600) {
		for at := 0; at < len(row); {
			again := slices.Index(row[at+1:], row[at]) + 1 // from at on
			if again == 0 {
				text := 1
				for at+text < len(row) && isText(row[at:at+text+1]) {
					text++
				}
				if rest := len(row) - at; text == rest && rest <= time/8 {
					break
				}
				if text < time/16 || text > time/2+time/8 {
					t.Fatalf("at %d: a passage of %d tokens that is not repeated: %v", at, text, row)
				}
				once++
				pieces++
				at += text
				continue
			}
			same := 0
			for at+again+same < len(row) && same < again && row[at+same] == row[at+again+same] {
				same++
			}
			passage := row[at : at+same]
			switch between := row[at+same : at+again]; {
			case len(between) > 0:
				around++
				if !isText(between) || !isText(passage) || len(between) < time/16 || len(between) > time/4 {
					t.Fatalf("a passage, %v and the first again: %v", between, row)
				}
			case isText(passage):
				twice++
			default:
				scattered++
			}
			if same < time/16 || same > time/2 {
				t.Fatalf("at %d: a passage of %d tokens: %v", at, same, row)
			}
			pieces++
			at += again + same
		}
	}
	for name, found := range map[string]struct{ pieces, percent int }{
		"twice": {twice, 50}, "around another": {around, 20}, "scattered": {scattered, 15}, "once": {once, 15}} {
		if percent := 100 * found.pieces / pieces; percent < found.percent-6 || percent > found.percent+6 {
			t.Errorf("%s: got %d of %d pieces, want about %d %%", name, found.pieces, pieces, found.percent)
		}
	}
}

// TestRereadSeek: a position is all that a resumed run needs here too.
func TestRereadSeek(t *testing.T) {
	tokens := count(t, "a.u16", 5000)
	whole := rows(t, rereadingSampler(t, tokens, 3, 40, 0.5), 120)
	for _, batch := range []int{1, 3, 4} {
		resumed := rereadingSampler(t, tokens, batch, 40, 0.5)
		resumed.Seek(60)
		if diff := cmp.Diff(whole[60:], rows(t, resumed, 60)); diff != "" {
			t.Errorf("batch %d: %s", batch, diff)
		}
	}
	other := newSampler(t, tokens, 3, 40, Shuffle, 10)
	if err := other.Reread(0.5); err != nil {
		t.Fatal(err)
	}
	if slices.EqualFunc(whole, rows(t, other, 120), slices.Equal[[]uint32]) {
		t.Error("another seed gave the same rows")
	}
}

// TestRereadOfFewTokens: a file that fills one window is enough.
func TestRereadOfFewTokens(t *testing.T) {
	for time := LeastReread; time < 100; time++ {
		for _, row := range rows(t, rereadingSampler(t, count(t, "a.u16", time+1), 1, time, 1), 50) {
			if slices.Max(row) > uint32(time) {
				t.Fatalf("want ids up to %d: %v", time, row)
			}
		}
	}
}

func TestRereadRefusals(t *testing.T) {
	tokens := count(t, "a.u32", 100)
	for _, share := range []float64{-0.1, 1.1} {
		wantError(t, newSampler(t, tokens, 1, 32, Shuffle, 0).Reread(share), "want 0 to 1")
	}
	short := newSampler(t, tokens, 1, 31, Shuffle, 0)
	wantError(t, short.Reread(0.5), "got a context of 31, want 32 or more for passages that are read again")
	if err := short.Reread(0); err != nil {
		t.Error(err)
	}
}
