package train

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Group is the processes, called ranks, that train one model together, as seen by one of them. A group is for one goroutine
// at a time, and every rank must make the same calls in the same order.
type Group interface {
	Rank() int // of this one, from 0
	Size() int // a power of two
	// Exchange sends to a rank and receives from it at the same time, without copying what is sent. Both sides know both
	// lengths, which may be 0. After an error, such as the loss of a rank, the group is unusable.
	Exchange(rank int, send, receive []byte) error
}

// Alone is the group of one process.
type Alone struct{}

// Rank implements Group.
func (Alone) Rank() int { return 0 }

// Size implements Group.
func (Alone) Size() int { return 1 }

// Exchange implements Group.
func (Alone) Exchange(int, []byte, []byte) error {
	return errors.New("train: a group of one has nobody to exchange with")
}

// CheckGroup refuses a number of ranks among which the shards of a step cannot be divided.
func CheckGroup(ranks, shards int) error {
	if ranks > 1 && (bits.OnesCount(uint(ranks)) != 1 || ranks > shards) {
		return fmt.Errorf("got %d ranks, want 1, 2, 4 …, at most as many as --shards, %d", ranks, shards)
	}
	return nil
}

// gatherAll gives every rank the equally long parts of all, ordered by rank. all already contains this rank's part.
func gatherAll(g Group, all []byte) error {
	each, rank := len(all)/g.Size(), g.Rank()
	for d := 1; d < g.Size(); d *= 2 {
		mine := rank &^ (d - 1)
		theirs := mine ^ d
		if err := g.Exchange(rank^d, all[mine*each:(mine+d)*each], all[theirs*each:(theirs+d)*each]); err != nil {
			return err
		}
	}
	return nil
}

// Any tells every rank whether yes is true on at least one of them. It is also a barrier.
func Any(g Group, yes bool) (bool, error) {
	all := make([]byte, g.Size())
	if yes {
		all[g.Rank()] = 1
	}
	err := gatherAll(g, all)
	for _, y := range all {
		yes = yes || y != 0
	}
	return yes, err
}

// addUp gives every rank the sum of a number over all ranks.
func addUp(g Group, n int) (int, error) {
	all := make([]byte, 8*g.Size())
	binary.LittleEndian.PutUint64(all[8*g.Rank():], uint64(n))
	err := gatherAll(g, all)
	sum := 0
	for ; len(all) > 0; all = all[8:] {
		sum += int(binary.LittleEndian.Uint64(all))
	}
	return sum, err
}

// Broadcast gives every rank the bytes of rank 0.
func Broadcast(g Group, data []byte) ([]byte, error) {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
	if err := spread(g, length[:]); err != nil {
		return nil, err
	}
	if g.Rank() > 0 {
		data = make([]byte, binary.LittleEndian.Uint64(length[:]))
	}
	return data, spread(g, data)
}

// spread is Broadcast for bytes whose number all ranks know.
func spread(g Group, data []byte) error {
	rank := g.Rank()
	for d := 1; d < g.Size(); d *= 2 {
		var err error
		switch {
		case rank < d:
			err = g.Exchange(rank+d, data, nil)
		case rank < 2*d:
			err = g.Exchange(rank-d, nil, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errLost is returned to those who wait for a rank that has died.
var errLost = errors.New("train: a rank of the group was lost")

// InProcess returns a group whose ranks are goroutines of this process. After end every Exchange fails, as if a rank were
// lost.
func InProcess(n int) (ranks []Group, end func()) {
	all := &inProcess{mail: make([]chan []byte, n*n), done: make([]chan struct{}, n*n), lost: make(chan struct{})}
	for i := range all.mail {
		all.mail[i], all.done[i] = make(chan []byte), make(chan struct{}, 1)
	}
	for r := range n {
		ranks = append(ranks, member{all, r, n})
	}
	return ranks, func() { close(all.lost) }
}

type inProcess struct {
	mail []chan []byte   // from rank i to rank j at i·n + j
	done []chan struct{} // closed once the value has been copied
	lost chan struct{}
}

type member struct {
	*inProcess
	rank, size int
}

func (m member) Rank() int { return m.rank }

func (m member) Size() int { return m.size }

func (m member) Exchange(rank int, send, receive []byte) error {
	out, in := m.rank*m.size+rank, rank*m.size+m.rank
	to, from, done := m.mail[out], m.mail[in], m.done[out]
	for range 3 { // for: sent, received, and copied by the other side
		select {
		case to <- send:
			to = nil
		case data := <-from:
			if copy(receive, data) != len(receive) || len(data) != len(receive) {
				return fmt.Errorf("train: rank %d: got %d bytes of rank %d, want %d", m.rank, len(data), rank, len(receive))
			}
			from = nil
			m.done[in] <- struct{}{}
		case <-done:
			done = nil
		case <-m.lost:
			return errLost
		}
	}
	return nil
}

// textRoom is how many bytes of a text are sent.
const textRoom = 1 << 10

// GatherText gives every rank the texts of all ranks, each cut to 1,024 bytes.
func GatherText(g Group, text string) ([]string, error) {
	all := make([]byte, g.Size()*textRoom)
	copy(all[g.Rank()*textRoom:(g.Rank()+1)*textRoom], text)
	err := gatherAll(g, all)
	texts := make([]string, g.Size())
	for r := range texts {
		texts[r] = string(bytes.TrimRight(all[r*textRoom:(r+1)*textRoom], "\x00"))
	}
	return texts, err
}
