package server_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// numDifferentialSteps is how many announces and scrapes each tracker gets.
// One without IPv6 gets those of the same sequence that it can.
const numDifferentialSteps = 20_000

const differentialSeed = 11

// The torrents of the run. All are tracked but the last. The crowd is larger
// than any reply; no counts are compared of the one for malformed queries,
// since what they change is another matter for each tracker.
const (
	numOrdinary = 5
	crowd       = numOrdinary
	malformed   = numOrdinary + 1
	untracked   = numOrdinary + 2
)

func torrentHash(i int) metainfo.InfoHash {
	h := metainfo.InfoHash([]byte("+ &=;%\x00\xff------------")) // what an escape must not damage
	h[19] = byte('a' + i)
	return h
}

// The announcers' own addresses. The fourth byte is that of IPv4.
var (
	announcers4 = []netip.Addr{netip.MustParseAddr("127.61.0.2"), netip.MustParseAddr("127.61.0.3"), netip.MustParseAddr("127.61.0.4")}
	announcer6  = netip.IPv6Loopback()
)

// One run of announces and scrapes is given to Shoal, to opentracker and to
// npm's bittorrent-tracker. Each answers as the model of what the BEPs ask for,
// but for the differences that docs/tracker-differences.md argues: the same
// counts, the same peers where all fit, and otherwise as many of them.
func TestLikeOtherTrackers(t *testing.T) {
	hashes := make([]metainfo.InfoHash, untracked)
	for i := range hashes {
		hashes[i] = torrentHash(i)
	}
	for name, runOne := range map[string]func(*testing.T, []metainfo.InfoHash) endpoints{
		"shoal": runShoal, "opentracker": runOpentracker, "npm": runNPM,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subject := newSubject(t, runOne(t, hashes))
			model := newModel(allowed[name])
			if name == "npm" {
				model.sourcePort = subject.sourcePorts()
				subject.ipv4OverUDP = model.allowed[ipv4OverUDP]
			}
			r := rand.New(rand.NewPCG(differentialSeed, 0))
			for i := range numDifferentialSteps {
				if i%1000 == 0 {
					subject.renewIDs()
				}
				s := nextStep(r)
				for s.from == announcer6 && !subject.has6() {
					s = nextStep(r)
				}
				if why := model.expect(&s).differs(subject.ask(&s)); why != "" {
					t.Fatalf("seed %d, step %d, %v: %s", differentialSeed, i, &s, why)
				}
			}
			if unseen := model.unseen(); len(unseen) > 0 {
				t.Errorf("never seen in the run: %v; take them out of docs/tracker-differences.md", unseen)
			}
		})
	}
}

// The list in the documentation is that of the test, difference by difference
// and tracker by tracker.
func TestDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/tracker-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]difference{}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| ([a-z, ]+) \\|")
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile(`[a-z]+`).FindAllString(match[2], -1) {
			documented[name] = append(documented[name], difference(match[1]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		want := slices.Sorted(slices.Values(allowed[name]))
		if got := slices.Sorted(slices.Values(documented[name])); !slices.Equal(got, want) {
			t.Errorf("docs/tracker-differences.md has for %s %v, the test %v", name, got, want)
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("documented of trackers that are not compared: %v", documented)
	}
}

// step is one request. Of those that are malformed only the number counts, of
// scrapes only the torrents.
type step struct {
	overUDP  bool
	from     netip.Addr
	bad      int // index into badQueries or badPackets, or -1
	scrape   []int
	torrent  int
	peerID   metainfo.PeerID
	port     uint16
	left     int64
	event    string
	hasEvent bool // an empty event is there
	numWant  int32
	noWant   bool
	compact  string // what the query has for it; empty for none
}

// String is what to look at when a step fails.
func (s *step) String() string {
	switch {
	case s.bad >= 0 && s.overUDP:
		return fmt.Sprintf("%v: UDP, bad packet %d", s.from, s.bad)
	case s.bad >= 0:
		return fmt.Sprintf("%v: %s", s.from, badQueries[s.bad].target)
	case s.overUDP && s.scrape != nil:
		return fmt.Sprintf("%v: UDP, scrape of %v", s.from, s.scrape)
	case s.overUDP:
		return fmt.Sprintf("%v: UDP, torrent %d, port %d, left %d, %s, numwant %d", s.from, s.torrent, s.port, s.left, s.event, s.numWant)
	}
	return fmt.Sprintf("%v: torrent %d, %s", s.from, s.torrent, s.target())
}

// nextStep draws a request.
func nextStep(r *rand.Rand) step {
	s := step{overUDP: r.IntN(2) == 0, from: announcers4[r.IntN(len(announcers4))], bad: -1}
	if r.IntN(5) == 0 {
		s.from = announcer6
	}
	switch r.IntN(20) {
	case 0:
		s.bad = r.IntN(len(badQueries))
		if s.overUDP {
			s.bad = r.IntN(len(badPackets))
		}
	case 1, 2:
		// Another order each time, and at times one torrent twice.
		for range 1 + r.IntN(6) {
			s.scrape = append(s.scrape, []int{r.IntN(numOrdinary), crowd, untracked}[min(r.IntN(8), 2)])
		}
	default:
		s.drawAnnounce(r)
	}
	return s
}

// drawAnnounce draws an announce. The ports are few, so that those who announce
// are mostly known.
func (s *step) drawAnnounce(r *rand.Rand) {
	s.torrent = r.IntN(numOrdinary)
	s.port = uint16(1 + r.IntN(14))
	switch r.IntN(20) {
	case 0:
		s.torrent = untracked
	case 1:
		s.port = 0
	case 2, 3, 4, 5, 6, 7, 8:
		s.torrent, s.port = crowd, uint16(1+r.IntN(100))
	}
	if s.from == announcer6 {
		s.port %= 40
	}
	copy(s.peerID[:], fmt.Sprintf("-SH0000-%012d", r.IntN(100))) // which has announced other ports before
	s.left = []int64{0, 1, 1 << 40}[r.IntN(3)]
	s.event = []string{"", "", "", "started", "completed", "stopped", "paused"}[r.IntN(7)]
	if s.overUDP && s.event == "paused" {
		s.event = "" // BEP 15 has no such event
	}
	s.hasEvent = s.event != "" || r.IntN(4) == 0
	s.compact = []string{"1", "1", "1", "", "0"}[r.IntN(5)]
	s.numWant = []int32{100, 100, 100, 100, 1000, 7, 1, 0, -1, -1}[r.IntN(10)]
	s.noWant = r.IntN(10) == 0
}

// badQuery is a query that is no proper announce or scrape.
type badQuery struct {
	target string
	// taken is the difference of those that answer it all the same.
	taken difference
}

const (
	badHash   = "info_hash=%2B%20%26%3D%3B%25%00%FF-----------g"
	badPeerID = "&peer_id=-SH0000-000000000000"
)

var badQueries = []badQuery{
	{"/announce", ""},
	{"/announce?" + badPeerID[1:] + "&port=1&left=0", ""},
	{"/announce?info_hash=short" + badPeerID + "&port=1&left=0", ""},
	{"/announce?" + badHash + "x" + badPeerID + "&port=1&left=0", ""},
	{"/announce?" + badHash[:len(badHash)-1] + "%4" + badPeerID + "&port=1&left=0", ""},
	{"/announce?" + badHash + badPeerID + "&port=65536&left=0", ""},
	{"/announce?" + badHash + badPeerID + "&port=abc&left=0", ""},
	{"/announce?" + badHash + "&" + badHash + badPeerID + "&port=1&left=0", ""},
	{"/announce?" + badHash + "&port=1&left=0", noPeerID},
	{"/announce?" + badHash + badPeerID + "&left=0", noPort},
	{"/announce?" + badHash + badPeerID + "&port=-1&left=0", noPort},
	{"/announce?" + badHash + badPeerID + "&port=1&left=x", leftIsNoNumber},
	{"/scrape?info_hash=short", ""},
	{"/scrape", fullScrape},
	{"/nothing", ""},
}
