package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the path of the project's module.
const module = "github.com/shoal-bt/shoal"

// tree is the source of the project, or of a small invention that breaks a
// rule.
type tree struct {
	fsys     fs.FS
	fset     *token.FileSet
	packages map[string]*pkg // by folder
}

// pkg is the Go files of one folder.
type pkg struct {
	dir   string // from the root, with slashes
	files []*file
}

// file is one Go file.
type file struct {
	path   string
	isTest bool
	*ast.File
}

// finding is a place where a rule is broken.
type finding string

// readTree parses every Go file below the root of fsys.
func readTree(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, fset: token.NewFileSet(), packages: map[string]*pkg{}}
	return t, t.walk(func(name string, text []byte) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if t.packages[dir] == nil {
			t.packages[dir] = &pkg{dir: dir}
		}
		p := t.packages[dir]
		p.files = append(p.files, &file{path: name, isTest: strings.HasSuffix(name, "_test.go"), File: f})
		return nil
	})
}

// walk calls visit with every file of the tree except those of git.
func (t *tree) walk(visit func(name string, text []byte) error) error {
	return fs.WalkDir(t.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git" && d.IsDir():
			return fs.SkipDir
		case !d.Type().IsRegular() || d.Name() == ".git":
			return nil
		}
		text, err := fs.ReadFile(t.fsys, name)
		if err != nil {
			return err
		}
		return visit(name, text)
	})
}

// sorted returns the packages in the order of their folders.
func (t *tree) sorted() []*pkg {
	var all []*pkg
	for _, p := range t.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// at returns a finding at a place of the source.
func (t *tree) at(pos token.Pos, format string, args ...any) finding {
	p := t.fset.Position(pos)
	return finding(fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
}

// product returns the files that are not tests.
func (p *pkg) product() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.isTest })
}

// imports returns the paths that the file imports.
func (f *file) imports() map[string]*ast.ImportSpec {
	m := map[string]*ast.ImportSpec{}
	for _, spec := range f.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		m[importPath] = spec
	}
	return m
}

// uses yields every name of another package that the file uses, with that
// package's path: ("time", "Now").
func (f *file) uses(visit func(importPath, name string, pos token.Pos)) {
	byName := map[string]string{}
	for importPath, spec := range f.imports() {
		byName[importName(importPath, spec)] = importPath
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && byName[id.Name] != "" {
			visit(byName[id.Name], sel.Sel.Name, sel.Pos())
		}
		return true
	})
}

// importName is the name by which a file refers to an import.
func importName(importPath string, spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	base := path.Base(importPath)
	if base == "v2" || base == "v3" || base == "v5" {
		base = path.Base(path.Dir(importPath))
	}
	return base
}

// top returns the first element of a folder's path.
func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// typeChecker finds the types of expressions. The project's own packages are
// checked from the tree and the standard library from its source; modules of
// others are left empty, so that nothing is fetched, and what depends on them
// has no type.
type typeChecker struct {
	t    *tree
	std  types.Importer
	done map[string]*types.Package
}

func newTypeChecker(t *tree) *typeChecker {
	build.Default.CgoEnabled = false // the source importer would start a C compiler
	return &typeChecker{t: t, std: importer.ForCompiler(token.NewFileSet(), "source", nil), done: map[string]*types.Package{}}
}

// Import is the method of types.Importer.
func (c *typeChecker) Import(importPath string) (*types.Package, error) {
	if p := c.done[importPath]; p != nil {
		return p, nil
	}
	dir, ok := strings.CutPrefix(importPath, module+"/")
	if ok && c.t.packages[dir] != nil {
		return c.check(c.t.packages[dir], nil), nil
	}
	if !ok && !strings.Contains(top(importPath), ".") {
		return c.std.Import(importPath)
	}
	return nil, errors.New("not a package of the project")
}

// check finds the types in p's product files. Errors are left to the
// compiler.
func (c *typeChecker) check(p *pkg, info *types.Info) *types.Package {
	var files []*ast.File
	for _, f := range p.product() {
		files = append(files, f.File)
	}
	config := types.Config{Importer: c, Error: func(error) {}, IgnoreFuncBodies: info == nil}
	checked, _ := config.Check(module+"/"+p.dir, c.t.fset, files, info)
	if info == nil {
		c.done[module+"/"+p.dir] = checked
	}
	return checked
}
