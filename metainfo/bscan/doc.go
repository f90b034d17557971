// Package bscan checks bencoded bytes (BEP 3) from a stranger and lets a
// caller walk over them in place. Scan validates the whole of a value once and
// returns it as a Value, a view of the original bytes; from then on lookups
// and iteration need no error handling, because nothing can be wrong any
// more. A Report says what is legal but suspicious: unsorted or duplicate
// keys, and bytes behind the value.
//
// The depth, the number of tokens and every length are bounded before they
// cost anything, there is no recursion, and nothing is allocated: the package
// serves a UDP packet as well as a .torrent file of 64 MiB. It is a leaf: it
// imports only the standard library.
package bscan
