package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// Number is a number that may not exist: it is NaN then, and null in JSON.
type Number float64

// Unknown is a Number that does not exist.
var Unknown = Number(math.NaN())

// Known reports whether the number exists.
func (n Number) Known() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// MarshalJSON writes the shortest form that reads as the same number, or
// null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Unknown
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// ratio is a/b, Unknown if b is 0.
func ratio(a, b float64) Number {
	if b == 0 {
		return Unknown
	}
	return Number(a / b)
}

func seconds(d time.Duration) Number { return Number(d.Seconds()) }

// unlessZero is seconds(d), Unknown for 0.
func unlessZero(d time.Duration) Number {
	if d == 0 {
		return Unknown
	}
	return seconds(d)
}

// hashLines is the SHA-256, in hex, of lines that each end with a newline.
func hashLines(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
	return hex.EncodeToString(sum[:])
}

// duration is the time of so many seconds, to the nanosecond for what was one; 0 if it is not known.
func (n Number) duration() time.Duration {
	if !n.Known() {
		return 0
	}
	return time.Duration(math.Round(float64(n) * 1e9))
}
