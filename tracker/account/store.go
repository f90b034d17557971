package account

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// The errors that callers of a Store tell apart; all wrap what could not be
// done with which name.
var (
	ErrNotFound = errors.New("there is no such entry")
	ErrExists   = errors.New("there is one already")
)

// RunID names one run of a process that flushes. It is random, so that two
// processes cannot take each other's batches for repetitions of their own.
type RunID [16]byte

// NewRunID returns a random RunID.
func NewRunID() (id RunID) {
	rand.Read(id[:])
	return id
}

// Store is the database of accounts. Its methods are safe for concurrent use,
// and each does all that it says or nothing. What they return is the caller's.
// accounttest holds every Store to this.
type Store interface {
	// Load returns the tables of one moment.
	Load(context.Context) (*Tables, error)
	// Revision returns a number that changes with everything that Load
	// returns, the users' sums excepted.
	Revision(context.Context) (int64, error)
	// Sessions calls yield for the sessions stored at since or later, in the
	// order of their At, with the time up to which the pair's seed time is
	// stored. It removes older ones, and ends with yield's first error.
	Sessions(ctx context.Context, since time.Duration, yield func(s ledger.Session, seededUntil time.Duration) error) error
	// Flush stores a batch, unless the run has stored it before: batches of
	// one run come in the order of their Seq, and one whose fate is unknown is
	// given again. Deltas add to what is there, and saturate at the largest
	// int64.
	Flush(ctx context.Context, run RunID, b *ledger.Batch) error
	// HitAndRuns counts for each user the torrents that violate the rule. Who
	// has none is left out.
	HitAndRuns(ctx context.Context, now time.Duration, rule ledger.HitAndRun) (map[ledger.UserID]int, error)

	// CreateUser adds a user with a key, and returns him with his ID. It
	// fails with ErrExists if the name is taken.
	CreateUser(ctx context.Context, u User, key KeyHash) (User, error)
	// User and Users return one user, or ErrNotFound, and all by name.
	User(ctx context.Context, name string) (UserReport, error)
	Users(context.Context) ([]UserReport, error)
	// UsersAfter returns those whose ID is larger than after, limit at most,
	// by ID: a part of a list that may be long.
	UsersAfter(ctx context.Context, after ledger.UserID, limit int) ([]UserReport, error)
	// UpdateUser sets the role, state, slots and promotion of the user with
	// u's ID.
	UpdateUser(ctx context.Context, u User) error
	// RotateKey removes all keys of a user, those for single torrents too,
	// and gives him one. Who asks for it himself does so by a key of his: if
	// that is none any more, it fails with ErrNotFound. Whoever had a key
	// must not keep the account by using it just when it is replaced. The
	// zero by stands for staff.
	RotateKey(ctx context.Context, id ledger.UserID, key, by KeyHash) error
	// AddKey adds a key for a single torrent; of by holds the same. TorrentKeys returns up to limit of
	// a torrent's keys, by user, and RemoveTorrentKeys removes those of one user
	// and tells how many they were.
	AddKey(ctx context.Context, key StoredKey, by KeyHash) error
	TorrentKeys(ctx context.Context, id ledger.TorrentID, limit int) ([]StoredKey, error)
	RemoveTorrentKeys(ctx context.Context, id ledger.TorrentID, user ledger.UserID) (int64, error)
	// Pairs returns a user's record on each torrent, PairsAfter on those whose
	// ID is larger than after, limit at most.
	Pairs(ctx context.Context, id ledger.UserID) ([]PairReport, error)
	PairsAfter(ctx context.Context, id ledger.UserID, after ledger.TorrentID, limit int) ([]PairReport, error)

	// AddInvite adds an invitation. Redeem uses it up: it adds u with a key,
	// the role of the invitation and who invited. A code that is unknown,
	// used or too old is ErrNotFound; a name that is taken uses nothing up.
	AddInvite(ctx context.Context, inv Invite) error
	Redeem(ctx context.Context, code KeyHash, u User, key KeyHash) (User, error)
	// Invites returns the unused ones whose Hash is larger than after, limit
	// at most, by Hash. RemoveInvite takes one back.
	Invites(ctx context.Context, after KeyHash, limit int) ([]Invite, error)
	RemoveInvite(ctx context.Context, code KeyHash) error

	// AddTorrent adds a torrent and its file, and returns it with its ID, or
	// ErrExists.
	AddTorrent(ctx context.Context, t Torrent, file []byte) (Torrent, error)
	// RemoveTorrent removes it, its file and its keys. What users moved of it
	// stays in their records.
	RemoveTorrent(ctx context.Context, h metainfo.InfoHash) error
	// Torrents returns all, by name; TorrentFile what was given to AddTorrent.
	// Torrent is one of them, and TorrentsAfter are those whose ID is larger than
	// after, limit at most, by ID.
	Torrents(context.Context) ([]TorrentReport, error)
	Torrent(ctx context.Context, h metainfo.InfoHash) (TorrentReport, error)
	TorrentsAfter(ctx context.Context, after ledger.TorrentID, limit int) ([]TorrentReport, error)
	TorrentFile(ctx context.Context, h metainfo.InfoHash) ([]byte, error)
	// PromoteTorrent and PromoteSite set a promotion of one torrent or of
	// all; the zero Promotion ends it.
	PromoteTorrent(ctx context.Context, h metainfo.InfoHash, p ledger.Promotion) error
	PromoteSite(ctx context.Context, p ledger.Promotion) error

	// Settings returns what SetSettings has set; the zero Settings before.
	Settings(context.Context) (Settings, error)
	SetSettings(ctx context.Context, s Settings) error

	// Findings returns the review list, latest first: the open entries, or
	// all. A finding of the same kind, user and torrent as an open one adds
	// to it. FindingsBefore are those whose ID is smaller than before, limit at
	// most, by ID downwards. Review closes an entry.
	Findings(ctx context.Context, all bool) ([]FindingReport, error)
	FindingsBefore(ctx context.Context, before int64, limit int, all bool) ([]FindingReport, error)
	Review(ctx context.Context, id int64, verdict string, now time.Time) error

	// Sums adds up everything.
	Sums(context.Context) (Sums, error)

	// Check reads everything and tells what is damaged.
	Check(context.Context) error
	Close() error
}
