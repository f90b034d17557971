package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// trackerKey is a key of the tracker's configuration file.
type trackerKey struct {
	name string // with its table: "announce.interval"
	flag string // that overrides it, or empty
	// live says that a reload changes it; else it needs a restart.
	live bool
}

// trackerKeys are all keys, in the order in which they are printed; those of a
// table follow each other.
var trackerKeys = []trackerKey{
	{"torrents.open", "open", true},
	{"torrents.whitelist", "whitelist", true},
	{"torrents.blacklist", "blacklist", true},
	{"torrents.private", "private", false},
	{"torrents.state", "state", false},

	{"http.listen", "http", false},
	{"http.trusted_proxies", "trusted-proxy", true},
	{"http.proxy_header", "", true},
	{"udp.listen", "udp", false},
	{"tls.listen", "https", false},
	{"tls.certificate", "tls-cert", true},
	{"tls.key", "tls-key", true},
	{"acme.domains", "", false},
	{"acme.folder", "", false},
	{"acme.email", "", false},
	{"acme.directory", "", false},
	{"acme.ca_file", "", false},

	{"announce.interval", "interval", true},
	{"announce.min_interval", "", true},
	{"announce.numwant", "", true},
	{"announce.max_numwant", "", true},
	{"announce.near_ipv4_bits", "", true},
	{"announce.near_ipv6_bits", "", true},
	{"announce.max_scrape", "", true},
	{"announce.trusted_ip", "", true},
	{"limits.connections", "", false},
	{"limits.connections_per_address", "", true},
	{"limits.torrents", "", false},
	{"limits.peers", "", false},

	{"users.database", "db", false},
	{"users.drop", "drop", true},
	{"users.min_ratio", "min-ratio", true},
	{"users.ratio_free", "ratio-free", true},
	{"users.slots", "slots", true},
	{"users.clients", "client", true},
	{"users.seed_time", "seed-time", true},
	{"users.seed_within", "seed-within", true},
	{"users.max_hit_and_runs", "max-hit-and-runs", true},
	{"users.announce_log", "announce-log", false},
	{"users.write_every", "", false},

	{"admin.listen", "admin", false},
	{"admin.token_file", "admin-token-file", false},
	{"admin.backups", "backups", false},
	{"metrics.listen", "metrics", false},

	{"log.level", "log-level", true},
	{"log.format", "log-format", false},
	{"stop.drain", "", true},
}

// trackerTables says what the tables are about.
var trackerTables = map[string]string{
	"torrents": "Which torrents are tracked: one of open, whitelist, blacklist and private is to be set.",
	"http":     "Announces over HTTP.",
	"udp":      "Announces over UDP. A private tracker is reached by clients that send the path of its URL (BEP 41), such as libtorrent.",
	"tls":      "Announces over HTTPS, with a certificate in files or from an authority ([acme]).",
	"acme":     "Certificates from an authority (RFC 8555).",
	"announce": "What peers are told.",
	"limits":   "What strangers can make grow.",
	"users":    "The users of a private tracker, and the rules for them.",
	"admin":    "The API of a private tracker's users and torrents, described in docs/tracker-api.md.",
	"metrics":  "Prometheus metrics, and whether the tracker is well.",
	"log":      "The log goes to the standard error. It never has a user's key.",
	"stop":     "The end, by SIGTERM or Ctrl-C. A second one ends the tracker at once.",
}

// keySet binds the keys to settings.
type keySet struct {
	commandLine *pflag.FlagSet // of the settings' flags
	file        *pflag.FlagSet // of their keys without a flag
}

func newKeySet(s *trackerSettings, commandLine *pflag.FlagSet) keySet {
	set := keySet{commandLine, pflag.NewFlagSet("keys", pflag.ContinueOnError)}
	s.fileFlags(set.file)
	return set
}

// of returns the flag that has the value of a key and the sentence about it.
func (k keySet) of(key trackerKey) *pflag.Flag {
	if key.flag != "" {
		return k.commandLine.Lookup(key.flag)
	}
	return k.file.Lookup(key.name)
}

// isOverridden reports whether the command line has said what a key would. A
// mode there takes the place of the file's.
func (k keySet) isOverridden(key trackerKey) bool {
	if slices.Contains(modeFlags, key.flag) {
		return slices.ContainsFunc(modeFlags, k.commandLine.Changed)
	}
	return key.flag != "" && k.commandLine.Changed(key.flag)
}

// findKey returns the key with a name.
func findKey(name string) (trackerKey, error) {
	names := make([]string, len(trackerKeys))
	for i, key := range trackerKeys {
		if key.name == name {
			return key, nil
		}
		names[i] = key.name
	}
	if near, ok := nearest(name, names); ok {
		return trackerKey{}, fmt.Errorf("there is no key %s; did you mean %s?", name, near)
	}
	return trackerKey{}, fmt.Errorf("there is no key %s; --print-config prints those that there are", name)
}

// about is what a key means, for a comment.
func (k keySet) about(key trackerKey) string {
	_, text := pflag.UnquoteUsage(k.of(key))
	text = strings.ToUpper(text[:1]) + text[1:]
	text, _, _ = strings.Cut(text, "; repeatable")
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	if key.flag != "" {
		text += " Flag: --" + key.flag + "."
	}
	if !key.live {
		text += " A change needs a restart."
	}
	return text
}
