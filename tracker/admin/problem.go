package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/shoal-bt/shoal/tracker/account"
)

// problem is an error as RFC 9457 has it ("problem details"). The detail says
// what to do.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

func problemf(status int, format string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// bad is what the caller did wrong.
func bad(format string, args ...any) error {
	return problemf(http.StatusBadRequest, format, args...)
}

// asProblem makes of an error what the caller is told. What went wrong inside
// is for the log: its text may name files.
func asProblem(err error) (p *problem, inside bool) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p, false
	case errors.As(err, &tooLarge):
		return problemf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes; send less", tooLarge.Limit), false
	case errors.Is(err, account.ErrNotFound):
		return problemf(http.StatusNotFound, "%v; look it up in its list", err), false
	case errors.Is(err, account.ErrExists):
		return problemf(http.StatusConflict, "%v; choose another name, or use the one that is there", err), false
	}
	return problemf(http.StatusServiceUnavailable, "the database did not do it; try again, and look into the tracker's log if it goes on"), true
}

func writeProblem(w http.ResponseWriter, p *problem) {
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // a type of ours that has no JSON
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store") // keys
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}
