package train

import (
	"slices"
	"sync"
	"testing"
)

// counting is a group that counts what is sent.
type counting struct {
	Group
	sent *[]int
}

func (g counting) Exchange(rank int, send, receive []byte) error {
	*g.sent = append(*g.sent, len(send))
	return g.Group.Exchange(rank, send, receive)
}

// TestMessages: what is said to be sent is what is sent, message by message.
func TestMessages(t *testing.T) {
	for _, numbers := range []int{8, 1001, 3*chunkNumbers + 25} {
		for ranks := 1; ranks <= 8; ranks *= 2 {
			for _, gradient := range []string{GradientF32, GradientBF16} {
				groups, _ := InProcess(ranks)
				var sent []int
				var all sync.WaitGroup
				for r, g := range groups {
					if r == 0 {
						g = counting{g, &sent}
					}
					all.Go(func() {
						s := &summing{Group: g, shards: 8, format: format{gradient == GradientBF16}}
						v := vector{make([]float32, numbers)}
						if err := s.scatter(v); err != nil {
							t.Error(err)
						}
						if err := s.gather(v, s.format); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				var said []int
				Messages(numbers, ranks, 8, gradient, func(bytes int) { said = append(said, bytes) })
				slices.Sort(sent)
				slices.Sort(said)
				if !slices.Equal(sent, said) {
					t.Errorf("%d numbers on %d ranks, %s: got the messages %v, said were %v", numbers, ranks, gradient, sent, said)
				}
			}
		}
	}
}
