package cdn

// push fills the caches that have Push before the start, parents first.
func (r *run) push() {
	for _, tier := range [][]int32{r.parents, r.edges, r.proxies} {
		for _, id := range tier {
			if r.servers[id].Cache.Push {
				r.pushTo(id)
			}
		}
	}
}

// stopPushing asks now and then whether the run is to end before it begins.
func (r *run) stopPushing() bool {
	r.numPushed++
	if r.numPushed%progressEvery == 0 && r.Progress != nil && !r.Progress(0, 0, len(r.Clients)) {
		r.interrupted = true
	}
	return r.interrupted
}

// pushTo puts contents into a cache until one does not fit.
func (r *run) pushTo(id int32) {
	for content := range r.Contents {
		numSlices := int32((r.Contents[content].Len-1)/r.SliceLen) + 1
		for slice := range numSlices {
			if r.stopPushing() || !r.servers[id].cache.room(r.sliceLen(int32(content), slice)) {
				return
			}
			r.bring(id, idOf(int32(content), slice), r.sliceLen(int32(content), slice))
		}
	}
}

// bring brings a slice to a cache through the tiers above it, each of which
// keeps it if it has room.
func (r *run) bring(id int32, slice sliceID, numBytes int64) {
	s := &r.servers[id]
	if s.cache == nil {
		return
	}
	if _, there := s.cache.get(slice); there {
		return
	}
	above := r.above(id, slice, 0)
	r.bring(above, slice, numBytes)
	r.net.uplinks[r.servers[above].uplink].out += numBytes
	r.servers[above].stats.Out += numBytes
	r.servers[above].stats.Pushed += numBytes
	r.took(id, above, numBytes)
	if s.cache.room(numBytes) {
		s.cache.put(slice, numBytes, 0)
	}
}
