package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// loadKey reads the private key of a mutable item from a file: the seed of an
// ed25519 key (RFC 8032), 32 bytes as hexadecimal digits. If there is no such
// file, it makes a key and writes it.
func loadKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	if err := checkKeyMode(path); err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(b)))
	switch {
	case err == nil && len(seed) == ed25519.PrivateKeySize:
		// BEP 44's own vectors have this form. The seed cannot be found from it.
		return nil, fmt.Errorf("%s holds 64 bytes, an expanded private key or a seed with its public key; Shoal reads a seed of 32 bytes alone, as 64 hexadecimal digits", path)
	case err != nil || len(seed) != ed25519.SeedSize:
		return nil, fmt.Errorf("%s is not a key of Shoal: it must hold 64 hexadecimal digits and nothing else", path)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// checkKeyMode refuses a key that others of this machine can read: whoever has
// it can replace the item.
func checkKeyMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may read the key in %s; run \"chmod 600\" on it first", path)
	}
	return nil
}

// makeKey writes a new key, and never over another.
func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%x\n", key.Seed())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path) // half a key would be in the way of the next one
		return nil, err
	}
	return key, nil
}
