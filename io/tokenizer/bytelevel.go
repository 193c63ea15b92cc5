package tokenizer

// GPT-2 writes each byte as a printable character, so that pieces are text: printable characters of Latin-1 as themselves,
// the other bytes as U+0100, U+0101 and so on, in order.
var (
	byteChars [256]string
	charBytes = map[rune]byte{}
)

func init() {
	next := rune(0x100)
	for b := range byteChars {
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		byteChars[b] = string(r)
		charBytes[r] = byte(b)
	}
}
