package real

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// endTimeout is how long a process may take to end when it is asked to. Shoal
// gives itself eight seconds to say goodbye.
const endTimeout = 15 * time.Second

// process is a program with its arguments.
type process struct {
	name string // for errors
	argv []string
	// heard is called with each line of its results, if it is not nil.
	heard func(line []byte) error
}

// run runs the process to its end, which is that of ctx unless it ends by itself. It is an error
// if it fails, but what a process does that was told to end is not. There is no process left when run
// returns.
func (p *process) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err == nil || errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return cmd.Process.Kill() // where there are no signals
	}
	cmd.WaitDelay = endTimeout
	said := &tail{}
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	heardErr := p.listen(stdout)
	if heardErr != nil {
		cmd.Process.Kill() // or it would fill the pipe and wait
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil
	case heardErr != nil:
		return fmt.Errorf("%s: %w", p.name, heardErr)
	case err != nil:
		return fmt.Errorf("%s: %w: %s", p.name, err, said)
	}
	return nil
}

// listen reads the results, line by line, to their end.
func (p *process) listen(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if p.heard != nil {
			if err := p.heard(lines.Bytes()); err != nil {
				return err
			}
		}
	}
	if errors.Is(lines.Err(), os.ErrClosed) {
		return nil // the process did not end in time, and was killed
	}
	return lines.Err()
}

// tail keeps the end of what a program says about itself: its error.
type tail struct{ text []byte }

const maxTail = 1 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-maxTail):]...)
	t.text = t.text[max(0, len(t.text)-maxTail):]
	return len(p), nil
}

// String is the last line.
func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return lines[len(lines)-1]
}

// service is a process that is there for the others.
type service struct {
	end   context.CancelFunc
	ended chan struct{}
	err   error // when ended is closed
}

// listenTimeout is how long a service may take until it listens, on a machine
// that has much else to do.
const listenTimeout = 20 * time.Second

// serve starts a process and waits until somebody listens at addr. If it ends before it is
// to, failed is called.
func (p *process) serve(ctx context.Context, addr net.Addr, failed context.CancelCauseFunc) (*service, error) {
	// It lives on when ctx ends, for those that say goodbye to it.
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &service{end: end, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = p.run(alive)
		if s.err == nil && alive.Err() == nil {
			s.err = fmt.Errorf("%s ended by itself", p.name)
		}
		if s.err != nil {
			failed(s.err)
		}
	}()
	if err := s.await(ctx, addr); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s does not listen: %w", p.name, err)
	}
	return s, nil
}

// await knocks until the service is at home.
func (s *service) await(ctx context.Context, addr net.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var dialer net.Dialer
		if conn, err := dialer.DialContext(ctx, addr.Network(), addr.String()); err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return s.err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

// stop ends the service, and waits.
func (s *service) stop() {
	s.end()
	<-s.ended
}
