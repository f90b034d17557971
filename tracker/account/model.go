package account

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// Role is what a user may do besides announcing.
type Role uint8

// The roles. Each may do what those before it may. Their numbers are stored.
const (
	Member    Role = iota // downloads and seeds
	Uploader              // adds torrents
	Moderator             // reviews findings, removes torrents
	Admin                 // makes users
)

var roleNames = [...]string{"member", "uploader", "moderator", "admin"}

// String returns the role's name.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for r, name := range roleNames {
		if s == name {
			return Role(r), nil
		}
	}
	return 0, fmt.Errorf("there is no role %q; choose one of %s", s, strings.Join(roleNames[:], ", "))
}

// State says whether a user may announce. Its numbers are stored.
type State uint8

// The states of a user. A user is never removed, because others' sums and
// invitations lead to him.
const (
	Active State = iota
	Disabled
)

// String returns the state's name.
func (s State) String() string {
	if s == Active {
		return "active"
	}
	return "disabled"
}

// MaxNameLen bounds a user's name, in bytes.
const MaxNameLen = 64

// User is somebody who may announce.
type User struct {
	ID    ledger.UserID // given by the Store
	Name  string        // unique, whatever the case of its letters in ASCII
	Role  Role
	State State
	// Slots overrides the number of the rules if it is not 0; negative means
	// any number.
	Slots     int
	Promotion ledger.Promotion
	InvitedBy ledger.UserID // 0 means nobody
	CreatedAt time.Time
}

// Validate refuses names that look like others or like nothing.
func (u *User) Validate() error {
	switch {
	case u.Name == "" || len(u.Name) > MaxNameLen:
		return fmt.Errorf("a user's name has 1 to %d bytes", MaxNameLen)
	case !utf8.ValidString(u.Name):
		return errors.New("a user's name must be UTF-8")
	case strings.ContainsFunc(u.Name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}):
		return fmt.Errorf("the name %q has characters other than letters, digits, hyphens, underscores and dots", u.Name)
	case u.Role > Admin || u.State > Disabled:
		return errors.New("there is no such role or state")
	}
	return validatePromotion(u.Promotion)
}

func validatePromotion(p ledger.Promotion) error {
	switch {
	case p.Rate.UpPercent > ledger.MaxPercent || p.Rate.DownPercent > ledger.MaxPercent:
		return fmt.Errorf("a multiplier is at most %d percent", ledger.MaxPercent)
	case p.From < 0 || p.Until < 0 || p.Until != 0 && p.Until <= p.From:
		return errors.New("a promotion must end after it begins")
	}
	return nil
}

// UserReport is a user and what was counted for him, as far as it is stored.
type UserReport struct {
	User
	ledger.Totals
	RawUploaded, RawDownloaded int64
	SeedTime                   time.Duration
	Snatches                   int64           // torrents completed
	LastRefusal                *ledger.Refusal // nil if there was none
}

// StoredKey says whose key has a hash. A Torrent other than AnyTorrent means
// that it is good for that one only: it stands in a .torrent file, which gets
// about more easily than an announce URL.
type StoredKey struct {
	Hash    KeyHash
	User    ledger.UserID
	Torrent ledger.TorrentID
}

// Invite lets one person make himself a user. Its code is a Key of its own.
type Invite struct {
	Hash      KeyHash
	By        ledger.UserID // 0 if the operator invites
	Role      Role
	ExpiresAt time.Time
}

// Torrent is one that may be announced.
type Torrent struct {
	ID        ledger.TorrentID // given by the Store
	InfoHash  metainfo.InfoHash
	Name      string
	Len       int64         // bytes of its files
	AddedBy   ledger.UserID // 0 if the operator added it
	AddedAt   time.Time
	Promotion ledger.Promotion
}

// TorrentReport is a torrent and what was counted for it, as far as it is
// stored. Uploaded and Downloaded are what clients announced.
type TorrentReport struct {
	Torrent
	Uploaded, Downloaded int64
	SeedTime             time.Duration
	Snatches             int64 // users who completed it
}

// PairReport is a user's record on a torrent. The torrent may be gone.
type PairReport struct {
	Torrent ledger.TorrentID
	ledger.Totals
	ledger.PairTotals
}

// FindingReport is an entry of the review list.
type FindingReport struct {
	ID int64
	ledger.Finding
	// ReviewedAt is zero as long as nobody has looked at it.
	ReviewedAt time.Time
	Verdict    string
}

// Settings are what every command must agree on.
type Settings struct {
	// URL is the address under which users reach the tracker, as ParseBase
	// reads it, and Source the mark of its torrents.
	URL, Source string
}

// Tables are what the announce path needs of a Store, at one moment.
type Tables struct {
	Revision int64
	Site     ledger.Promotion // for everybody
	Users    []UserTotals
	Keys     []StoredKey
	Torrents []Torrent
}

// UserTotals is a user and the bytes that count for him.
type UserTotals struct {
	User
	Totals ledger.Totals
}

// Sums are those of all users and torrents. The bytes are what clients
// announced, without multipliers.
type Sums struct {
	Users, Disabled, Torrents int
	Uploaded, Downloaded      int64
	SeedTime                  time.Duration
	Snatches                  int64
	Findings                  int // to be reviewed
}
