package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/shoal-bt/shoal/tracker/account"
)

// caller is who has sent a request: the operator, or a user.
type caller struct {
	operator bool
	user     account.User
	key      account.Key // the user's, which he has shown
}

// name is what the log calls him. A user's name has neither space nor
// parenthesis.
func (c *caller) name() string {
	if c.operator {
		return "(operator)"
	}
	return c.user.Name
}

// maxBearerLen bounds a token or key, in bytes.
const maxBearerLen = 512

// authenticate finds out who sends a request, by "Authorization: Bearer" and a
// token of the operator or the key of a user (RFC 6750). Browsers send no such
// header by themselves, so a page of somebody else cannot use the API through
// one.
func (a *API) authenticate(r *http.Request, forOperator bool) (*caller, error) {
	source := sourceOf(r)
	if a.failed.exhausted(source) {
		return nil, problemf(http.StatusTooManyRequests, "too many attempts with a wrong token or key; wait for a minute")
	}
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return nil, problemf(http.StatusUnauthorized, `say who you are: send the header "Authorization: Bearer" with your key, or with the operator's token`)
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || secret == "" || len(secret) > maxBearerLen {
		a.failed.fail(source)
		return nil, problemf(http.StatusUnauthorized, `the header "Authorization" is to be "Bearer", a space, and your key or the operator's token`)
	}
	c, err := a.known(secret, forOperator)
	if p := (*problem)(nil); errors.As(err, &p) && p.Status == http.StatusUnauthorized {
		a.failed.fail(source)
	}
	return c, err
}

// known finds whose a token or key is.
func (a *API) known(secret string, forOperator bool) (*caller, error) {
	if forOperator && a.cfg.Tokens != nil {
		switch isToken, err := a.cfg.Tokens.has(secret); {
		case err != nil:
			a.cfg.Logger.Warn("admin: the operator is not let in", "error", err)
		case isToken:
			return &caller{operator: true}, nil
		}
	}
	user, err := a.cfg.Accounts.Authenticate(secret)
	switch {
	case errors.Is(err, account.ErrDisabled):
		return nil, problemf(http.StatusForbidden, "%v", err)
	case err != nil:
		return nil, problemf(http.StatusUnauthorized, "this is no token of the operator and no user's own key; a key out of a .torrent file is good for announces only")
	}
	key, err := account.ParseKey(secret)
	return &caller{user: user, key: key}, err
}
