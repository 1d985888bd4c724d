package audit

import (
	"math"
	"strconv"
)

// exactInt is the end of the range in which a double holds every integer.
const exactInt = 1 << 53

// appendNumber prints a finite f as JavaScript does: the fewest digits that
// read back as f, in plain notation from 1e-6 up to below 1e21, else with an
// exponent that has a sign and no padding. Minus zero prints as 0.
func appendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits: 1e-07.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendInt prints n as [appendNumber] prints the double nearest to it.
func appendInt(dst []byte, n int64) []byte {
	if -exactInt <= n && n <= exactInt {
		return strconv.AppendInt(dst, n, 10)
	}
	return appendNumber(dst, float64(n))
}
