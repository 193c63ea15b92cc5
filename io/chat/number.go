package chat

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// num is a Python number: an integer in i or, if set, in b; otherwise a float.
type num struct {
	isFloat bool
	i       int64
	b       *big.Int
	f       float64
}

func number(v value) (num, bool) {
	switch v := v.(type) {
	case int64:
		return num{i: v}, true
	case float64:
		return num{isFloat: true, f: v}, true
	case bool:
		if v {
			return num{i: 1}, true
		}
		return num{}, true
	case *big.Int:
		return num{b: v}, true
	}
	return num{}, false
}

func (n num) isNaN() bool { return n.isFloat && math.IsNaN(n.f) }

func (n num) big() *big.Int {
	if n.b != nil {
		return n.b
	}
	return big.NewInt(n.i)
}

// float returns n as a float. It raises if the integer is too large.
func (n num) float() float64 {
	switch {
	case n.isFloat:
		return n.f
	case n.b == nil:
		return float64(n.i)
	}
	f, _ := new(big.Float).SetInt(n.b).Float64()
	if math.IsInf(f, 0) {
		raise("int too large to convert to float")
	}
	return f
}

// whole returns n as an int64 if it is an integer in that range.
func (n num) whole() (int64, bool) {
	if n.b != nil {
		return 0, false
	}
	if n.isFloat {
		if n.f != math.Trunc(n.f) || math.Abs(n.f) >= 1<<63 {
			return 0, false
		}
		return int64(n.f), true
	}
	return n.i, true
}

// shrink returns the smallest representation of an integer.
func shrink(b *big.Int) value {
	if b.IsInt64() {
		return b.Int64()
	}
	if b.BitLen() > maxBits {
		raise("a whole number would have more than %d bits", maxBits)
	}
	return b
}

func compareNumbers(a, b num) int {
	if !a.isFloat && !b.isFloat {
		if a.b == nil && b.b == nil {
			switch {
			case a.i < b.i:
				return -1
			case a.i > b.i:
				return 1
			}
			return 0
		}
		return a.big().Cmp(b.big())
	}
	if a.isNaN() || b.isNaN() {
		return 2 // equal to nothing
	}
	return a.exact().Cmp(b.exact())
}

// exact returns n without rounding.
func (n num) exact() *big.Float {
	if n.isFloat {
		return big.NewFloat(n.f)
	}
	return new(big.Float).SetInt(n.big())
}

// arith is a binary operator on two numbers.
func (r *run) arith(op string, a, b num) value {
	if op == "/" {
		return divide(a, b)
	}
	if a.isFloat || b.isFloat {
		return floatArith(op, a.float(), b.float())
	}
	if a.b == nil && b.b == nil {
		if v, ok := smallArith(op, a.i, b.i); ok {
			return v
		}
	}
	x, y, z := a.big(), b.big(), new(big.Int)
	r.charge(x.BitLen() + y.BitLen())
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		r.charge(x.BitLen() * (y.BitLen()/64 + 1) / 64)
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			raise("integer division or modulo by zero")
		}
		m := new(big.Int)
		z.DivMod(x, y, m) // Euclidean division: the remainder is never negative
		if m.Sign() != 0 && y.Sign() < 0 {
			z.Sub(z, big.NewInt(1))
			m.Add(m, y)
		}
		if op == "%" {
			z = m
		}
	case "**":
		return r.power(x, y)
	}
	return shrink(z)
}

func smallArith(op string, a, b int64) (value, bool) {
	switch op {
	case "+":
		c := a + b
		return c, (c > a) == (b > 0)
	case "-":
		c := a - b
		return c, (c < a) == (b > 0)
	case "*":
		hi, lo := bits.Mul64(uint64(max(a, -a)), uint64(max(b, -b)))
		return a * b, hi == 0 && lo < 1<<63 && a != math.MinInt64 && b != math.MinInt64
	case "//", "%":
		if b == 0 {
			raise("integer division or modulo by zero")
		}
		if a == math.MinInt64 {
			return nil, false
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q, m = q-1, m+b
		}
		if op == "%" {
			return m, true
		}
		return q, true
	}
	return nil, false
}

func divide(a, b num) value {
	if a.isFloat || b.isFloat {
		x, y := a.float(), b.float()
		if y == 0 {
			raise("float division by zero")
		}
		return x / y
	}
	if b.big().Sign() == 0 {
		raise("division by zero")
	}
	f, _ := new(big.Rat).SetFrac(a.big(), b.big()).Float64()
	if math.IsInf(f, 0) {
		raise("integer division result too large for a float")
	}
	return f
}

func floatArith(op string, x, y float64) value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return floatPower(x, y)
	}
	if y == 0 {
		raise("float floor division or modulo by zero")
	}
	mod := math.Mod(x, y)
	div := (x - mod) / y
	if mod != 0 {
		if (y < 0) != (mod < 0) {
			mod += y
			div--
		}
	} else {
		mod = math.Copysign(0, y)
	}
	if op == "%" {
		return mod
	}
	if div == 0 {
		return math.Copysign(0, x/y)
	}
	floor := math.Floor(div)
	if div-floor > 0.5 {
		floor++
	}
	return floor
}

func floatPower(x, y float64) value {
	if x == 0 && y < 0 {
		raise("0.0 cannot be raised to a negative power")
	}
	if x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		raise("complex numbers are not supported")
	}
	z := math.Pow(x, y)
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		raise("the result of a power is too large")
	}
	return z
}

func (r *run) power(x, y *big.Int) value {
	if y.Sign() < 0 {
		return floatPower(num{b: x}.float(), num{b: y}.float())
	}
	if x.BitLen() > 1 && (!y.IsInt64() || y.Int64() > maxBits || int64(x.BitLen()-1)*y.Int64() > maxBits) {
		raise("a whole number would have more than %d bits", maxBits)
	}
	r.charge(4 * maxBits)
	switch {
	case x.Sign() == 0 && y.Sign() != 0:
		return int64(0)
	case x.BitLen() <= 1: // 0**0, 1 or -1
		y = new(big.Int).And(y, big.NewInt(1))
	}
	return shrink(new(big.Int).Exp(x, y, nil))
}

// negate is -v; bools count as integers.
func negate(v value) value {
	n, ok := number(v)
	if !ok {
		raise("bad operand type for unary -: '%s'", typeName(v))
	}
	if n.isFloat {
		return -n.f
	}
	return shrink(new(big.Int).Neg(n.big()))
}

// toIndex returns v as an index; values out of range become the nearest in range.
func toIndex(v value, what string) int {
	n, ok := number(v)
	if !ok || n.isFloat {
		raise("%s must be an integer, not '%s'", what, typeName(v))
	}
	if n.b != nil {
		if n.b.Sign() < 0 {
			return math.MinInt32
		}
		return math.MaxInt32
	}
	return int(max(math.MinInt32, min(math.MaxInt32, n.i)))
}

// floatText is Python's repr of a float.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp := 0
	for i := range s {
		if s[i] == 'e' {
			exp, _ = strconv.Atoi(s[i+1:])
		}
	}
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if f == math.Trunc(f) {
		s += ".0"
	}
	return s
}

// intText is an integer in decimal.
func intText(v value) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case *big.Int:
		s := ""
		if v.BitLen() < 4*maxDigits {
			s = v.String()
		}
		if s == "" || len(s) > maxDigits {
			raise("a whole number has more than %d digits", maxDigits)
		}
		return s
	}
	return "0"
}
