package account

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestKeys(t *testing.T) {
	k := NewKey()
	again, err := ParseKey(strings.ToUpper(k.Reveal()))
	if err != nil || again != k || again.Hash() != k.Hash() || k == NewKey() {
		t.Errorf("%v, %v", again == k, err)
	}
	for _, s := range []string{"", k.Reveal()[1:], k.Reveal() + "0", "g" + k.Reveal()[1:]} {
		if _, err := ParseKey(s); err == nil || len(s) > 3 && strings.Contains(err.Error(), s[:4]) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A key that is printed by mistake is not told.
func TestKeysHide(t *testing.T) {
	k := NewKey()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "key", k, "in", struct{ K Key }{k})
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "key", k, "in", struct{ K Key }{k})
	fmt.Fprintf(&log, "%v %s %x %q %d %#v %+v", k, k, k, k, k, k, struct{ K Key }{k})
	for _, form := range []string{k.Reveal(), strings.ToUpper(k.Reveal()), strings.Trim(fmt.Sprint([16]byte(k)), "[]"), fmt.Sprintf("%v,%v,%v", k[0], k[1], k[2])} {
		if strings.Contains(log.String(), form) {
			t.Errorf("%q is told", form)
		}
	}
}

// The key for a torrent is always the same, and differs by key and torrent.
func TestKeyForTorrent(t *testing.T) {
	k := NewKey()
	one, two := metainfo.InfoHash{1}, metainfo.InfoHash{2}
	if again, err := ParseKey(k.Reveal()); err != nil || again.ForTorrent(one) != k.ForTorrent(one) {
		t.Error("two keys for one torrent")
	}
	others := map[Key]bool{k: true, k.ForTorrent(one): true, k.ForTorrent(two): true, NewKey().ForTorrent(one): true}
	if len(others) != 4 {
		t.Error("a key twice")
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"anna": true, "Ädä_1.x-y": true, "": false, "a b": false, "a\n": false, "a/b": false, "\xff": false, "\u202ea": false, strings.Repeat("a", 65): false,
	} {
		if err := (&User{Name: name}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := ParseRole("king"); err == nil {
		t.Error("a role that is none")
	}
	for r := Member; r <= Admin; r++ {
		if got, err := ParseRole(r.String()); got != r || err != nil {
			t.Error(got, err)
		}
	}
}
