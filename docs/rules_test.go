package docs_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// checkTopLevel names visible folders that ARCHITECTURE.md does not.
func checkTopLevel(t *tree) (found []finding) {
	entries, _ := fs.ReadDir(t.fsys, ".")
	for _, e := range entries {
		if _, ok := mayImport[e.Name()]; e.IsDir() && !ok && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, finding(e.Name()+": not a folder of the fixed top level"))
		}
	}
	return found
}

func checkImports(t *tree) (found []finding) {
	t.projectImports(func(p *pkg, dir string, pos token.Pos) {
		from, to := top(p.dir), top(dir)
		if from != to && !slices.Contains(mayImport[from], to) {
			found = append(found, t.at(pos, "%s imports %s", p.dir, dir))
		}
	})
	return found
}

func checkLeaves(t *tree) (found []finding) {
	t.projectImports(func(p *pkg, dir string, pos token.Pos) {
		if slices.Contains(leaves, p.dir) {
			found = append(found, t.at(pos, "the leaf %s imports %s", p.dir, dir))
		}
	})
	return found
}

// projectImports visits the imports of the project's own packages in product
// code.
func (t *tree) projectImports(visit func(p *pkg, dir string, pos token.Pos)) {
	for _, p := range t.sorted() {
		for _, f := range p.product() {
			for importPath, spec := range f.imports() {
				if dir, ok := strings.CutPrefix(importPath, module+"/"); ok {
					visit(p, dir, spec.Pos())
				}
			}
		}
	}
}

// checkCoresExist notices a core that was renamed, which the other rules would
// then no longer see. A part of the project that has not begun is not missed.
func checkCoresExist(t *tree) (found []finding) {
	for _, core := range cores {
		begun := slices.ContainsFunc(t.sorted(), func(p *pkg) bool { return top(p.dir) == top(core) })
		if begun && t.packages[core] == nil {
			found = append(found, finding(core+": there is no such core"))
		}
	}
	return found
}

// inCores visits the product files of the cores.
func (t *tree) inCores(visit func(*file)) {
	for _, core := range cores {
		if p := t.packages[core]; p != nil {
			for _, f := range p.product() {
				visit(f)
			}
		}
	}
}

func checkCoreImports(t *tree) (found []finding) {
	t.inCores(func(f *file) {
		for importPath, spec := range f.imports() {
			switch {
			case spec.Name != nil && spec.Name.Name == ".":
				found = append(found, t.at(spec.Pos(), "dot import of %s", importPath))
			case !coreMayImport(importPath):
				found = append(found, t.at(spec.Pos(), "import of %s", importPath))
			}
		}
	})
	return found
}

// coreMayImport reports whether an import keeps a core pure.
func coreMayImport(importPath string) bool {
	if dir, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return slices.Contains(cores, dir) || listed(pure, dir)
	}
	return slices.Contains(harmless, importPath) || !listed(worldly, importPath)
}

// listed reports whether list has name, or an entry with a slash at its end
// that name lies below.
func listed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return name == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(name, entry)
	})
}

func checkCoreStatements(t *tree) (found []finding) {
	t.inCores(func(f *file) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if what := concurrency(n); what != "" {
				found = append(found, t.at(n.Pos(), "%s", what))
			}
			return true
		})
	})
	return found
}

// concurrency names the construct n if it has to do with goroutines.
func concurrency(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "go statement"
	case *ast.SelectStmt:
		return "select statement"
	case *ast.ChanType:
		return "channel type"
	case *ast.SendStmt:
		return "send to a channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "receive from a channel"
		}
	}
	return ""
}

func checkCoreUses(t *tree) (found []finding) {
	t.inCores(func(f *file) {
		f.uses(func(importPath, name string, pos token.Pos) {
			allowed, limited := coreUses[importPath]
			printing := importPath == "fmt" && strings.HasPrefix(name, "Print")
			if limited && !slices.Contains(allowed, name) || printing {
				found = append(found, t.at(pos, "use of %s.%s", importPath, name))
			}
		})
	})
	return found
}

func checkMapOrder(t *tree) (found []finding) {
	checker := newTypeChecker(t)
	for _, core := range cores {
		if p := t.packages[core]; p != nil {
			found = append(found, t.mapLoops(p, checker)...)
		}
	}
	return found
}

// mapLoops names the loops over maps in p that no comment justifies.
func (t *tree) mapLoops(p *pkg, checker *typeChecker) (found []finding) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	checker.check(p, info)
	for _, f := range p.product() {
		justified := t.justifiedLines(f)
		ast.Inspect(f.File, func(n ast.Node) bool {
			if sortsAtOnce(n) {
				return false
			}
			what := mapOrder(n, info)
			if what != "" && !justified[t.fset.Position(n.Pos()).Line] {
				found = append(found, t.at(n.Pos(), "%s, without a comment %q", what, "order does not matter: WHY"))
			}
			return true
		})
	}
	return found
}

// justifiedLines returns the lines that a justifying comment stands on or
// directly above of.
func (t *tree) justifiedLines(f *file) map[int]bool {
	lines := map[int]bool{}
	for _, group := range f.Comments {
		if justification.MatchString(strings.ReplaceAll(group.Text(), "\n", " ")) {
			end := t.fset.Position(group.End()).Line
			lines[end], lines[end+1] = true, true
		}
	}
	return lines
}

// mapOrder names the construct n if it yields the elements of a map in its
// order: a range statement, or an iterator of package maps. A range over
// something without a known type is named too, as it might be one.
func mapOrder(n ast.Node, info *types.Info) string {
	switch n := n.(type) {
	case *ast.RangeStmt:
		typ := info.TypeOf(n.X)
		if typ == nil || typ == types.Typ[types.Invalid] {
			return "range over something of unknown type"
		}
		if _, ok := typ.Underlying().(*types.Map); ok {
			return "range over a map"
		}
	case *ast.CallExpr:
		if isMapIterator(n.Fun) {
			return "iterator over a map"
		}
	}
	return ""
}

// isMapIterator reports whether fun is maps.All, maps.Keys or maps.Values.
func isMapIterator(fun ast.Expr) bool {
	name := types.ExprString(fun)
	return name == "maps.All" || name == "maps.Keys" || name == "maps.Values"
}

// sortsAtOnce reports whether n is slices.Sorted(maps.Keys(m)), whose result
// does not depend on the order of m.
func sortsAtOnce(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || types.ExprString(call.Fun) != "slices.Sorted" || len(call.Args) != 1 {
		return false
	}
	keys, ok := call.Args[0].(*ast.CallExpr)
	return ok && types.ExprString(keys.Fun) == "maps.Keys"
}

func checkDocs(t *tree) (found []finding) {
	for _, p := range t.sorted() {
		files := p.product()
		if len(files) == 0 || files[0].Name.Name == "main" {
			continue
		}
		if !slices.ContainsFunc(files, func(f *file) bool { return f.Doc != nil }) {
			found = append(found, t.at(files[0].Package, "package %s has no comment", p.dir))
		}
		for _, f := range files {
			for _, decl := range f.Decls {
				found = append(found, t.undocumented(decl)...)
			}
		}
	}
	return found
}

// undocumented names what a declaration exports without a comment.
func (t *tree) undocumented(decl ast.Decl) (found []finding) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && receiverIsExported(d) && d.Doc == nil {
			found = append(found, t.at(d.Pos(), "%s has no comment", d.Name.Name))
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			names, documented := specNames(spec)
			for _, name := range names {
				if name.IsExported() && !documented && d.Doc == nil {
					found = append(found, t.at(name.Pos(), "%s has no comment", name.Name))
				}
			}
		}
	}
	return found
}

// receiverIsExported reports whether a function is no method, or one of an
// exported type.
func receiverIsExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// specNames returns the names that a spec declares and whether it has a
// comment of its own, above or behind it.
func specNames(spec ast.Spec) (names []*ast.Ident, documented bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{s.Name}, s.Doc != nil || s.Comment != nil
	case *ast.ValueSpec:
		return s.Names, s.Doc != nil || s.Comment != nil
	}
	return nil, true
}

// checkSleep names tests that sleep: they are slow, and fail on a slow machine.
// In the fake time of synctest.Test a sleep is neither.
func checkSleep(t *tree) (found []finding) {
	for _, p := range t.sorted() {
		for _, f := range p.files {
			bubbles := f.callsTo("testing/synctest", "Test")
			f.uses(func(importPath, name string, pos token.Pos) {
				inBubble := slices.ContainsFunc(bubbles, func(c *ast.CallExpr) bool { return c.Pos() <= pos && pos < c.End() })
				if f.isTest && importPath == "time" && name == "Sleep" && !inBubble {
					found = append(found, t.at(pos, "a test sleeps"))
				}
			})
		}
	}
	return found
}

// callsTo returns the calls of a function of another package.
func (f *file) callsTo(importPath, name string) (calls []*ast.CallExpr) {
	called := make(map[token.Pos]bool)
	f.uses(func(usedPath, usedName string, pos token.Pos) {
		called[pos] = usedPath == importPath && usedName == name
	})
	ast.Inspect(f.File, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && called[call.Fun.Pos()] {
			calls = append(calls, call)
		}
		return true
	})
	return calls
}

// checkPaths names text that holds an absolute path of somebody's machine.
func checkPaths(t *tree) (found []finding) {
	t.walk(func(name string, text []byte) error {
		if path.Dir(name) == "docs" && strings.HasSuffix(name, "_test.go") {
			return nil // these rules
		}
		if match := machinePath.Find(text); match != nil {
			found = append(found, finding(name+": holds the path "+strings.TrimSpace(string(match))))
		}
		return nil
	})
	return found
}
