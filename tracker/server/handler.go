package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// Stats is a snapshot of a Server, and the JSON of its /stats.
type Stats struct {
	Torrents  int    `json:"torrents"`
	Seeds     int    `json:"seeds"`
	Leechers  int    `json:"leechers"`
	Peers4    int    `json:"ipv4_peers"`
	Peers6    int    `json:"ipv6_peers"`
	Announces uint64 `json:"announces"` // answered, refused ones not included
	Scrapes   uint64 `json:"scrapes"`
	Refused   uint64 `json:"refused"` // announces and scrapes
	// UDP alone. Malformed packets and those with a wrong connection id were
	// not answered; those with one older than BEP 15 allows were.
	UDPConnects  uint64 `json:"udp_connects"`
	UDPMalformed uint64 `json:"udp_malformed"`
	UDPBadIDs    uint64 `json:"udp_bad_connection_ids"`
	UDPLateIDs   uint64 `json:"udp_late_connection_ids"`

	Faults uint64 `json:"faults"` // requests that met a bug of the tracker

	UptimeSec int64 `json:"uptime_seconds"`
}

// Stats returns the counts of this moment.
func (s *Server) Stats() Stats {
	st := s.store.stats()
	overHTTP, overUDP := s.Traffic()
	announcesHTTP, refusedHTTP := overHTTP.sums()
	announcesUDP, refusedUDP := overUDP.sums()
	return Stats{
		Torrents: st.Torrents, Seeds: st.Seeds, Leechers: st.Leechers,
		Peers4: st.Peers4, Peers6: st.Peers6,
		Announces: announcesHTTP + announcesUDP,
		Scrapes:   overHTTP.Scrapes + overUDP.Scrapes,
		Refused:   refusedHTTP + refusedUDP,

		UDPConnects:  s.counters.udpConnects.Load(),
		UDPMalformed: s.counters.udpMalformed.Load(),
		UDPBadIDs:    s.counters.udpBadIDs.Load(),
		UDPLateIDs:   s.counters.udpLateIDs.Load(),

		Faults: s.faults.num.Load(),

		UptimeSec: int64(s.now() / time.Second),
	}
}

// scratch is the memory of one request, used again by later ones.
type scratch struct {
	query  announceQuery
	peers  swarm.Peers
	hashes []metainfo.InfoHash
	body   []byte
	// counter is where its requests are counted.
	counter *trafficCounter

	// What the front needs besides: the response, and the time of its Date, in
	// seconds since 1970, with its text.
	response []byte
	dateSec  int64
	date     []byte
}

// counter returns where sc's requests are counted. A pool keeps a scratch with
// its processor, mostly.
func (s *Server) counter(sc *scratch) *trafficCounter {
	if sc.counter == nil {
		sc.counter = s.counters.forHTTP()
	}
	return sc.counter
}

// ServeHTTP answers /announce and /scrape (on a private tracker behind a key,
// as in /KEY/announce), and for people and their tools /
// (text), /stats (JSON) and /healthz; what is below /api/ is for Config.API. A refusal is a bencoded "failure reason"
// with status 200, which is all that clients read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if fault := recover(); fault != nil {
			s.note(fault)
			http.Error(w, errFault.Error(), http.StatusInternalServerError)
		}
	}()
	if s.serveAPI(w, r) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "a tracker is asked by GET", http.StatusMethodNotAllowed)
		return
	}
	key, path := s.splitKey(r.URL.Path)
	switch path {
	case "/announce":
		s.respond(w, r, key, false)
	case "/scrape":
		s.respond(w, r, key, true)
	case "/":
		s.servePage(w)
	case "/stats":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.Stats())
	case "/healthz":
		fmt.Fprintln(w, "ok")
	default:
		http.NotFound(w, r)
	}
}

// serveAPI leaves a request to Config.API, if it is for that, with the address of
// who asks in place of a proxy's.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) bool {
	api := s.cfg().API
	if api == nil || !strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	from, err := s.clientAddr(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return true
	}
	r = r.WithContext(r.Context()) // a copy
	r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
	api.ServeHTTP(w, r)
	return true
}

func (s *Server) servePage(w http.ResponseWriter) {
	st := s.Stats()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "This is a BitTorrent tracker (Shoal). Torrents announce to /announce.\n\n"+
		"torrents  %d\nseeds     %d\nleechers  %d\nannounces %d\nscrapes   %d\nrefused   %d\nuptime    %v\n",
		st.Torrents, st.Seeds, st.Leechers, st.Announces, st.Scrapes, st.Refused, time.Duration(st.UptimeSec)*time.Second)
}

// contentType is bytes, to whoever looks with a browser.
const contentType = "text/plain; charset=iso-8859-1"

func (s *Server) respond(w http.ResponseWriter, r *http.Request, key string, isScrape bool) {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	from, err := s.clientAddr(r)
	s.answer(s.now(), sc, key, isScrape, r.URL.RawQuery, from, err)
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(sc.body)))
	w.Write(sc.body)
}

// answer makes sc.body the answer to an announce or a scrape or, if err is one
// or there is an error, the failure reason that is its text.
func (s *Server) answer(now time.Duration, sc *scratch, key string, isScrape bool, rawQuery string, from netip.Addr, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.note(fault)
			s.counter(sc).refused[Fault].Add(1)
			sc.body = appendFailure(sc.body[:0], errFault.Error())
		}
	}()
	sc.body = sc.body[:0]
	switch {
	case err != nil:
	case isScrape:
		err = s.scrape(sc, key, rawQuery)
	default:
		err = s.announce(now, sc, key, rawQuery, from)
	}
	if err != nil {
		s.counter(sc).refused[reasonOf(err)].Add(1)
		sc.body = appendFailure(sc.body[:0], err.Error())
	}
}

// announce answers one announce into sc.body. It knows nothing of net/http.
func (s *Server) announce(now time.Duration, sc *scratch, key, rawQuery string, from netip.Addr) error {
	q, cfg := &sc.query, s.cfg()
	if err := q.parse(rawQuery); err != nil {
		return err
	}
	if err := cfg.tracks(q.req.InfoHash); err != nil {
		return err
	}
	if q.ip != "" && contains(cfg.TrustedIP, from) {
		if ip := parseIP(q.ip); ip.IsValid() {
			from = ip
		}
	}
	q.req.Addr = netip.AddrPortFrom(from, q.req.Addr.Port())
	if cfg.Private != nil {
		if err := cfg.Private.Announce(key, &q.req); err != nil {
			return err
		}
	}
	sc.peers.Reset()
	rep := s.store.announce(now, &q.req, &sc.peers)
	sc.body = cfg.appendAnnounce(sc.body, &q.req, rep, &sc.peers)
	s.counter(sc).announces[q.req.Event].Add(1)
	return nil
}

// scrape answers one scrape into sc.body. Torrents that are not tracked are
// left out.
func (s *Server) scrape(sc *scratch, key, rawQuery string) (err error) {
	cfg := s.cfg()
	if cfg.Private != nil {
		if err := cfg.Private.Check(key); err != nil {
			return err
		}
	}
	if sc.hashes, err = parseScrape(sc.hashes[:0], rawQuery, cfg.MaxScrape); err != nil {
		return err
	}
	sc.body = append(sc.body, "d5:filesd"...)
	for _, h := range sc.hashes {
		if cfg.tracks(h) != nil {
			continue
		}
		if st, ok := s.store.scrape(h); ok {
			sc.body = appendScrapeEntry(sc.body, h, st)
		}
	}
	sc.body = append(sc.body, "ee"...)
	s.counter(sc).scrapes.Add(1)
	return nil
}
