package engine

// shrink returns s, in less memory if it has room for much more: a connection that was
// quick for a minute must not cost what that took for hours.
func shrink[T any](s []T) []T {
	if cap(s) <= 4*len(s) {
		return s
	}
	return append([]T(nil), s...)
}
