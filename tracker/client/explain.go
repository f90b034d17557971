package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/shoal-bt/shoal/metainfo"
)

// networkError is a failure of the network or of the tracker's host, in words
// that say what to do.
type networkError struct {
	text string
	err  error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.err }

// explain turns an error of net or net/http into one for people. The URL that
// net/http puts in front is dropped, for it may hold a key.
func explain(err error, u *url.URL) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &networkError{explanation(err, u), err}
}

func explanation(err error, u *url.URL) string {
	var (
		dns   *net.DNSError
		cert  *tls.CertificateVerificationError
		local *localError
		timed interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host of that name; check the URL"
	case errors.As(err, &timed) && timed.Timeout():
		return "no answer in time; is it down?"
	case errors.As(err, &dns):
		return "its name cannot be looked up; check the network"
	case errors.As(err, &cert):
		return fmt.Sprintf("its certificate is not valid: %v", cert.Err)
	case errors.As(err, &local):
		return local.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is it running?"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no route to it; check the network"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "it closed the connection without an answer"
	}
	return hideKeys(metainfo.Printable(err.Error()), u)
}

// minKeyLen is the least length of a part of a URL that may be a key.
const minKeyLen = 8

// hideKeys takes out of text whatever long part of u's path or query it
// repeats: net/http quotes, for example, a malformed redirect.
func hideKeys(text string, u *url.URL) string {
	isCut := func(r rune) bool { return strings.ContainsRune("/?&=", r) }
	for _, part := range strings.FieldsFunc(u.EscapedPath()+"?"+u.RawQuery, isCut) {
		if len(part) >= minKeyLen && part != "announce" {
			text = strings.ReplaceAll(text, part, "(hidden)")
		}
	}
	return text
}
