package metainfo

// Version is the version of Shoal. Torrents say it in "created by"; the
// digits of peerIDPrefix are the same, in the style of BEP 20.
const Version = "0.1.0"
