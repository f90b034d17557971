package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

func TestUsers(t *testing.T) {
	s := newSite(t)
	anna := decode[keyJSON](s, s.want(201, "POST", "/api/users", s.token, `{"name":"anna","slots":3}`))
	if anna.AnnounceURL != "http://tracker.example:6969/"+anna.Key+"/announce" {
		t.Error(anna)
	}
	s.want(409, "POST", "/api/users", s.token, `{"name":"Anna"}`)
	s.want(400, "POST", "/api/users", s.token, `{"name":"an na"}`)
	s.want(400, "POST", "/api/users", s.token, `{"name":"berta","role":"king"}`)
	s.want(400, "POST", "/api/users", s.token, `{"name":"berta","slots":-2}`)
	s.want(404, "GET", "/api/users/berta", s.token, "")
	if u := get[userJSON](s, "/api/users/anna"); u.Role != "member" || u.State != "active" || u.Slots != 3 || u.Ratio != nil || u.LastRefusal != nil {
		t.Errorf("%+v", u)
	}

	// Each change holds at the next request.
	s.want(200, "GET", "/api/me", anna.Key, "")
	u := decode[userJSON](s, s.want(200, "PATCH", "/api/users/anna", s.token, `{"role":"uploader","state":"disabled"}`))
	if u.Role != "uploader" || u.State != "disabled" || u.Slots != 3 {
		t.Errorf("%+v", u)
	}
	s.want(403, "GET", "/api/me", anna.Key, "")
	s.want(200, "PATCH", "/api/users/anna", s.token, `{"state":"active","slots":-1}`)
	if u := decode[userJSON](s, s.want(200, "GET", "/api/me", anna.Key, "")); u.Role != "uploader" || u.Slots != -1 {
		t.Errorf("%+v", u)
	}
	s.want(400, "PATCH", "/api/users/anna", s.token, `{"state":"gone"}`)
	s.want(400, "PATCH", "/api/users/anna", s.token, `{"role":""}`)
	s.want(404, "PATCH", "/api/users/berta", s.token, `{}`)

	again := decode[keyJSON](s, s.want(200, "POST", "/api/users/anna/rotate-key", s.token, ""))
	s.want(401, "GET", "/api/me", anna.Key, "")
	own := decode[keyJSON](s, s.want(200, "POST", "/api/me/rotate-key", again.Key, ""))
	s.want(401, "GET", "/api/me", again.Key, "")
	s.want(200, "GET", "/api/me", own.Key, "")

	// The operator is no user, so there is nothing about himself.
	for _, path := range []string{"/api/me", "/api/me/torrents", "/api/torrents/" + s.add("one") + "/file"} {
		s.want(403, "GET", path, s.token, "")
	}
	s.want(403, "POST", "/api/me/rotate-key", s.token, "")
}

// A torrent's name is a stranger's: the file that clients save is none elsewhere,
// and its header is not so long that they refuse it.
func TestNameOfDownload(t *testing.T) {
	s := newSite(t)
	for name, want := range map[string]string{
		"../../etc/passwd": ".._.._etc_passwd.torrent", "..": "_.torrent", "a\r\nX: y": "a__X:%20y.torrent", "a\u202eb": "ab.torrent",
	} {
		added := decode[addedJSON](s, s.want(201, "POST", "/api/torrents", s.token, aTorrent(name)))
		a := s.want(200, "GET", "/api/torrents/"+added.InfoHash+"/file", s.key["member"], "")
		if got := a.Header.Get("Content-Disposition"); got != "attachment; filename*=UTF-8''"+want {
			t.Errorf("%q: %s", name, got)
		}
	}
	s.want(400, "POST", "/api/torrents", s.token, aTorrent(strings.Repeat("n", 2000)))
}

// Who had a key cannot keep the account, or a key for a torrent, by using it
// just when another process replaces it, of which the tables do not know yet.
func TestReplacedKeyIsOfNoUse(t *testing.T) {
	s := newSite(t)
	file := "/api/torrents/" + s.add("one") + "/file"
	s.want(200, "GET", "/api/me", s.key["member"], "")
	member, err := s.store.User(t.Context(), "member")
	if err != nil {
		t.Fatal(err)
	}
	key := account.NewKey()
	if err := s.store.RotateKey(t.Context(), member.ID, key.Hash(), account.KeyHash{}); err != nil {
		t.Fatal(err)
	}
	s.want(401, "GET", file, s.key["member"], "")
	s.want(401, "POST", "/api/me/rotate-key", s.key["member"], "")
	tables, err := s.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range tables.Keys {
		if k.User == member.ID && k.Hash != key.Hash() {
			t.Errorf("a key of the old key's owner: %+v", k)
		}
	}
}

// Admins keep each other in check.
func TestNobodyChangesHimself(t *testing.T) {
	s := newSite(t)
	s.want(403, "PATCH", "/api/users/admin", s.key["admin"], `{"role":"member"}`)
	s.want(403, "PUT", "/api/users/admin/promotion", s.key["admin"], `{"down_percent":0}`)
	s.want(200, "PATCH", "/api/users/moderator", s.key["admin"], `{"role":"admin"}`)
	s.want(200, "PATCH", "/api/users/admin", s.key["moderator"], `{"role":"member"}`)
	s.want(403, "GET", "/api/users", s.key["admin"], "")
}

func TestInvites(t *testing.T) {
	s := newSite(t)
	inv := decode[madeInviteJSON](s, s.want(201, "POST", "/api/invites", s.key["admin"], `{"role":"uploader"}`))
	late := decode[madeInviteJSON](s, s.want(201, "POST", "/api/invites", s.token, `{"expires_seconds":60}`))
	gone := decode[madeInviteJSON](s, s.want(201, "POST", "/api/invites", s.token, `{}`))
	if inv.InvitedBy != "admin" || late.InvitedBy != "" || late.Role != "member" {
		t.Errorf("%+v, %+v", inv, late)
	}
	for _, wrong := range []string{`{"expires_seconds":0}`, `{"expires_seconds":99999999}`, `{"role":"king"}`} {
		s.want(400, "POST", "/api/invites", s.token, wrong)
	}
	if list := get[invitesJSON](s, "/api/invites"); len(list.Invites) != 3 || strings.Contains(fmt.Sprint(list), inv.Code) {
		t.Errorf("%+v", list)
	}
	s.want(204, "DELETE", "/api/invites/"+gone.ID, s.token, "")
	s.want(404, "DELETE", "/api/invites/"+gone.ID, s.token, "")
	s.want(400, "DELETE", "/api/invites/xyz", s.token, "")

	join := func(code, name string) string { return fmt.Sprintf(`{"code":%q,"name":%q}`, code, name) }
	s.want(403, "POST", "/api/join", "", join(gone.Code, "anna"))
	s.want(400, "POST", "/api/join", "", join("12", "anna"))
	s.want(409, "POST", "/api/join", "", join(inv.Code, "member"))
	key := decode[keyJSON](s, s.want(201, "POST", "/api/join", "", join(inv.Code, "anna"))).Key
	if u := decode[userJSON](s, s.want(200, "GET", "/api/me", key, "")); u.Role != "uploader" || u.InvitedBy != "admin" {
		t.Errorf("%+v", u)
	}
	s.want(403, "POST", "/api/join", "", join(inv.Code, "berta"))
	s.now.forward(time.Hour)
	s.want(403, "POST", "/api/join", "", join(late.Code, "berta"))
}

func TestTorrents(t *testing.T) {
	s := newSite(t)
	added := decode[addedJSON](s, s.want(201, "POST", "/api/torrents", s.key["uploader"], aTorrent("one")))
	want := []string{"1 announce URLs of other trackers were taken out.", "It was made private.", `Its source was set to "example".`}
	if !added.InfoHashChanged || added.InfoHash == added.FromInfoHash || added.AddedBy != "uploader" || added.Bytes != 5 ||
		len(added.Changes) != 4 || !slices.Equal(added.Changes[:3], want) ||
		!strings.Contains(added.Changes[3], added.FromInfoHash) || !strings.Contains(added.Changes[3], added.InfoHash) {
		t.Errorf("%+v", added)
	}
	s.want(409, "POST", "/api/torrents", s.token, aTorrent("one"))
	s.want(400, "POST", "/api/torrents", s.token, "d4:infoi1ee")
	one := "/api/torrents/" + added.InfoHash
	if j := get[torrentJSON](s, one); j.Seeds != 3 || j.Leechers != 2 || j.Name != "one" {
		t.Errorf("%+v", j)
	}

	// A file is for who downloads it: its key is good for this torrent, and for
	// nothing else.
	other := s.add("two")
	a := s.want(200, "GET", one+"/file", s.key["member"], "")
	m, err := metainfo.Parse(a.body)
	s.must(err)
	key := strings.Split(m.Announce[0][0], "/")[3]
	if m.InfoHash.String() != added.InfoHash || !m.Info.Private || m.Announce[0][0] != "http://tracker.example:6969/"+key+"/announce" || len(m.Announce) != 1 {
		t.Errorf("%+v", m)
	}
	if got := a.Header.Get("Content-Disposition"); got != "attachment; filename*=UTF-8''one.torrent" {
		t.Error(got)
	}
	s.must(s.announce(key, added.InfoHash, 0, 0, 5, tracker.Started))
	if err := s.announce(key, other, 0, 0, 5, tracker.Started); err != account.ErrOtherKey {
		t.Error(err)
	}
	s.want(401, "GET", "/api/me", key, "")
	if again := s.want(200, "GET", one+"/file", s.key["member"], ""); string(again.body) != string(a.body) {
		t.Error("another key for the same file")
	}

	// Keys for one torrent, as the staff sees and makes them.
	given := decode[keyJSON](s, s.want(201, "POST", one+"/keys", s.token, `{"name":"member"}`))
	s.must(s.announce(given.Key, added.InfoHash, 0, 0, 0, tracker.Started))
	s.want(404, "POST", one+"/keys", s.token, `{"name":"nobody"}`)
	if list := get[torrentKeysJSON](s, one+"/keys"); len(list.Keys) != 1 || list.Keys[0] != (torrentKeyJSON{"member", 2}) {
		t.Errorf("%+v", list)
	}
	if r := decode[removedJSON](s, s.want(200, "DELETE", one+"/keys/member", s.token, "")); r.Removed != 2 {
		t.Errorf("%+v", r)
	}
	if err := s.announce(key, added.InfoHash, 0, 0, 5, tracker.None); err != account.ErrKey {
		t.Error(err)
	}
	s.want(200, "GET", one+"/file", s.key["member"], "")
	s.must(s.announce(key, added.InfoHash, 0, 0, 5, tracker.None))

	s.want(204, "DELETE", one, s.key["moderator"], "")
	if err := s.announce(s.key["member"], added.InfoHash, 0, 0, 5, tracker.None); err != account.ErrTorrent {
		t.Error(err)
	}
	s.want(404, "GET", one, s.token, "")
	s.want(404, "GET", one+"/file", s.key["member"], "")
	s.want(404, "DELETE", one, s.token, "")
	s.want(400, "GET", "/api/torrents/xyz", s.token, "")
}

func TestPromotions(t *testing.T) {
	s := newSite(t)
	hash := s.add("one")
	if site := get[siteJSON](s, "/api/promotion"); site.Promotion != nil {
		t.Errorf("%+v", site)
	}
	until := s.now.now().Add(time.Hour).UTC().Format(time.RFC3339)
	site := decode[siteJSON](s, s.want(200, "PUT", "/api/promotion", s.token, fmt.Sprintf(`{"down_percent":0,"until":%q}`, until)))
	if p := site.Promotion; *p.UpPercent != 100 || *p.DownPercent != 0 || !*p.Active || p.Until.Format(time.RFC3339) != until {
		t.Errorf("%+v", p)
	}
	// It counts for the very next announce.
	s.must(s.announce(s.key["member"], hash, 0, 0, 5, tracker.Started))
	s.must(s.announce(s.key["member"], hash, 10, 10, 0, tracker.None))
	s.flushed()
	if u := get[userJSON](s, "/api/users/member"); u.Uploaded != 10 || u.Downloaded != 0 || u.RawDown != 10 {
		t.Errorf("%+v", u)
	}
	s.now.forward(2 * time.Hour)
	if site := get[siteJSON](s, "/api/promotion"); *site.Promotion.Active {
		t.Error("it goes on")
	}
	s.want(204, "DELETE", "/api/promotion", s.token, "")
	if site := get[siteJSON](s, "/api/promotion"); site.Promotion != nil {
		t.Errorf("%+v", site)
	}
	for path, field := range map[string]func() *promotionJSON{
		"/api/torrents/" + hash: func() *promotionJSON { return get[torrentJSON](s, "/api/torrents/"+hash).Promotion },
		"/api/users/member":     func() *promotionJSON { return get[userJSON](s, "/api/users/member").Promotion },
	} {
		s.want(200, "PUT", path+"/promotion", s.token, `{"up_percent":200}`)
		if p := field(); *p.UpPercent != 200 || *p.DownPercent != 100 || p.Until != nil {
			t.Errorf("%s: %+v", path, p)
		}
		s.want(204, "DELETE", path+"/promotion", s.token, "")
		if p := field(); p != nil {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for _, wrong := range []string{
		`{}`, `{"up_percent":99}`, `{"up_percent":1001}`, `{"down_percent":101}`, `{"down_percent":-1}`, `{"down_percent":0,"active":true}`,
		`{"down_percent":0,"until":"1999-01-01T00:00:00Z"}`, `{"down_percent":0,"until":"2999-01-01T00:00:00Z"}`, `{"down_percent":0,"from":"soon"}`,
	} {
		s.want(400, "PUT", "/api/promotion", s.token, wrong)
	}
	s.want(404, "PUT", "/api/users/nobody/promotion", s.token, `{"down_percent":0}`)
	s.want(404, "DELETE", "/api/users/nobody/promotion", s.token, "")
	s.want(404, "DELETE", "/api/torrents/"+strings.Repeat("0", 40)+"/promotion", s.token, "")
}

func TestFindings(t *testing.T) {
	s := newSite(t)
	h, err := metainfo.ParseInfoHash(s.add("one"))
	s.must(err)
	torrent, err := s.store.Torrent(t.Context(), h)
	s.must(err)
	batch := &ledger.Batch{Seq: 1}
	for kind := ledger.TooFast; kind <= ledger.HiddenDownload; kind++ {
		batch.Findings = append(batch.Findings, ledger.Finding{User: 1, Torrent: torrent.ID, Kind: kind, First: time.Hour, Last: 2 * time.Hour, Count: 1, Bytes: 5})
	}
	s.must(s.store.Flush(t.Context(), account.NewRunID(), batch))
	list := get[findingsJSON](s, "/api/findings?limit=2")
	if len(list.Findings) != 2 || list.Next == "" || list.Findings[0].Kind != "hidden-download" || list.Findings[0].Name != "member" || list.Findings[0].InfoHash != h.String() {
		t.Errorf("%+v", list)
	}
	if rest := get[findingsJSON](s, "/api/findings?limit=2&after="+list.Next); len(rest.Findings) != 1 || rest.Next != "" || rest.Findings[0].Kind != "too-fast" {
		t.Errorf("%+v", rest)
	}
	resolve := fmt.Sprintf("/api/findings/%d/resolve", list.Findings[0].Number)
	for _, wrong := range []string{`{"verdict":""}`, `{}`, `{"verdict":"two\nlines"}`, `{"verdict":"` + strings.Repeat("x", 1001) + `"}`} {
		s.want(400, "POST", resolve, s.token, wrong)
	}
	s.want(204, "POST", resolve, s.key["moderator"], `{"verdict":"a bug of his client"}`)
	s.want(404, "POST", resolve, s.token, `{"verdict":"again"}`)
	s.want(400, "POST", "/api/findings/x/resolve", s.token, `{"verdict":"x"}`)
	if open, all := get[findingsJSON](s, "/api/findings"), get[findingsJSON](s, "/api/findings?all=true"); len(open.Findings) != 2 ||
		len(all.Findings) != 3 || all.Findings[0].Verdict != "a bug of his client" || all.Findings[0].Resolved == nil {
		t.Errorf("%+v\n%+v", open, all)
	}
	s.want(400, "GET", "/api/findings?all=maybe", s.token, "")
}

// A user sees what was counted, and why his last announce was refused.
func TestStatsAndRefusals(t *testing.T) {
	s := newSite(t)
	one, two := s.add("one"), s.add("two")
	key := s.key["member"]
	s.must(s.announce(key, one, 0, 0, 5, tracker.Started))
	s.must(s.announce(key, one, 10, 5, 0, tracker.Completed))
	s.must(s.announce(key, one, 0, 0, 5, tracker.Started))
	if err := s.announce(key, two, 0, 0, 5, tracker.Started); err != nil && err != ledger.ErrSlots {
		t.Error(err)
	}
	if err := s.announce(key, strings.Repeat("0", 40), 0, 0, 5, tracker.Started); err != account.ErrTorrent {
		t.Error(err)
	}
	me := decode[userJSON](s, s.want(200, "GET", "/api/me", key, "")) // before it is stored
	if me.LastRefusal == nil || me.LastRefusal.Reason != account.ErrTorrent.Error() {
		t.Errorf("%+v", me.LastRefusal)
	}
	s.flushed()
	me = decode[userJSON](s, s.want(200, "GET", "/api/me", key, ""))
	if me.Uploaded != 10 || me.Downloaded != 5 || *me.Ratio != 2 || me.Snatches != 1 {
		t.Errorf("%+v", me)
	}
	records := decode[recordsJSON](s, s.want(200, "GET", "/api/me/torrents", key, ""))
	if len(records.Torrents) < 1 || records.Torrents[0].InfoHash != one || records.Torrents[0].RawUp != 10 || records.Torrents[0].Completed == nil {
		t.Errorf("%+v", records)
	}
	if other := get[recordsJSON](s, "/api/users/member/torrents"); len(other.Torrents) != len(records.Torrents) {
		t.Errorf("%+v", other)
	}
	if none := get[recordsJSON](s, "/api/users/uploader/torrents"); none.Torrents == nil || len(none.Torrents) != 0 {
		t.Errorf("%+v", none)
	}
	s.want(404, "GET", "/api/users/nobody/torrents", s.token, "")
	st := get[statsJSON](s, "/api/stats")
	if st.Users != 4 || st.Torrents != 2 || st.Uploaded != 10 || st.Snatches != 1 || st.Swarms.Announces != 7 {
		t.Errorf("%+v", st)
	}
	if b := decode[backupJSON](s, s.want(201, "POST", "/api/backups", s.token, "")); b.Path != "backups/tracker.db" {
		t.Error(b)
	}
	// A torrent that is gone leaves its record.
	s.want(204, "DELETE", "/api/torrents/"+one, s.token, "")
	if records := get[recordsJSON](s, "/api/users/member/torrents"); records.Torrents[0].InfoHash != "" || records.Torrents[0].RawUp != 10 {
		t.Errorf("%+v", records)
	}
}

// Every list comes in parts that make the whole, each entry once, and says no
// to what is no part.
func TestListsInParts(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		name := fmt.Sprint("u", i)
		s.want(201, "POST", "/api/users", s.token, fmt.Sprintf(`{"name":%q}`, name))
		s.want(201, "POST", "/api/invites", s.token, `{}`)
		s.must(s.announce(s.key["admin"], s.add(name), 0, 0, 0, tracker.Started))
	}
	s.flushed()
	for path, want := range map[string]int{"/api/users": 9, "/api/torrents": 5, "/api/invites": 5, "/api/users/admin/torrents": 5} {
		seen, after, parts := map[string]bool{}, "", 0
		for ; parts < 10; parts++ {
			list := get[map[string]any](s, path+"?limit=2"+after)
			next, _ := list["next"].(string)
			delete(list, "next")
			for _, entries := range list {
				for _, e := range entries.([]any) {
					e := e.(map[string]any)
					seen[fmt.Sprint(e["name"], e["info_hash"], e["id"])] = true
				}
			}
			if next == "" {
				break
			}
			after = "&after=" + next
		}
		if len(seen) != want || parts != (want-1)/2 {
			t.Errorf("%s: %d entries in %d parts", path, len(seen), parts+1)
		}
		for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?limit=1&limit=2", "?after=x", "?after=-1", "?page=2", "?%zz", "?a;b"} {
			s.want(400, "GET", path+query, s.token, "")
		}
	}
}

// What is not as described is refused with a word on what to do.
func TestStrictInput(t *testing.T) {
	s := newSite(t)
	for _, wrong := range []string{
		``, `{`, `[]`, `null5`, `"anna"`, `{"name":5}`, `{"name":"anna"} {}`, `{"name":"anna","king":true}`, `{"name":"anna","slots":"3"}`,
		`{"name":"anna","slots":1.5}`, `{"name":"anna","slots":99999999999999999999}`, "\xff", `{"name":["anna"]}`,
	} {
		s.want(400, "POST", "/api/users", s.token, wrong)
	}
	s.want(413, "POST", "/api/users", s.token, `{"name":"`+strings.Repeat("a", maxBodyLen)+`"}`)
	auth := http.Header{"Authorization": {"Bearer " + s.token}}
	for _, route := range []string{"/api/users", "/api/torrents"} {
		if a := s.askWith("POST", route, `{"name":"anna"}`, auth); a.StatusCode != 415 {
			t.Errorf("%s: %d", route, a.StatusCode)
		}
	}
	if a := s.ask("PUT", "/api/users", s.token, ""); a.StatusCode != 405 || !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Errorf("%d, Allow: %s", a.StatusCode, a.Header.Get("Allow"))
	}
	s.want(404, "GET", "/", s.token, "")
	s.want(404, "GET", "/api/kings", s.token, "")
}

// A .torrent that is too large is not taken into memory, and few are at a time.
func TestUploadsAreBounded(t *testing.T) {
	s := newSite(t)
	s.want(413, "POST", "/api/torrents", s.token, "d"+strings.Repeat("x", metainfo.MaxTorrentLen))
}
