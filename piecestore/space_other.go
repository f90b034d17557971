//go:build !(linux || darwin || freebsd)

package piecestore

import (
	"errors"
	"fmt"
)

// FreeSpace returns how many bytes an ordinary user may still write below dir.
// Here the system is not asked: the error wraps errors.ErrUnsupported.
func FreeSpace(dir string) (int64, error) {
	return 0, fmt.Errorf("free space of %s: %w", dir, errors.ErrUnsupported)
}
