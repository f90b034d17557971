package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
)

// The bounds of a list's part.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// decode reads the body, which is one JSON object with fields that v has and
// no others.
func (c *call) decode(v any) error {
	if contentType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || contentType != "application/json" {
		return problemf(http.StatusUnsupportedMediaType, `send JSON, with the header "Content-Type: application/json"`)
	}
	d := json.NewDecoder(c.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something behind the object")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return bad("the body is empty; send a JSON object")
	}
	return bad("the body is not the JSON that this path takes: %v; /api/openapi.yaml describes it", err)
}

// limit is how many entries of a list are asked for.
func (c *call) limit() (int, error) {
	text := c.query.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, bad("limit is a number from 1 to %d", maxLimit)
	}
	return n, nil
}

// after is the number behind which a part of a list begins; without it, without.
func (c *call) after(without int64) (int64, error) {
	text := c.query.Get("after")
	if text == "" {
		return without, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, bad(`after is the "next" of the list's part before`)
	}
	return n, nil
}

// part shows a part of a list whose entries have numbers. It reads one entry more
// to see whether there is another part.
func part[E, J any](c *call, without int64, read func(after int64, limit int) ([]E, error), number func(E) int64, show func(E) J) (shown []J, next string, err error) {
	limit, err := c.limit()
	if err != nil {
		return nil, "", err
	}
	after, err := c.after(without)
	if err != nil {
		return nil, "", err
	}
	entries, err := read(after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = strconv.FormatInt(number(entries[limit-1]), 10)
	}
	shown = make([]J, len(entries)) // in JSON, an empty list is not null
	for i, entry := range entries {
		shown[i] = show(entry)
	}
	return shown, next, nil
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch c.query.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, bad("%s is true or false", name)
}

// infoHash is the one in the path.
func (c *call) infoHash() (metainfo.InfoHash, error) {
	h, err := metainfo.ParseInfoHash(c.PathValue("hash"))
	if err != nil {
		return h, bad("%v", err)
	}
	return h, nil
}

// named returns the user in the path.
func (c *call) named(ctx context.Context) (account.UserReport, error) {
	return c.cfg.Store.User(ctx, c.PathValue("name"))
}

// base is what announce URLs begin with. It is asked for before anything is
// changed, because a key that cannot be told is lost.
func (c *call) base(ctx context.Context) (*url.URL, error) {
	settings, err := c.cfg.Store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return account.ParseBase(settings.URL)
}

// changed makes a change hold at once, if it was made. It is made even if the
// tables cannot be read now: then it holds as soon as they can.
func (c *call) changed(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if err := c.cfg.Accounts.Reload(ctx); err != nil {
		c.cfg.Logger.Warn("admin: a change waits until the tables can be read", "error", err)
	}
	return nil
}
