package mpi

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bitgpu/nn/train"
)

// Watch notices within moments that a rank has ended, however it ended: each rank has a connection to rank 0, which the
// system closes with the process.
type Watch struct {
	lost   func(who, why string)
	closed atomic.Bool
	mu     sync.Mutex // of conns
	conns  []net.Conn

	listener net.Listener // of rank 0
}

// Messages on a connection, one per line.
const (
	wordOK    = "ok"
	wordBye   = "bye"
	wordError = "error "
)

// keepAlive closes the connection to a host that has disappeared.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

const dialTime = 2 * time.Second

// NewWatch must be called by all ranks; name is this one's. On rank 0, lost is called for every rank that has ended without
// saying that it is done, with the error that it reported before, if any; on the others, for rank 0. A rank that cannot
// connect is not watched.
func NewWatch(g train.Group, name string, lost func(who, why string)) (*Watch, error) {
	w := &Watch{lost: lost}
	var said string
	if g.Rank() == 0 {
		listener, err := net.Listen("tcp", ":0")
		if err == nil {
			token := rand.Text()
			said = strings.Join(append([]string{name, token}, addresses(listener.Addr().(*net.TCPAddr).Port)...), "\n")
			w.listener = listener
			go w.accept(listener, token)
		}
	}
	heard, err := train.Broadcast(g, []byte(said))
	if lines := strings.Split(string(heard), "\n"); err == nil && g.Rank() > 0 && len(lines) > 2 {
		w.dial(name, lines[0], lines[1], lines[2:])
	}
	if err == nil {
		_, err = train.Any(g, false) // wait until all have tried
	}
	return w, err
}

// addresses returns the addresses of this host, with the loopback last.
func addresses(port int) (all []string) {
	known, _ := net.InterfaceAddrs()
	var loopback []string
	for _, a := range known {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLinkLocalUnicast() {
			continue
		}
		if address := net.JoinHostPort(ip.IP.String(), fmt.Sprint(port)); ip.IP.IsLoopback() {
			loopback = append(loopback, address)
		} else {
			all = append(all, address)
		}
	}
	return append(all, loopback...)
}

// accept takes the connections of ranks that know the token.
func (w *Watch) accept(listener net.Listener, token string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			conn.SetDeadline(time.Now().Add(dialTime))
			lines := bufio.NewReader(io.LimitReader(conn, longest))
			line, err := lines.ReadString('\n')
			name, ok := strings.CutPrefix(strings.TrimSpace(line), token+" ")
			if err == nil && ok {
				_, err = fmt.Fprintln(conn, wordOK)
			}
			if err != nil || !ok {
				conn.Close()
				return
			}
			w.hold(conn, lines, name)
		}()
	}
}

// longest is how many bytes a rank may send in total.
const longest = 1 << 16

// dial connects to rank 0 at the first of its addresses that answers.
func (w *Watch) dial(name, first, token string, addresses []string) {
	for _, address := range addresses {
		conn, err := net.DialTimeout("tcp", address, dialTime)
		if err != nil {
			continue
		}
		conn.SetDeadline(time.Now().Add(dialTime))
		lines := bufio.NewReader(io.LimitReader(conn, longest))
		fmt.Fprintln(conn, token, name)
		if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != wordOK {
			conn.Close()
			continue
		}
		go w.hold(conn, lines, first)
		w.add(conn)
		return
	}
}

func (w *Watch) add(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conn)
}

// hold reads from a connection until the other side ends.
func (w *Watch) hold(conn net.Conn, lines *bufio.Reader, name string) {
	conn.SetDeadline(time.Time{})
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(keepAlive)
	}
	if w.listener != nil {
		w.add(conn)
	}
	line, _ := lines.ReadString('\n')
	line = strings.TrimSpace(line)
	if line != wordBye && !w.closed.Load() {
		why, _ := strings.CutPrefix(line, wordError)
		w.lost(name, why)
	}
}

// Tell reports to rank 0 the error that is about to end this rank. It returns whether that was possible.
func (w *Watch) Tell(err error) bool {
	return w.say(wordError + strings.ReplaceAll(err.Error(), "\n", "; "))
}

func (w *Watch) say(line string) (said bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_, err := fmt.Fprintln(conn, line)
		said = said || err == nil
	}
	return said
}

// Close tells the others that this rank ends normally.
func (w *Watch) Close() {
	if w.closed.Swap(true) {
		return
	}
	w.say(wordBye)
	if w.listener != nil {
		w.listener.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		conn.Close()
	}
}
