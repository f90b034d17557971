package piecestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/zeebo/bencode"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// The resume file, byte by byte (docs/formats.md says the same at more
// length; integers are big-endian):
//
//	file       = magic checkpoint *record
//	magic      = "shoal-resume-1\n" and a zero byte, 16 bytes
//	record     = kind:1 length:4 payload:length crc:4
//	crc        = CRC-32C of kind, length and payload
//	checkpoint = the record of kind 'c'; its payload is a bencoded dictionary
//
// The first record that is torn or damaged ends the file: nothing behind it is
// believed.

const resumeMagic = "shoal-resume-1\n\x00"

// maxResumeLen bounds a resume file in bytes. A torrent of the largest allowed
// size, 2^22 pieces in 300,000 files, has a checkpoint of 7 MB; its journal is
// rewritten before it grows past as much again and maxJournalLen.
const maxResumeLen = 64 << 20

// The kinds of records.
const (
	recordCheckpoint = 'c' // bencoded checkpoint; first, and only there
	recordBegin      = 'b' // piece:4: its bytes in the store are about to change
	recordDone       = 'd' // piece:4 *stat: verified and written; its files are like this now
	recordAbsent     = 'x' // piece:4 *stat: not in the store, and nobody writes it
	recordSync       = 's' // bitfield: these pieces have reached the disk (fsync)
	recordTotals     = 't' // uploaded:8 downloaded:8, in bytes
)

const (
	recordOverhead = 1 + 4 + 4 // kind, length, crc
	statLen        = 4 + 8 + 8 // file index, size, time
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkpoint is the whole state at one time, as it is bencoded. The numbers in
// strings are big-endian: one length for a file instead of 300,000 tokens.
type checkpoint struct {
	Boot       string `bencode:"boot"`         // see bootID
	Downloaded int64  `bencode:"downloaded"`   // bytes of payload, ever
	Durable    string `bencode:"durable"`      // bitfield: verified, and synced
	InFlight   string `bencode:"in-flight"`    // bitfield: to be checked
	InfoHash   string `bencode:"info-hash"`    // 20 bytes
	PieceLen   int64  `bencode:"piece-length"` // in bytes
	Stats      string `bencode:"stats"`        // for each file its size:8 and time:8
	TotalLen   int64  `bencode:"total-length"` // in bytes
	Uploaded   int64  `bencode:"uploaded"`     // bytes of payload, ever
	Verified   string `bencode:"verified"`     // bitfield
	Version    int64  `bencode:"version"`      // resumeVersion
}

const resumeVersion = 1

var (
	errResumeDamaged = errors.New("the resume file is damaged")
	errResumeForeign = errors.New("the resume file belongs to another torrent")
)

// journalState is what a resume file says: what was believed when its last
// record was written. It knows nothing yet of what the disk holds.
type journalState struct {
	boot                 string
	verified             *bitfield.Set
	durable              *bitfield.Set // verified and synced
	inFlight             *bitfield.Set // begun, and neither done nor absent
	stats                []FileStat    // by file index, as last noted
	uploaded, downloaded int64         // bytes
}

func newJournalState(numPieces, numFiles int) *journalState {
	st := &journalState{
		verified: bitfield.New(numPieces),
		durable:  bitfield.New(numPieces),
		inFlight: bitfield.New(numPieces),
		stats:    make([]FileStat, numFiles),
	}
	for i := range st.stats {
		st.stats[i].Size = -1
	}
	return st
}

// begin, done and absent are the three steps in the life of a piece.

func (st *journalState) begin(pieceIndex int) {
	st.verified.Remove(pieceIndex)
	st.durable.Remove(pieceIndex)
	st.inFlight.Add(pieceIndex)
}

func (st *journalState) done(pieceIndex int) {
	st.inFlight.Remove(pieceIndex)
	st.verified.Add(pieceIndex)
}

func (st *journalState) absent(pieceIndex int) {
	st.inFlight.Remove(pieceIndex)
	st.verified.Remove(pieceIndex)
	st.durable.Remove(pieceIndex)
}

// appendRecord appends a record whose payload the function appends.
func appendRecord(b []byte, kind byte, payload func([]byte) []byte) []byte {
	start := len(b)
	b = append(b, kind, 0, 0, 0, 0)
	b = payload(b)
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-5))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseRecord takes the first record off b. It is false if there is none that
// is whole and undamaged.
func parseRecord(b []byte) (kind byte, payload, rest []byte, ok bool) {
	if len(b) < recordOverhead {
		return 0, nil, b, false
	}
	length := int64(binary.BigEndian.Uint32(b[1:]))
	if length > int64(len(b)-recordOverhead) {
		return 0, nil, b, false
	}
	end := 5 + int(length)
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return 0, nil, b, false
	}
	return b[0], b[5:end], b[end+4:], true
}

// appendStat appends what a file is like.
func appendStat(b []byte, st FileStat) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(st.Size))
	return binary.BigEndian.AppendUint64(b, uint64(st.ModTimeNs))
}

// parseStat reads what appendStat wrote; b has 16 bytes at least.
func parseStat(b []byte) FileStat {
	return FileStat{
		Size:      int64(binary.BigEndian.Uint64(b)),
		ModTimeNs: int64(binary.BigEndian.Uint64(b[8:])),
	}
}

// appendCheckpoint appends the magic and the checkpoint of st: a whole resume
// file.
func appendCheckpoint(b []byte, infoHash metainfo.InfoHash, geo metainfo.Geometry, st *journalState) ([]byte, error) {
	stats := make([]byte, 0, 16*len(st.stats))
	for _, stat := range st.stats {
		stats = appendStat(stats, stat)
	}
	dict, err := bencode.EncodeBytes(checkpoint{
		Boot:       st.boot,
		Downloaded: st.downloaded,
		Durable:    string(st.durable.Bytes()),
		InFlight:   string(st.inFlight.Bytes()),
		InfoHash:   string(infoHash[:]),
		PieceLen:   int64(geo.StdPieceLen()),
		Stats:      string(stats),
		TotalLen:   geo.TotalLen(),
		Uploaded:   st.uploaded,
		Verified:   string(st.verified.Bytes()),
		Version:    resumeVersion,
	})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	b = append(b, resumeMagic...)
	return appendRecord(b, recordCheckpoint, func(b []byte) []byte { return append(b, dict...) }), nil
}

// parseResume reads a resume file: the checkpoint, and the journal as far as
// it is undamaged. It returns how many bytes that was. The errors are
// errResumeDamaged and errResumeForeign.
func parseResume(b []byte, infoHash metainfo.InfoHash, geo metainfo.Geometry, numFiles int) (*journalState, int, error) {
	if len(b) < len(resumeMagic) || string(b[:len(resumeMagic)]) != resumeMagic {
		return nil, 0, errResumeDamaged
	}
	kind, payload, rest, ok := parseRecord(b[len(resumeMagic):])
	if !ok || kind != recordCheckpoint {
		return nil, 0, errResumeDamaged
	}
	st, err := parseCheckpoint(payload, infoHash, geo, numFiles)
	if err != nil {
		return nil, 0, err
	}
	for {
		kind, payload, next, ok := parseRecord(rest)
		if !ok || !st.apply(kind, payload) {
			return st, len(b) - len(rest), nil
		}
		rest = next
	}
}

// parseCheckpoint reads the bencoded dictionary. It comes behind a checksum,
// but a file can be planted, and the decoder has no limits: so the scanner
// looks first. Nothing is nested in what appendCheckpoint writes.
func parseCheckpoint(b []byte, infoHash metainfo.InfoHash, geo metainfo.Geometry, numFiles int) (*journalState, error) {
	if _, err := bscan.Strict(b, bscan.Limits{Depth: 1, Tokens: 64}); err != nil {
		return nil, errResumeDamaged
	}
	var c checkpoint
	if err := bencode.DecodeBytes(b, &c); err != nil || c.Version != resumeVersion {
		return nil, errResumeDamaged
	}
	if c.InfoHash != string(infoHash[:]) {
		return nil, errResumeForeign
	}
	if c.PieceLen != int64(geo.StdPieceLen()) || c.TotalLen != geo.TotalLen() || len(c.Stats) != 16*numFiles {
		return nil, errResumeDamaged
	}
	st := newJournalState(geo.NumPieces(), numFiles)
	st.boot, st.uploaded, st.downloaded = c.Boot, max(c.Uploaded, 0), max(c.Downloaded, 0)
	for i := range st.stats {
		st.stats[i] = parseStat([]byte(c.Stats[16*i:][:16]))
	}
	var errs [3]error
	st.verified, errs[0] = bitfield.Parse([]byte(c.Verified), geo.NumPieces())
	st.durable, errs[1] = bitfield.Parse([]byte(c.Durable), geo.NumPieces())
	st.inFlight, errs[2] = bitfield.Parse([]byte(c.InFlight), geo.NumPieces())
	if errors.Join(errs[:]...) != nil || !st.consistent() {
		return nil, errResumeDamaged
	}
	return st, nil
}

// consistent reports whether every durable piece is verified, and none that is
// verified is in flight.
func (st *journalState) consistent() bool {
	for pieceIndex := range st.inFlight.Members() {
		if st.verified.Has(pieceIndex) {
			return false
		}
	}
	return !st.durable.HasOther(st.verified)
}

// apply changes the state by one record of the journal. It is false if the
// record makes no sense.
func (st *journalState) apply(kind byte, payload []byte) bool {
	switch kind {
	case recordBegin, recordDone, recordAbsent:
		return st.applyPiece(kind, payload)
	case recordSync:
		durable, err := bitfield.Parse(payload, st.verified.Len())
		if err != nil {
			return false
		}
		st.setDurable(durable)
		return true
	case recordTotals:
		if len(payload) != 16 {
			return false
		}
		st.uploaded = max(int64(binary.BigEndian.Uint64(payload)), 0)
		st.downloaded = max(int64(binary.BigEndian.Uint64(payload[8:])), 0)
		return true
	}
	return false
}

func (st *journalState) applyPiece(kind byte, payload []byte) bool {
	if len(payload) < 4 || (len(payload)-4)%statLen != 0 {
		return false
	}
	pieceIndex := int64(binary.BigEndian.Uint32(payload))
	if pieceIndex >= int64(st.verified.Len()) {
		return false
	}
	stats := payload[4:]
	for b := stats; len(b) > 0; b = b[statLen:] {
		if int64(binary.BigEndian.Uint32(b)) >= int64(len(st.stats)) {
			return false
		}
	}
	for b := stats; len(b) > 0; b = b[statLen:] {
		st.stats[binary.BigEndian.Uint32(b)] = parseStat(b[4:])
	}
	switch kind {
	case recordBegin:
		st.begin(int(pieceIndex))
	case recordDone:
		st.done(int(pieceIndex))
	case recordAbsent:
		st.absent(int(pieceIndex))
	}
	return true
}

// setDurable notes what had reached the disk at a sync, less what was begun
// anew since it started.
func (st *journalState) setDurable(synced *bitfield.Set) {
	for pieceIndex := range synced.Members() {
		if !st.verified.Has(pieceIndex) {
			synced.Remove(pieceIndex)
		}
	}
	st.durable = synced
}
