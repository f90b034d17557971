package ledger

import "time"

// FindingKind says what is suspicious.
type FindingKind uint8

// The kinds of findings. Each has an innocent explanation, too, so that people
// decide, and nothing is done by itself except that TooFast is not credited.
const (
	// TooFast: the counters rose faster than Config.MaxSpeed. Or a client
	// lost its count.
	TooFast FindingKind = iota + 1
	// NobodyToServe: much was uploaded while nobody else was in the swarm. Or
	// a peer left without a word.
	NobodyToServe
	// HiddenDownload: much less is left than what was downloaded explains.
	// Or the user had the data from elsewhere.
	HiddenDownload
)

var findingNames = [...]string{TooFast: "too-fast", NobodyToServe: "nobody-to-serve", HiddenDownload: "hidden-download"}

// String returns the kind's stable name.
func (k FindingKind) String() string {
	if k > 0 && int(k) < len(findingNames) {
		return findingNames[k]
	}
	return "unknown"
}

// Finding is something for the review list. Those of one kind, user and
// torrent are one.
type Finding struct {
	User        UserID
	Torrent     TorrentID
	Kind        FindingKind
	First, Last time.Duration // since the Unix epoch
	Count       int64
	// Bytes is the sum of what was claimed and is not explained.
	Bytes int64
}

type findingKey struct {
	pair
	kind FindingKind
}

// find adds to the findings that wait to be stored.
func (l *Ledger) find(now time.Duration, kind FindingKind, a *Announce, n int64) {
	l.stats.Findings[kind]++
	key := findingKey{a.pair(), kind}
	i, ok := l.found[key]
	if !ok {
		if len(l.findings) >= l.cfg.MaxFindings {
			l.stats.LostFindings++
			return
		}
		i = len(l.findings)
		l.found[key] = i
		l.findings = append(l.findings, Finding{User: a.User, Torrent: a.Torrent, Kind: kind, First: now})
	}
	f := &l.findings[i]
	f.Last, f.Count, f.Bytes = now, f.Count+1, add(f.Bytes, n)
}
