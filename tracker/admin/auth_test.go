package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
)

// Every route lets in whom its role says, and nobody below. Whom it lets in it
// may still tell that there is no such thing.
func TestRoles(t *testing.T) {
	s := newSite(t)
	hash := s.add("one")
	roles := []string{"member", "uploader", "moderator", "admin"}
	fill := strings.NewReplacer("{name}", "nobody", "{hash}", strings.Repeat("0", 40), "{id}", strings.Repeat("0", 64), "{number}", "99")
	for _, rt := range routes() {
		path := fill.Replace(rt.path)
		for role, name := range roles {
			if rt.path == "/api/me/rotate-key" {
				continue // it would change the key of the test; TestUsers has it
			}
			a := s.ask(rt.method, path, s.key[name], "")
			mayIn := rt.open || !rt.operator && account.Role(role) >= rt.role
			if (a.StatusCode != http.StatusForbidden) != mayIn {
				t.Errorf("%s %s: a %s gets %d", rt.method, rt.path, name, a.StatusCode)
			}
		}
		ofOneself := strings.HasPrefix(rt.path, "/api/me") || strings.HasSuffix(rt.path, "/file") // for users only
		if a := s.ask(rt.method, path, s.token, ""); a.StatusCode == http.StatusForbidden && !ofOneself {
			t.Errorf("%s %s: the operator gets %d", rt.method, rt.path, a.StatusCode)
		}
		if a := s.askWith(rt.method, path, "", nil); (a.StatusCode == http.StatusUnauthorized) == rt.open {
			t.Errorf("%s %s: nobody gets %d", rt.method, rt.path, a.StatusCode)
		}
	}
	s.want(200, "GET", "/api/torrents/"+hash, s.key["member"], "")
}

// What each role is for, as people understand it.
func TestRolesHaveTheirUse(t *testing.T) {
	s := newSite(t)
	s.want(403, "POST", "/api/torrents", s.key["member"], aTorrent("one"))
	hash := decode[addedJSON](s, s.want(201, "POST", "/api/torrents", s.key["uploader"], aTorrent("one"))).InfoHash
	s.want(403, "DELETE", "/api/torrents/"+hash, s.key["uploader"], "")
	s.want(403, "POST", "/api/users", s.key["moderator"], `{"name":"anna"}`)
	s.want(200, "PUT", "/api/torrents/"+hash+"/promotion", s.key["moderator"], `{"down_percent":0}`)
	s.want(204, "DELETE", "/api/torrents/"+hash, s.key["moderator"], "")
	s.want(201, "POST", "/api/users", s.key["admin"], `{"name":"anna"}`)
	if u := get[userJSON](s, "/api/users/anna"); u.InvitedBy != "admin" {
		t.Errorf("%+v", u)
	}
	s.want(403, "POST", "/api/backups", s.key["admin"], "")
}

// At the tracker's own port there is what users need, and no operator.
func TestForUsers(t *testing.T) {
	s := newSite(t, (*API).ForUsers)
	for _, rt := range routes() {
		path := strings.NewReplacer("{name}", "x", "{hash}", strings.Repeat("0", 40), "{id}", "x", "{number}", "9").Replace(rt.path)
		if rt.path == "/api/me/rotate-key" {
			continue
		}
		a := s.ask(rt.method, path, s.key["admin"], "")
		there := a.StatusCode != http.StatusMethodNotAllowed && !strings.Contains(string(a.body), "there is no such path")
		if there != rt.forUsers {
			t.Errorf("%s %s: %d %s", rt.method, rt.path, a.StatusCode, a.body)
		}
	}
	s.want(401, "GET", "/api/torrents", s.token, "")
	s.want(200, "GET", "/api/me", s.key["member"], "")
	s.want(201, "POST", "/api/torrents", s.key["uploader"], aTorrent("one"))
}

func TestWhoAreYou(t *testing.T) {
	s := newSite(t)
	for _, header := range [][]string{nil, {""}, {"Bearer"}, {"Bearer "}, {"Basic " + s.token}, {s.token}, {"Bearer x"}, {"Bearer " + s.token + "x"}, {"Bearer " + strings.Repeat("x", 5000)}} {
		s.now.forward(time.Minute) // so that there are not too many
		a := s.askWith("GET", "/api/users", "", http.Header{"Authorization": header})
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%.60q: %d, %s", header, a.StatusCode, a.Header.Get("WWW-Authenticate"))
		}
	}
	if a := s.askWith("GET", "/api/users", "", http.Header{"Authorization": {"Bearer " + s.token, "Bearer x"}}); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("two headers: %d", a.StatusCode)
	}
	if a := s.askWith("GET", "/api/users", "", http.Header{"Authorization": {"bearer " + s.token}}); a.StatusCode != http.StatusOK {
		t.Errorf("the scheme in small letters: %d", a.StatusCode)
	}
}

// Who guesses is held up, whoever he claims to be then; the others are not.
func TestFailuresAreLimited(t *testing.T) {
	s := newSite(t)
	for range failuresAtOnce {
		s.want(401, "GET", "/api/me", "wrong", "")
	}
	if a := s.want(429, "GET", "/api/me", s.key["member"], ""); a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when")
	}
	s.want(429, "POST", "/api/join", "", `{"code":"x","name":"anna"}`)
	s.now.forward(failuresEvery)
	s.want(200, "GET", "/api/me", s.key["member"], "") // what is right costs nothing
	s.want(401, "GET", "/api/me", "wrong", "")
	s.want(429, "GET", "/api/me", "wrong", "")
	s.now.forward(time.Hour)
	for range failuresAtOnce {
		s.want(400, "POST", "/api/join", "", `{"code":"x","name":"anna"}`)
	}
	s.want(429, "GET", "/api/me", "wrong", "")
}

func TestSources(t *testing.T) {
	now := &clock{at: time.Unix(1e9, 0)}
	l := newLimiter(now.now)
	from := func(addr string) *http.Request { return &http.Request{RemoteAddr: addr} }
	for range failuresAtOnce {
		l.fail(sourceOf(from("[2001:db8::1]:5")))
		l.fail(sourceOf(from("10.0.0.1:5")))
	}
	for addr, want := range map[string]bool{
		"[2001:db8::2]:6": true, "[2001:db8:0:1::1]:5": false, "10.0.0.1:9": true, "[::ffff:10.0.0.1]:9": true, "10.0.0.2:5": false, "nonsense": false,
	} {
		if got := l.exhausted(sourceOf(from(addr))); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	for i := range 3 * maxSources {
		l.fail(sourceOf(from(fmt.Sprintf("10.%d.%d.%d:5", 1+i>>16, i>>8&255, i&255))))
	}
	if len(l.sources) > maxSources {
		t.Errorf("%d sources", len(l.sources))
	}
}

// A token is exchanged in the file, and holds at once; a file that is not in
// order lets nobody in.
func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(path)
	if info, _ := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	has := func(token string, want bool) {
		t.Helper()
		if got, err := tokens.has(token); err != nil || got != want {
			t.Errorf("%v, %v", got, err)
		}
	}
	old := strings.TrimSpace(string(made))
	has(old, true)
	has(old[1:], false)
	has("", false)
	if len(old) < minTokenLen {
		t.Errorf("%d characters", len(old))
	}
	again, err := OpenTokens(path) // which makes no other
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := again.has(old); !ok || err != nil {
		t.Error(ok, err)
	}

	const next, third = "another-token-of-32-characters-or-more", "the-third-is-only-known-by-its-hash"
	thirdSum := sha256.Sum256([]byte(third))
	writeFile(t, path, "# both for a while\n\n"+old+"\n  "+next+"\nsha256:"+hex.EncodeToString(thirdSum[:])+"\n", 0o600)
	for _, token := range []string{old, next, third} {
		has(token, true)
	}
	has("# both for a while", false)
	writeFile(t, path, next, 0o600)
	has(old, false)
	has(next, true)

	for text, mode := range map[string]os.FileMode{
		next: 0o640, "": 0o600, "short": 0o600, "a token that has a space in it, and is long": 0o600, "sha256:12": 0o600,
		"sha256:" + strings.Repeat("x", 64): 0o600, strings.Repeat(next+"\n", maxTokens+1): 0o600, strings.Repeat("x", maxTokenFile+1): 0o600,
	} {
		writeFile(t, path, text, mode)
		if ok, err := tokens.has(next); ok || err == nil || text != "" && strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("%.40q with mode %o: %v, %v", text, mode, ok, err)
		}
		if _, err := OpenTokens(path); err == nil {
			t.Errorf("%.40q with mode %o is taken", text, mode)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if ok, err := tokens.has(next); ok || err == nil {
		t.Error("a file that is gone lets in")
	}
	writeFile(t, path, next, 0o600)
	has(next, true)
	if _, err := OpenTokens(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file")
	}
}

// Neither the log nor an answer other than the one that tells a key has it, and
// the log says who has changed what.
func TestKeysAreNotLogged(t *testing.T) {
	s := newSite(t)
	hash := s.add("one")
	secrets := []string{s.token}
	for _, key := range s.key {
		secrets = append(secrets, key)
	}
	anna := decode[keyJSON](s, s.want(201, "POST", "/api/users", s.key["admin"], `{"name":"anna"}`)).Key
	inv := decode[madeInviteJSON](s, s.want(201, "POST", "/api/invites", s.token, `{}`)).Code
	berta := decode[keyJSON](s, s.want(201, "POST", "/api/join", "", fmt.Sprintf(`{"code":%q,"name":"berta"}`, inv))).Key
	single := decode[keyJSON](s, s.want(201, "POST", "/api/torrents/"+hash+"/keys", s.token, `{"name":"anna"}`)).Key
	secrets = append(secrets, anna, inv, berta, single)
	s.must(s.announce(single, hash, 0, 0, 5, tracker.Started))
	s.want(401, "GET", "/api/me", single, "")
	s.want(200, "GET", "/api/torrents/"+hash+"/file", anna, "")
	answers := s.log.String()
	for _, path := range []string{"/api/users", "/api/users/anna", "/api/invites", "/api/torrents", "/api/torrents/" + hash + "/keys", "/api/stats", "/api/findings"} {
		answers += string(s.want(200, "GET", path, s.token, "").body)
	}
	s.must(s.store.Close()) // so that everything fails
	s.want(503, "GET", "/api/torrents/"+hash+"/file", anna, "")
	s.want(503, "POST", "/api/users/anna/rotate-key", s.token, "")
	answers += s.log.String()
	for _, secret := range secrets {
		if strings.Contains(answers, secret) {
			t.Errorf("%s is told:\n%s", secret, answers)
		}
	}
	for _, line := range []string{
		`by=admin route="POST /api/users" status=201`, `by=(operator) route="POST /api/invites" status=201`, `route="POST /api/users/{name}/rotate-key" status=503`,
	} {
		if !strings.Contains(answers, line) {
			t.Errorf("the log lacks %s:\n%s", line, s.log)
		}
	}
}

// Whatever is sent, the answer is not that the fault is here.
func FuzzAPI(f *testing.F) {
	for _, rt := range routes() {
		f.Add(rt.method, rt.path, `{"name":"anna","role":"member","slots":1}`, "application/json")
	}
	f.Add("POST", "/api/torrents", aTorrent("one"), torrentType)
	f.Add("GET", "/api/users?limit=5&after=3", "", "")
	f.Add("PUT", "/api/promotion", `{"down_percent":0,"from":"2026-01-01T00:00:00Z","until":null}`, "application/json")
	f.Add("POST", "/api/findings/1/resolve", `{"verdict":"x"}`, "application/json")
	s := &site{key: map[string]string{}, log: new(syncBuffer), now: &clock{at: time.Unix(1e9, 0)}}
	handler := s.newAPI(f).Handler()
	f.Fuzz(func(t *testing.T, method, path, body, contentType string) {
		req, err := http.NewRequest(method, "http://x", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		req.URL.Path, req.URL.RawQuery, _ = strings.Cut(path, "?")
		req.RemoteAddr = "10.0.0.1:5"
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
	})
}
