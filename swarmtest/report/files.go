package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a report. Each kind of report has one file of JSON, by which
// a directory is known to be a report's.
const (
	runFile        = "run.json"
	replicasFile   = "replicas.json"
	comparisonFile = "comparison.json"
	sweepFile      = "sweep.json"

	peersFile      = "peers.csv"
	timeseriesFile = "timeseries.csv"
	runsFile       = "runs.csv"
	htmlFile       = "report.html"
	figuresDir     = "figures"
)

// documentFormats are the formats by their files.
var documentFormats = map[string]string{
	runFile: runFormat, replicasFile: replicasFormat, comparisonFile: comparisonFormat, sweepFile: sweepFormat,
}

// topFiles are all names that a report may use in its directory.
var topFiles = []string{runFile, replicasFile, comparisonFile, sweepFile, peersFile, timeseriesFile, runsFile, htmlFile, figuresDir}

// file is one file of a report; name is relative, with slashes.
type file struct {
	name    string
	content []byte
}

// files are those of one report, the JSON first.
type files []file

func (f *files) add(name string, content []byte) {
	*f = append(*f, file{name, content})
}

// write puts the files into a directory, which is made if it does not exist. All of them are written
// under temporary names before the first one is renamed, so that a full disk leaves an old report whole.
func (f files) write(dir string) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, figuresDir), 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := checkOwner(dir); err != nil {
		return err
	}
	temporary := make([]string, 0, len(f))
	defer func() {
		for _, name := range temporary {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	for _, file := range f {
		name, err := writeTemporary(filepath.Join(dir, filepath.FromSlash(file.name)), file.content)
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		temporary = append(temporary, name)
	}
	for _, file := range f {
		if err := os.Rename(temporary[0], filepath.Join(dir, filepath.FromSlash(file.name))); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		temporary = temporary[1:]
	}
	return f.removeOld(dir)
}

// writeTemporary writes a file beside its name and returns the temporary one.
func writeTemporary(name string, content []byte) (temporary string, err error) {
	t, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.tmp")
	if err != nil {
		return "", err
	}
	_, err = t.Write(content)
	err = errors.Join(err, t.Chmod(0o644), t.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(t.Name()))
	}
	return t.Name(), nil
}

// checkOwner refuses a directory that holds files with a report's names, but no report: somebody
// else's report.html must not go.
func checkOwner(dir string) error {
	for name, format := range documentFormats { // order does not matter: one is enough
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil && decode(text, format, &struct{}{}) == nil {
			return nil
		}
	}
	for _, name := range topFiles {
		if held, err := holds(dir, name); err != nil || held {
			if err != nil {
				return fmt.Errorf("report: %w", err)
			}
			return fmt.Errorf("report: %s is there already and no report of Shoal: choose another directory", filepath.Join(dir, name))
		}
	}
	return nil
}

// holds reports whether a name is taken; an empty folder for figures is not.
func holds(dir, name string) (bool, error) {
	full := filepath.Join(dir, name)
	if name == figuresDir {
		entries, err := os.ReadDir(full)
		return len(entries) > 0, err
	}
	_, err := os.Lstat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// removeOld removes what an older report left there that this one has not: its figures and tables would be
// taken for those of this one. Only names that reports use are removed.
func (f files) removeOld(dir string) error {
	written := map[string]bool{}
	for _, file := range f {
		written[file.name] = true
	}
	old := []string{runFile, replicasFile, comparisonFile, sweepFile, peersFile, timeseriesFile, runsFile, htmlFile}
	for _, figure := range figureIDs {
		old = append(old, figuresDir+"/"+figure+".svg", figuresDir+"/"+figure+".png")
	}
	var errs []error
	for _, name := range old {
		if written[name] {
			continue
		}
		err := os.Remove(filepath.Join(dir, filepath.FromSlash(name)))
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
