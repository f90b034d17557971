package announcelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// magic begins a file: 16 bytes.
const magic = "shoal-announce1\n"

// EntryLen is the length of an entry in bytes: time, user, torrent, peer id,
// uploaded, downloaded, left, event, two percentages, and the CRC-32C of all
// that. Integers are big-endian.
const EntryLen = 8 + 8 + 8 + 20 + 8 + 8 + 8 + 1 + 4 + 4 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNotALog says that a file begins otherwise.
var ErrNotALog = errors.New("this is not a log of announces")

var errDamaged = errors.New("the entry is damaged")

// Entry is one announce. At is since the Unix epoch.
type Entry struct {
	At time.Duration
	ledger.Announce
}

// AppendEntry appends the EntryLen bytes of e.
func AppendEntry(b []byte, e *Entry) []byte {
	begin := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At))
	b = binary.BigEndian.AppendUint64(b, uint64(e.User))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Torrent))
	b = append(b, e.PeerID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Uploaded))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Downloaded))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Left))
	b = append(b, byte(e.Event))
	b = binary.BigEndian.AppendUint32(b, e.Rate.UpPercent)
	b = binary.BigEndian.AppendUint32(b, e.Rate.DownPercent)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
}

// parseEntry reads an entry of EntryLen bytes.
func parseEntry(b []byte) (e Entry, err error) {
	body := b[:EntryLen-4]
	if binary.BigEndian.Uint32(b[EntryLen-4:]) != crc32.Checksum(body, castagnoli) {
		return e, errDamaged
	}
	number := func() (n int64) {
		n, body = int64(binary.BigEndian.Uint64(body)), body[8:]
		return n
	}
	e.At, e.User, e.Torrent = time.Duration(number()), ledger.UserID(number()), ledger.TorrentID(number())
	body = body[copy(e.PeerID[:], body):]
	e.Uploaded, e.Downloaded, e.Left = number(), number(), number()
	e.Event = tracker.Event(body[0])
	e.Rate.UpPercent, e.Rate.DownPercent = binary.BigEndian.Uint32(body[1:]), binary.BigEndian.Uint32(body[5:])
	if e.Event > tracker.Stopped {
		return Entry{}, errDamaged
	}
	return e, nil
}

// Read calls yield for each entry of a log, in their order. It leaves out
// damaged entries and a torn end, which it counts. The error is ErrNotALog, or
// one of r or of yield.
func Read(r io.Reader, yield func(*Entry) error) (numDamaged int, err error) {
	var begin [len(magic)]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil || string(begin[:]) != magic {
		return 0, ErrNotALog
	}
	var b [EntryLen]byte
	for {
		switch _, err := io.ReadFull(r, b[:]); {
		case err == io.EOF:
			return numDamaged, nil
		case err == io.ErrUnexpectedEOF:
			return numDamaged + 1, nil
		case err != nil:
			return numDamaged, fmt.Errorf("announce log: %w", err)
		}
		e, err := parseEntry(b[:])
		if err != nil {
			numDamaged++
			continue
		}
		if err := yield(&e); err != nil {
			return numDamaged, err
		}
	}
}
