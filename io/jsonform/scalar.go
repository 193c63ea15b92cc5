package jsonform

// char is a position within a UTF-8 character: `missing` bytes remain, and the next must be between low and high.
type char struct{ missing, low, high byte }

func (c char) whole() bool { return c.missing == 0 }

// next returns the position after another byte.
func (c char) next(b byte) (char, bool) {
	if c.missing > 0 {
		return char{c.missing - 1, 0x80, 0xbf}, b >= c.low && b <= c.high
	}
	c = char{0, 0x80, 0xbf}
	switch {
	case b < 0x80:
		return char{}, true
	case b < 0xc2 || b > 0xf4:
		return c, false
	case b < 0xe0:
		c.missing = 1
	case b < 0xf0:
		c.missing = 2
		if b == 0xe0 {
			c.low = 0xa0
		} else if b == 0xed { // excludes surrogates
			c.high = 0x9f
		}
	default:
		c.missing = 3
		if b == 0xf0 {
			c.low = 0x90
		} else if b == 0xf4 {
			c.high = 0x8f
		}
	}
	return c, true
}

// chars is the rest of a string with a limited number of characters.
type chars struct {
	n      *node
	count  int
	char   char
	escape escape
}

// escape is a position within an escape.
type escape byte

const (
	unescaped escape = iota
	backslash
	hex1 // \u
	hex2
	hex2low // after a D, which begins a surrogate unless a digit below 8 follows
	hex3
	hex4
)

func (m chars) optional() bool { return false }
func (m chars) step(a *automaton, b byte, then *stack) {
	if m.escape != unescaped {
		if m.escape = m.escape.next(b); m.escape == unescaped {
			m.more()
		}
		if m.escape != broken {
			a.emit(a.push(m, then))
		}
		return
	}
	if m.char.whole() {
		switch {
		case b == '"' && m.count >= m.n.least:
			a.emit(then)
			return
		case b == '"' || b < ' ' || m.n.most >= 0 && m.count >= m.n.most:
			return
		case b == '\\':
			m.escape = backslash
			a.emit(a.push(m, then))
			return
		}
	}
	next, ok := m.char.next(b)
	if !ok {
		return
	}
	if m.char = next; next.whole() {
		m.char = char{}
		m.more()
	}
	a.emit(a.push(m, then))
}

// more counts a character, up to the point where the count matters.
func (m *chars) more() {
	if m.count++; m.n.most < 0 {
		m.count = min(m.count, m.n.least)
	}
}

const broken escape = 255

func (e escape) next(b byte) escape {
	hex := b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f'
	switch {
	case e == backslash && b == 'u':
		return hex1
	case e == backslash:
		switch b {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return unescaped
		}
		return broken
	case !hex:
		return broken
	case e == hex1 && b|0x20 == 'd':
		return hex2low
	case e == hex1:
		return hex2
	case e == hex2low && (b < '0' || b > '7'):
		return broken
	case e == hex2 || e == hex2low:
		return hex3
	case e == hex3:
		return hex4
	}
	return unescaped
}

// numeral is the rest of a number.
type numeral struct {
	n             *node
	at            place
	negative      bool
	digits, point int8  // digits so far: of the integer part or the exponent, and after the decimal point
	units         int64 // value of a bounded number, without sign and decimal point
}

// place is a position within a number.
type place byte

const (
	begins place = iota
	behindMinus
	behindZero
	inWhole
	behindPoint
	inFraction
	behindE
	behindSign
	inExponent
)

func (m numeral) optional() bool {
	switch m.at {
	case behindZero, inWhole, inFraction, inExponent:
		return !m.n.bounded || m.reaches(0)
	}
	return false
}

var tens = func() (t [digits + 1]int64) {
	t[0] = 1
	for i := range digits {
		t[i+1] = 10 * t[i]
	}
	return t
}()

// scale is the number of digits after the decimal point of a bounded number.
func (m numeral) scale() int {
	if m.n.whole {
		return 0
	}
	return fraction
}

// reaches reports whether the number is within its bounds if `more` more digits of its integer part follow, or can still
// become so.
func (m numeral) reaches(more int) bool {
	missing := m.scale() - int(m.point) + more
	if int(m.digits)+int(m.point)+missing > digits {
		return false
	}
	low := m.units * tens[missing]
	return m.within(low, low)
}

func (m numeral) within(low, high int64) bool {
	if m.negative {
		low, high = -high, -low
	}
	return low <= m.n.high && high >= m.n.low
}

// possible reports whether a bounded number can still become one within its bounds.
func (m numeral) possible() bool {
	if !m.n.bounded {
		return true
	}
	most := 0 // digits of the integer part that may still follow
	if m.at == inWhole {
		most = digits - int(m.digits) - m.scale()
	}
	for more := 0; more <= most; more++ {
		missing := m.scale() - int(m.point) + more
		if int(m.digits)+int(m.point)+missing > digits {
			break
		}
		if low := m.units * tens[missing]; m.within(low, low+tens[missing]-1) {
			return true
		}
	}
	return false
}

func (m numeral) step(a *automaton, b byte, then *stack) {
	digit := b >= '0' && b <= '9'
	fits := func(most int) bool { return int(m.digits) < most }
	switch {
	case b == '-' && m.at == begins && (!m.n.bounded || m.n.low < 0):
		m.at, m.negative = behindMinus, true
		a.emit(a.push(m, then))
		return
	case digit && (m.at == begins || m.at == behindMinus):
		m.at = inWhole
		if b == '0' {
			m.at = behindZero
		}
		m.digits = 1
	case digit && m.at == inWhole && fits(digits-m.room()):
		m.digits++
	case b == '.' && !m.n.whole && (m.at == behindZero || m.at == inWhole):
		m.at = behindPoint
		if m.possible() {
			a.emit(a.push(m, then))
		}
		return
	case digit && (m.at == behindPoint || m.at == inFraction) && int(m.point) < m.places():
		m.at = inFraction
		m.point++
	case b|0x20 == 'e' && !m.n.whole && !m.n.bounded && (m.at == behindZero || m.at == inWhole || m.at == inFraction):
		m.at, m.digits, m.point = behindE, 0, 0
	case (b == '+' || b == '-') && m.at == behindE:
		m.at = behindSign
	case digit && (m.at == behindE || m.at == behindSign || m.at == inExponent) && fits(2):
		m.at = inExponent
		m.digits++
	default:
		return
	}
	if m.n.bounded {
		m.units = 10*m.units + int64(b-'0')
		if !m.possible() {
			return
		}
	} else {
		m.negative = false
	}
	a.emit(a.push(m, then))
}

// room is the number of digits that a bounded number needs after its decimal point.
func (m numeral) room() int {
	if m.n.bounded {
		return m.scale()
	}
	return 0
}

// places is the number of digits allowed after the decimal point.
func (m numeral) places() int {
	if m.n.bounded {
		return fraction
	}
	return digits
}
