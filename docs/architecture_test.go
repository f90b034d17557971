// Package docs_test holds the project to ARCHITECTURE.md: it reads the source
// tree and names every place that breaks a rule. Each rule also meets a small
// invented tree that breaks it, so that a rule that sees nothing is noticed.
package docs_test

import (
	"os"
	"regexp"
	"testing"
)

// rules are the rules, by the name that the tests show.
var rules = []struct {
	name  string
	check func(*tree) []finding
}{
	{"the top level is fixed", checkTopLevel},
	{"imports point downward", checkImports},
	{"leaves import nothing of the project", checkLeaves},
	{"cores are there", checkCoresExist},
	{"cores import no outside world", checkCoreImports},
	{"cores have no concurrency", checkCoreStatements},
	{"cores have no clock and no global randomness", checkCoreUses},
	{"no order of a map reaches an output", checkMapOrder},
	{"exported names are documented", checkDocs},
	{"tests do not sleep", checkSleep},
	{"no path of a machine is committed", checkPaths},
}

// mayImport says which top-level folders the product code of each top-level
// folder may import, besides its own. What is not listed, nobody imports: of
// product code only cmd imports swarmtest, and peer imports neither tracker
// nor dht.
var mayImport = map[string][]string{
	"metainfo":   {},
	"piecestore": {"metainfo"},
	"peer":       {"piecestore", "metainfo"},
	"tracker":    {"piecestore", "metainfo"},
	"dht":        {"piecestore", "metainfo"},
	"swarmtest":  {"peer", "tracker", "dht", "piecestore", "metainfo"},
	"cmd":        {"swarmtest", "peer", "tracker", "dht", "piecestore", "metainfo"},
	"docs":       {},
}

// leaves import nothing of the project, so that anyone can import them.
var leaves = []string{"metainfo/bscan", "metainfo/bitfield", "metainfo/compact"}

// cores decide, and touch nothing: the same code runs in the client and in
// the simulator.
var cores = []string{
	"peer/engine",
	"peer/quota",
	"dht/node",
	"tracker/announce",
	"tracker/swarm",
	"tracker/account/ledger",
	"swarmtest/sim",
	"swarmtest/dhthost", "swarmtest/dhtnet",
	"swarmtest/cdn", "swarmtest/stats",
	"swarmtest/demand",
	"swarmtest/abstract",
}

// pure are the packages of the project that a core may import besides other
// cores: vocabulary and codecs. A name with a slash at its end stands for all
// below it.
var pure = []string{
	"metainfo",
	"metainfo/",
	"peer/wire",
	"dht/krpc",
	"tracker",
	"swarmtest/result",
	"swarmtest/theory",
	"swarmtest/scenario",
}

// worldly are the imports that no core has, with slashes as in pure.
var worldly = []string{
	"net", "net/", "os", "os/", "io/ioutil", "syscall", "golang.org/x/sys/", "golang.org/x/net/", // sockets and files
	"sync", "sync/", "context", "golang.org/x/sync/", // goroutines
	"crypto/rand", "math/rand", "math/rand/", "hash/maphash", "runtime", "runtime/", // what differs from run to run
	"log", "log/", // global loggers
}

// harmless are the exceptions of worldly. The randomness of math/rand/v2 is
// seeded by the caller; coreUses says which of its names are not.
var harmless = []string{"net/netip", "math/rand/v2"}

// coreUses says which names of a package a core may use, for packages that
// have others.
var coreUses = map[string][]string{
	"time":         {"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"},
	"math/rand/v2": {"Rand", "New", "Source", "PCG", "NewPCG", "ChaCha8", "NewChaCha8", "Zipf", "NewZipf"},
}

// justification is how a comment excuses a loop over a map in a core: on its
// line or the line above, with the reason.
var justification = regexp.MustCompile(`order does not matter: \S`)

// machinePath is an absolute path below a folder in which people work, which
// means nothing elsewhere.
var machinePath = regexp.MustCompile("(^|[\\s\"'`=:(])/(work|tmp|home|root)/\\w")

func TestArchitecture(t *testing.T) {
	tree, err := readTree(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, found := range rule.check(tree) {
				t.Error(found)
			}
		})
	}
}
