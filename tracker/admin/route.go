package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/shoal-bt/shoal/tracker/account"
)

// maxBodyLen bounds a body of JSON, in bytes. The largest has a few hundred.
const maxBodyLen = 16 << 10

// route is one way to call the API. Of needs and open one is set.
type route struct {
	method, path string
	// open routes need no key; for the others the least role is role, and
	// operator ones are not for users at all.
	open, operator bool
	role           account.Role
	// forUsers routes are served at the tracker's own port, too.
	forUsers bool
	query    []string // the parameters that it knows
	maxLen   int64    // of the body; 0 means maxBodyLen
	status   int      // of success; 0 means 200
	handle   func(context.Context, *call) (any, error)
}

// call is a request on its way.
type call struct {
	*API
	*http.Request
	caller
	query url.Values
}

// raw is a response that is no JSON.
type raw struct {
	contentType, name string
	body              []byte
}

func routes() []route {
	return slices.Concat(aboutRoutes, userRoutes, ownRoutes, inviteRoutes, torrentRoutes, promotionRoutes, findingRoutes)
}

// handler serves a route.
func (a *API) handler(rt route, forOperator bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maxLen := int64(maxBodyLen)
		if rt.maxLen > 0 {
			maxLen = rt.maxLen
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxLen)
		c := &call{API: a, Request: r}
		result, err := a.answer(c, rt, forOperator)
		status := rt.status
		if status == 0 {
			status = http.StatusOK
		}
		if err != nil {
			status = c.fail(w, rt, err)
		} else {
			write(w, status, result)
		}
		if r.Method != http.MethodGet {
			a.cfg.Logger.Info("admin: change", "by", c.name(), "route", rt.method+" "+rt.path, "status", status)
		}
	})
}

// answer checks all that routes have in common, and calls the route.
func (a *API) answer(c *call, rt route, forOperator bool) (any, error) {
	if !rt.open {
		who, err := a.authenticate(c.Request, forOperator)
		if err != nil {
			return nil, err
		}
		c.caller = *who
		if !c.may(rt) {
			return nil, problemf(http.StatusForbidden, "your role %s may not do this; ask for it", c.user.Role)
		}
	}
	var err error
	if c.query, err = url.ParseQuery(c.URL.RawQuery); err != nil {
		return nil, bad("the query is not written as in a URL: %v", err)
	}
	for name, values := range c.query {
		if !slices.Contains(rt.query, name) || len(values) > 1 {
			return nil, bad("the parameter %q is unknown here, or there twice; this path knows %q", name, rt.query)
		}
	}
	return rt.handle(c.Context(), c)
}

// may reports whether the caller's role is enough.
func (c *call) may(rt route) bool {
	return c.operator || !rt.operator && c.user.Role >= rt.role
}

// fail tells the caller what went wrong, and the log if it is not his fault.
func (c *call) fail(w http.ResponseWriter, rt route, err error) (status int) {
	p, inside := asProblem(err)
	if inside && c.Context().Err() == nil {
		c.cfg.Logger.Warn("admin: failed", "route", rt.method+" "+rt.path, "error", err)
	}
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "60")
	}
	writeProblem(w, p)
	return p.Status
}

// write sends the result of a route; nil is no content.
func write(w http.ResponseWriter, status int, result any) {
	switch result := result.(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case raw:
		h := w.Header()
		h.Set("Content-Type", result.contentType)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if result.name != "" {
			h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(result.name))
		}
		w.Write(result.body)
	default:
		writeJSON(w, status, "application/json", result)
	}
}
