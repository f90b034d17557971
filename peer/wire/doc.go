// Package wire is the language that two peers speak: the handshake and the
// messages of BEP 3, the fast extension of BEP 6, the extension protocol of
// BEP 10 with the messages of metadata (BEP 9) and of peer exchange (BEP 11),
// and the port message of BEP 5.
//
// A [Handshake] opens a connection; after it a [Message] is one message of
// either direction, as a value. Append functions write them, Parse functions
// read them from bytes that are already there, and a [Decoder] reads them from
// a stream and moves the blocks of piece messages to where the caller wants
// them.
//
// Bounds: the length of a message is checked against what its type allows
// before anything is read or kept ([MaxBlockLen], [MaxBitfieldLen],
// [MaxExtendedLen], [MaxUnknownLen]), and memory grows with the bytes that
// arrived, never with a length that was claimed. Whether an index, an offset
// or a length fits the torrent is not known here: the engine asks its
// geometry.
//
// Nothing here starts a goroutine or waits, except that a Decoder's methods
// wait for its source: closing the source ends them.
package wire
