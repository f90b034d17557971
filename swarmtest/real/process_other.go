//go:build !linux

package real

import "syscall"

// attributes are none: there are no addresses for the peers anyway.
func attributes() *syscall.SysProcAttr { return nil }
