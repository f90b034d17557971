package server_test

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/tracker"
)

// difference is one way in which a tracker is allowed to differ from the model,
// by its name in docs/tracker-differences.md.
type difference string

const (
	givesAnnouncer  difference = "gives-announcer"
	seedsForSeeds   difference = "seeds-for-seeds"
	peersForStopped difference = "peers-for-stopped"
	mostPeers       difference = "most-peers"
	numWant0        difference = "numwant-0"
	numWantHTTP     difference = "negative-numwant-http"
	numWantUDP      difference = "negative-numwant-udp"
	port0           difference = "port-0"
	noLists         difference = "no-lists"
	listsByDefault  difference = "lists-by-default"
	otherEvents     difference = "other-events"
	left32          difference = "left-in-32-bits"
	emptyRefusal    difference = "empty-refusal"
	onceComplete    difference = "once-complete"
	completedLeft   difference = "completed-with-rest"
	noDownloads     difference = "no-downloads"
	ipv6Twice       difference = "ipv6-twice"
	ipv4OverUDP     difference = "ipv4-over-udp"
	scrapeRepeats   difference = "scrape-repeats"
	scrapeMerges    difference = "scrape-merges"
	scrapeUTF8      difference = "scrape-in-utf-8"
	untrackedStop   difference = "untracked-stopped"
	zerosInScrape   difference = "zeros-in-scrape"
	noPeerID        difference = "no-peer-id"
	noPort          difference = "no-port"
	leftIsNoNumber  difference = "left-is-no-number"
	fullScrape      difference = "full-scrape"
)

// allowed are the differences of each tracker. Shoal has none: the model is
// what it is meant to be.
var allowed = map[string][]difference{
	"shoal": {},
	"opentracker": {givesAnnouncer, seedsForSeeds, numWantUDP, port0, noLists, left32, emptyRefusal, untrackedStop,
		noPeerID, noPort, leftIsNoNumber, fullScrape, scrapeRepeats},
	"npm": {givesAnnouncer, seedsForSeeds, peersForStopped, mostPeers, numWant0, numWantHTTP, numWantUDP, port0, listsByDefault,
		otherEvents, onceComplete, completedLeft, noDownloads, ipv4OverUDP, ipv6Twice, scrapeMerges, leftIsNoNumber, fullScrape, zerosInScrape, scrapeUTF8},
}

// The bounds of replies that the model knows.
const (
	modelNumWant    = 50
	modelMaxNumWant = 200
	npmMaxNumWant   = 82
	udpMaxPeers6    = 67 // in the packet that every IPv6 link carries
)

// model answers as the BEPs have it, from plain maps.
type model struct {
	allowed map[difference]bool
	seen    map[difference]bool
	swarms  map[int]*modelSwarm
	// sourcePort is that of the announcers' packets.
	sourcePort map[netip.Addr]uint16
}

type modelSwarm struct {
	peers      map[netip.AddrPort]*modelPeer
	downloaded int
}

type modelPeer struct{ seed, snatched bool }

func newModel(differences []difference) *model {
	m := &model{allowed: map[difference]bool{}, seen: map[difference]bool{}, swarms: map[int]*modelSwarm{}}
	for _, d := range differences {
		m.allowed[d] = true
	}
	return m
}

// has reports whether the tracker has a difference. It is asked where that
// matters, so that a difference that is gone can be told.
func (m *model) has(d difference) bool {
	if m.allowed[d] {
		m.seen[d] = true
	}
	return m.allowed[d]
}

func (m *model) unseen() (unseen []difference) {
	for d := range m.allowed {
		if !m.seen[d] {
			unseen = append(unseen, d)
		}
	}
	slices.Sort(unseen)
	return unseen
}

// answer is what a tracker says.
type answer struct {
	refused bool // a failure reason, an error, or silence
	empty   bool // it is refused by an answer without any text
	isList  bool // the peers are a list, and not compact
	twice   bool // a torrent comes twice in a scrape over HTTP
	garbled bool // an info-hash in it is not 20 bytes
	tracker.ScrapeStats
	noDownloaded bool // the answer does not say
	peers        []netip.AddrPort
	scraped      map[int]tracker.ScrapeStats // by torrent
	counts       []tracker.ScrapeStats       // of a scrape over UDP, in order
}

// expected is what the model makes of a step: the answer without its peers, and
// who may be among them.
type expected struct {
	answer
	anything    bool                   // only refused is compared
	may         map[netip.AddrPort]int // and how often
	least, most int                    // how many of them
}

func (want *expected) differs(got answer) string {
	switch {
	case got.refused != want.refused:
		return fmt.Sprintf("refused %v, want %v", got.refused, want.refused)
	case got.empty != want.empty || got.isList != want.isList || got.twice != want.twice || got.garbled != want.garbled:
		return fmt.Sprintf("form %+v, want %+v", got, want.answer)
	case want.refused || want.anything:
		return ""
	case got.noDownloaded:
		got.Downloaded = want.Downloaded
	}
	switch {
	case got.ScrapeStats != want.ScrapeStats:
		return fmt.Sprintf("counts %+v, want %+v", got.ScrapeStats, want.ScrapeStats)
	case fmt.Sprint(got.scraped, got.counts) != fmt.Sprint(want.scraped, want.counts): // maps print in order
		return fmt.Sprintf("scraped %v %v, want %v %v", got.scraped, got.counts, want.scraped, want.counts)
	case len(got.peers) < want.least || len(got.peers) > want.most:
		return fmt.Sprintf("%d peers, want %d to %d: %v of %v", len(got.peers), want.least, want.most, got.peers, want.may)
	}
	times := map[netip.AddrPort]int{}
	for _, peer := range got.peers {
		if times[peer]++; times[peer] > want.may[peer] {
			return fmt.Sprintf("peer %v, which is none of %v or comes too often: %v", peer, want.may, got.peers)
		}
	}
	return ""
}

func (m *model) expect(s *step) *expected {
	switch {
	case s.bad >= 0 && s.overUDP:
		bad := badPackets[s.bad]
		return &expected{answer: answer{refused: !bad.fine != m.has(bad.otherwise)}, anything: true}
	case s.bad >= 0:
		return &expected{answer: answer{refused: !m.has(badQueries[s.bad].taken)}, anything: true}
	case s.scrape != nil:
		return m.expectScrape(s)
	case !s.overUDP && s.compact == "0" && m.has(noLists):
		return &expected{answer: answer{refused: true}}
	case s.torrent == untracked && s.event == "stopped" && m.has(untrackedStop):
		return &expected{}
	case s.torrent == untracked:
		return &expected{answer: answer{refused: true, empty: s.overUDP && m.has(emptyRefusal)}}
	}
	return m.expectAnnounce(s)
}

func (w *modelSwarm) stats() (st tracker.ScrapeStats) {
	for _, p := range w.peers {
		if p.seed {
			st.Complete++
		} else {
			st.Incomplete++
		}
	}
	st.Downloaded = w.downloaded
	return st
}

func (m *model) expectScrape(s *step) *expected {
	want := &expected{}
	asked := map[int]tracker.ScrapeStats{}
	for _, torrent := range s.scrape {
		_, again := asked[torrent]
		asked[torrent] = m.stats(torrent)
		switch {
		case !s.overUDP:
			want.twice = want.twice || again && m.swarms[torrent] != nil && m.has(scrapeRepeats)
		case !again || !m.has(scrapeMerges):
			want.counts = append(want.counts, asked[torrent])
		}
	}
	if !s.overUDP {
		want.scraped = asked
		for torrent := range asked {
			if m.swarms[torrent] == nil && !m.has(zerosInScrape) {
				delete(asked, torrent)
			}
		}
		want.garbled = len(asked) > 0 && m.has(scrapeUTF8)
	}
	return want
}

// stats are the counts of a torrent, zeros for one that is not known.
func (m *model) stats(torrent int) (st tracker.ScrapeStats) {
	if w := m.swarms[torrent]; w != nil {
		st = w.stats()
	}
	if st.Downloaded != st.Complete && m.has(noDownloads) {
		st.Downloaded = st.Complete
	}
	return st
}

func (m *model) expectAnnounce(s *step) *expected {
	own, stored, refused := m.announcer(s)
	if refused {
		return &expected{answer: answer{refused: true}}
	}
	if stored && m.swarms[s.torrent] == nil {
		m.swarms[s.torrent] = &modelSwarm{peers: map[netip.AddrPort]*modelPeer{}}
	}
	want := &expected{may: map[netip.AddrPort]int{}}
	want.isList = !s.overUDP && (s.compact == "0" || s.compact == "" && m.has(listsByDefault))
	if w := m.swarms[s.torrent]; w != nil {
		m.update(w, s, own, stored)
		want.ScrapeStats = w.stats()
		m.choose(want, w, s, own)
	}
	return want
}

// announcer is who announces, and whether he is entered.
func (m *model) announcer(s *step) (own netip.AddrPort, stored, refused bool) {
	own = netip.AddrPortFrom(s.from, s.port)
	if s.overUDP && s.from.Is6() && m.has(ipv6Twice) {
		own = netip.AddrPortFrom(s.from.WithZone("another"), s.port)
	}
	switch {
	case s.port != 0:
		return own, s.event != "stopped", false
	case !m.has(port0):
		return own, false, false
	case m.sourcePort == nil: // opentracker
		return own, s.event != "stopped", false
	case s.overUDP:
		return netip.AddrPortFrom(own.Addr(), m.sourcePort[s.from]), s.event != "stopped", false
	}
	return own, false, true
}

// update enters or removes the announcer.
func (m *model) update(w *modelSwarm, s *step, own netip.AddrPort, stored bool) {
	p := w.peers[own]
	switch {
	case s.event == "stopped":
		delete(w.peers, own)
		return
	case !stored:
		return
	case p == nil:
		p = new(modelPeer)
		w.peers[own] = p
		p.seed = m.isSeed(s)
	case s.event == "completed" && !p.seed && !m.isSeed(s) && m.has(completedLeft):
		p.seed = true
	}
	if isSeed := m.isSeed(s); isSeed || !m.has(onceComplete) {
		p.seed = isSeed
	}
	if s.event == "completed" && p.seed && !p.snatched {
		p.snatched = true
		w.downloaded++
	}
}

// choose says whom the reply may name.
func (m *model) choose(want *expected, w *modelSwarm, s *step, own netip.AddrPort) {
	if s.event == "stopped" && !m.has(peersForStopped) {
		return
	}
	numMay, others := 0, 0 // others are chosen and then left out
	for peer, p := range w.peers {
		switch {
		case peer == own && !m.has(givesAnnouncer), p.seed && m.isSeed(s) && s.event != "started" && !m.has(seedsForSeeds):
		case s.overUDP && m.has(ipv4OverUDP) && peer.Addr().Is6():
			others++
		case s.overUDP && peer.Addr().Is4() != own.Addr().Is4() && !m.has(ipv4OverUDP):
		default:
			want.may[netip.AddrPortFrom(peer.Addr().WithZone(""), peer.Port())]++
			numMay++
		}
	}
	numWant := m.numWant(s)
	want.most = min(numMay, numWant)
	want.least = max(0, min(numMay, numWant-others))
}

// isSeed reports whether the announcer has nothing left.
func (m *model) isSeed(s *step) bool {
	if uint32(s.left) == 0 && s.left != 0 && !s.overUDP && m.has(left32) {
		return true
	}
	return s.left == 0
}

func (m *model) numWant(s *step) int {
	n, most := int(s.numWant), modelMaxNumWant
	switch {
	case m.has(mostPeers):
		most = npmMaxNumWant
	case s.overUDP && s.from.Is6():
		most = udpMaxPeers6
	}
	switch {
	case s.noWant && !s.overUDP:
		n = modelNumWant
	case n > 0:
	case n == 0 && m.has(numWant0):
		n = modelNumWant
	case n < 0 && s.overUDP && m.has(numWantUDP):
		n = most // it is 2^32-1
	case n < 0 && !s.overUDP && m.has(numWantHTTP):
		n = 0
	case n < 0:
		n = modelNumWant
	}
	return min(n, most)
}
