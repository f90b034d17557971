package krpc

import "crypto/sha1"

// ImmutableTarget returns where an immutable item is stored: the SHA-1 of its
// bencoded value (BEP 44).
func ImmutableTarget(value []byte) ID { return sha1.Sum(value) }

// MutableTarget returns where a mutable item is stored: "the SHA-1 hash of
// this key concatenated with the salt, if present" (BEP 44). Bytes beyond
// KeyLen and MaxSaltLen do not count.
func MutableTarget(key, salt []byte) ID {
	var b [KeyLen + MaxSaltLen]byte
	n := copy(b[:KeyLen], key)
	n += copy(b[n:n+MaxSaltLen], salt)
	return sha1.Sum(b[:n])
}

// AppendSigned appends what the signature of a mutable item is made over:
// BEP 44's "4:salt" (only if it is not empty), "3:seqi...e" and "1:v", one
// after the other and encoded one by one.
func AppendSigned(b, salt []byte, seq int64, value []byte) []byte {
	if len(salt) > 0 {
		b = appendString(append(b, "4:salt"...), salt)
	}
	b = appendInt(append(b, "3:seq"...), seq)
	return append(append(b, "1:v"...), value...)
}
