package docs_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	// link is the target of a link, without the place in it.
	link = regexp.MustCompile(`\]\(([^)#]+)`)
	// named is a file or a test that a table of beps.md names.
	named = regexp.MustCompile("`((?:Test|Fuzz)\\w+|[\\w/.-]+\\.(?:go|txt))`")
	// testFunc is the beginning of a test.
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// documents returns the text of every document by its path from the root.
func documents(t *testing.T, root fs.FS) map[string]string {
	names, err := fs.Glob(root, "docs/*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	all := map[string]string{}
	for _, name := range append(names, "README.md") {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	root := os.DirFS("..")
	for name, text := range documents(t, root) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target := match[1]
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := fs.Stat(root, path.Join(path.Dir(name), target)); err != nil {
				t.Errorf("%s: the link to %s: %v", name, target, err)
			}
		}
	}
}

// TestBEPsNamesWhatExists holds beps.md to files and tests that are there.
func TestBEPsNamesWhatExists(t *testing.T) {
	root := os.DirFS("..")
	tests := map[string]bool{}
	tree, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tree.packages {
		for _, f := range p.files {
			text, err := fs.ReadFile(root, f.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range testFunc.FindAllSubmatch(text, -1) {
				tests[string(match[1])] = true
			}
		}
	}
	found := 0
	for _, match := range named.FindAllStringSubmatch(documents(t, root)["docs/beps.md"], -1) {
		found++
		name := match[1]
		if strings.ContainsRune(name, '/') {
			if _, err := fs.Stat(root, name); err != nil {
				t.Errorf("beps.md: %v", err)
			}
		} else if !tests[name] {
			t.Errorf("beps.md: there is no test %s", name)
		}
	}
	if found < 50 {
		t.Errorf("beps.md names %d files and tests, which are fewer than it did", found)
	}
}
