package tokenizer

import (
	"slices"
	"strings"
)

// A trie finds which of a set of strings a text begins with. Nodes are in breadth-first order, so that the children of a node
// are neighbours; a node takes nine bytes.
type trie struct {
	labels   []byte   // of the edge to the node
	children []uint32 // index of the node's first child; the children of node n end where those of n+1 begin
	values   []int32  // -1 if no string ends here
	starts   [256]bool
}

// noValue marks a node where no string ends.
const noValue = -1

// newTrie holds strings with their values, which are not negative. Of equal strings the last is used; the empty string is
// left out.
func newTrie(keys []string, values []int32) *trie {
	order := make([]int, 0, len(keys))
	for i, k := range keys {
		if k != "" {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return strings.Compare(keys[i], keys[j]) })

	t := &trie{labels: []byte{0}, values: []int32{noValue}}
	type span struct{ low, high, depth int } // the keys below a node
	queue := []span{{0, len(order), 0}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		t.children = append(t.children, uint32(len(t.labels)))
		for s.low < s.high && len(keys[order[s.low]]) == s.depth {
			s.low++
		}
		for low := s.low; low < s.high; {
			label := keys[order[low]][s.depth]
			high, value := low, int32(noValue)
			for ; high < s.high && keys[order[high]][s.depth] == label; high++ {
				if len(keys[order[high]]) == s.depth+1 {
					value = values[order[high]]
				}
			}
			t.labels = append(t.labels, label)
			t.values = append(t.values, value)
			queue = append(queue, span{low, high, s.depth + 1})
			low = high
		}
	}
	t.children = append(t.children, uint32(len(t.labels)))
	for _, label := range t.labels[1:t.children[1]] {
		t.starts[label] = true
	}
	return t
}

// child returns the node below node along label; 0, the root, if there is none.
func (t *trie) child(node uint32, label byte) uint32 {
	low, high := t.children[node], t.children[node+1]
	if i, ok := slices.BinarySearch(t.labels[low:high], label); ok {
		return low + uint32(i)
	}
	return 0
}

// longest returns the longest string of the trie that s begins with; its length is 0 if there is none.
func (t *trie) longest(s string) (length int, value int32) {
	node := uint32(0)
	for i := 0; i < len(s); i++ {
		if node = t.child(node, s[i]); node == 0 {
			break
		}
		if v := t.values[node]; v != noValue {
			length, value = i+1, v
		}
	}
	return length, value
}
