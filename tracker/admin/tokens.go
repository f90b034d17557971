package admin

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// minTokenLen, in characters, keeps words that people make up out.
	minTokenLen = 32
	// maxTokenFile bounds the file, in bytes, and maxTokens what it lists.
	maxTokenFile = 16 << 10
	maxTokens    = 16
	// hashedToken begins a line that has only the SHA-256 of a token.
	hashedToken = "sha256:"
)

// Tokens are those of the operator, one on each line of a file: as they are,
// or as "sha256:" and 64 hexadecimal digits. The file is read again whenever
// it has changed, so a token is exchanged without a restart: add the new one,
// tell it to whoever uses the old one, remove that.
type Tokens struct {
	path string
	mu   sync.Mutex
	seen os.FileInfo // when it was read
	sums [][sha256.Size]byte
}

// OpenTokens reads a file of tokens, which only its owner may read. If there is
// none it is made, with a random token.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	err := t.reload()
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeTokens(path); err == nil {
			err = t.reload()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return t, nil
}

func makeTokens(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, rand.Text()+rand.Text()+"\n") // 2 x 130 bits
	return errors.Join(err, f.Close())
}

// has reports whether a token is in the file. A file that cannot be read has
// none: who has made a mistake in it must not leave the door open.
func (t *Tokens) has(token string) (bool, error) {
	sum := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.reload(); err != nil {
		return false, fmt.Errorf("admin: %w", err)
	}
	found := 0
	for _, known := range t.sums {
		found |= subtle.ConstantTimeCompare(sum[:], known[:])
	}
	return found == 1, nil
}

// reload reads the file if it is not the one that was read last.
func (t *Tokens) reload() error {
	info, err := os.Stat(t.path)
	if err != nil {
		t.seen, t.sums = nil, nil
		return fmt.Errorf("token file: %w", err)
	}
	if t.seen != nil && os.SameFile(info, t.seen) && info.ModTime().Equal(t.seen.ModTime()) && info.Size() == t.seen.Size() && info.Mode() == t.seen.Mode() {
		return nil
	}
	t.seen, t.sums = nil, nil
	sums, err := readTokens(t.path, info)
	if err != nil {
		return fmt.Errorf("token file %s: %w", t.path, err)
	}
	// A file that was written in this very moment may be written again without
	// a later time.
	if time.Since(info.ModTime()) > time.Second {
		t.seen = info
	}
	t.sums = sums
	return nil
}

func readTokens(path string, info os.FileInfo) (sums [][sha256.Size]byte, err error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, errors.New("others than its owner may read or write it; chmod 600")
	case info.Size() > maxTokenFile:
		return nil, fmt.Errorf("it is larger than %d bytes; it has a token on each line and nothing else", maxTokenFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		sum, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err) // without the line
		}
		sums = append(sums, sum)
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case len(sums) == 0:
		return nil, errors.New("it has no token")
	case len(sums) > maxTokens:
		return nil, fmt.Errorf("it has more than %d tokens", maxTokens)
	}
	return sums, nil
}

func parseToken(line string) (sum [sha256.Size]byte, err error) {
	digits, hashed := strings.CutPrefix(line, hashedToken)
	switch {
	case hashed && len(digits) == 2*len(sum):
		if _, err := hex.Decode(sum[:], []byte(digits)); err == nil {
			return sum, nil
		}
		fallthrough
	case hashed:
		return sum, fmt.Errorf("a hash has %d hexadecimal digits", 2*len(sum))
	case len(line) < minTokenLen:
		return sum, fmt.Errorf("a token has at least %d characters", minTokenLen)
	case strings.ContainsAny(line, " \t"):
		return sum, errors.New("a token has no space in it")
	}
	return sha256.Sum256([]byte(line)), nil
}
