package dht

import "net/netip"

const (
	// batchLen is the most packets that one system call carries; more than
	// this save hardly anything.
	batchLen = 32

	// maxPacketLen is the longest packet that the node gets to see, in bytes.
	// An Ethernet carries 1,472; fragments of more come from hardly anyone.
	maxPacketLen = 2048
)

// batch is a number of packets and their addresses, with fixed memory for
// each.
type batch struct {
	num      int
	addrs    [batchLen]netip.AddrPort
	lens     [batchLen]int // of packets received, more than maxPacketLen if they were longer
	buffers  [batchLen][maxPacketLen + 1]byte
	failures uint64 // reads that failed before this one
	sys      batchSys
}

func newBatch() *batch {
	b := new(batch)
	b.sys.init(b)
	return b
}

// packet returns the bytes of packet i.
func (b *batch) packet(i int) []byte { return b.buffers[i][:b.lens[i]] }

func (b *batch) full() bool { return b.num == batchLen }

// add copies a packet of at most maxPacketLen bytes into a batch that is not
// full.
func (b *batch) add(to netip.AddrPort, packet []byte) {
	b.addrs[b.num] = to
	b.lens[b.num] = copy(b.buffers[b.num][:maxPacketLen], packet)
	b.num++
}

// socket sends and receives packets. read and write each have one caller at a
// time.
type socket interface {
	// read waits for packets and puts them into b. An error that is not
	// net.ErrClosed may pass.
	read(b *batch) error
	// write sends the packets of b without waiting, and returns how many of
	// them went nowhere.
	write(b *batch) (numFailed int)
	// addr is where the socket is bound to.
	addr() netip.AddrPort
	close() error
}
