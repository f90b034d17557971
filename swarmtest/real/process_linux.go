package real

import "syscall"

// attributes give a process a group of its own: a Ctrl-C at the terminal goes to us only, and we
// end it. If we are killed before, the kernel ends it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
