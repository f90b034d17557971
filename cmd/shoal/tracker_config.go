package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
)

// maxConfigLen bounds a configuration file, in bytes: it is far more than all
// keys have.
const maxConfigLen = 1 << 20

// readConfig sets the keys of a TOML file, but for those that the command line
// has set. What is wrong is named with its line, a key that is not known
// too.
func (k keySet) readConfig(path string) error {
	text, err := readBounded(path)
	if err != nil {
		return err
	}
	var top map[string]toml.Primitive
	md, err := toml.Decode(text, &top)
	if err == nil {
		err = k.setAll(md, top)
	}
	var at toml.ParseError
	switch {
	case errors.As(err, &at) && at.Position.Line > 0:
		return fmt.Errorf("%s:%d: %s", metainfo.Printable(path), at.Position.Line, at.Message)
	case err != nil:
		return fmt.Errorf("%s: %s", metainfo.Printable(path), oneLine(err.Error()))
	}
	return nil
}

func readBounded(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigLen+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxConfigLen:
		return "", fmt.Errorf("%s: more than %s is no configuration", metainfo.Printable(path), formatSize(maxConfigLen))
	}
	return string(text), nil
}

// setAll sets the keys in the order of the file.
func (k keySet) setAll(md toml.MetaData, top map[string]toml.Primitive) error {
	for _, key := range md.Keys() {
		kind := md.Type(key[0]) // empty if there is no [header]
		isTable := trackerTables[key[0]] != "" && (kind == "Hash" || kind == "" && len(key) > 1)
		value := top[key[0]]
		switch {
		case isTable && len(key) == 1:
			continue
		case isTable:
			var table map[string]toml.Primitive
			if err := md.PrimitiveDecode(value, &table); err != nil {
				return err
			}
			value, key = table[key[1]], key[:2] // what is deeper is part of its value
		}
		if err := md.PrimitiveDecode(value, &setter{k, key.String()}); err != nil {
			return err
		}
	}
	return nil
}

// setter is the destination of one value.
type setter struct {
	keys keySet
	name string
}

// UnmarshalTOML sets the key. toml adds the line to its error.
func (s *setter) UnmarshalTOML(data any) error {
	key, err := findKey(s.name)
	if err != nil {
		return err
	}
	if err := s.keys.set(key, data); err != nil {
		return fmt.Errorf("%s: %w", key.name, err)
	}
	return nil
}

// set gives a key the value that a file has, in the type that TOML has for it.
func (k keySet) set(key trackerKey, data any) error {
	value := k.of(key).Value
	if k.isOverridden(key) {
		return nil
	}
	if list, ok := value.(pflag.SliceValue); ok {
		texts, err := asTexts(data)
		if err != nil {
			return err
		}
		return list.Replace(texts)
	}
	text, err := asText(value.Type(), data)
	if err != nil {
		return err
	}
	if err := value.Set(text); err != nil {
		if value.Type() == "duration" {
			return fmt.Errorf("%q is no duration like \"90s\" or \"1h30m\"", text)
		}
		return err
	}
	return nil
}

// asTexts reads a list of strings.
func asTexts(data any) (texts []string, err error) {
	list, ok := data.([]any)
	if !ok {
		return nil, errors.New(`write a list like ["one", "two"]`)
	}
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return nil, errors.New(`write a list of strings like ["one", "two"]`)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// asText is a value as it stands on the command line. Its type in TOML must be
// that of the key: a number is no string.
func asText(kind string, data any) (string, error) {
	_, isString := data.(string)
	_, isInt := data.(int64)
	_, isFloat := data.(float64)
	_, isBool := data.(bool)
	switch kind {
	case "bool":
		if !isBool {
			return "", errors.New("write true or false")
		}
	case "int":
		if !isInt {
			return "", errors.New("write a whole number, without quotes")
		}
	case "float64":
		if !isInt && !isFloat {
			return "", errors.New("write a number, without quotes")
		}
	default:
		if !isString {
			return "", fmt.Errorf("write it in quotes, as on the command line: %q", fmt.Sprint(data))
		}
	}
	return fmt.Sprint(data), nil
}

// print writes the configuration with every key explained. A key for which
// isSet is false is printed as a comment.
func (k keySet) print(w io.Writer, isSet func(trackerKey) bool) {
	table := ""
	for i, key := range trackerKeys {
		in, name, _ := strings.Cut(key.name, ".")
		if in != table {
			if table = in; i > 0 {
				fmt.Fprintln(w)
			}
			printComment(w, trackerTables[table])
			fmt.Fprintf(w, "[%s]\n", table)
		}
		fmt.Fprintln(w)
		printComment(w, k.about(key))
		mark := ""
		if !isSet(key) {
			mark = "# "
		}
		fmt.Fprintf(w, "%s%s = %s\n", mark, name, tomlValue(k.of(key).Value))
	}
}

// commentWidth is arbitrary: what fits beside another window.
const commentWidth = 100

// printComment writes lines that begin with "# ".
func printComment(w io.Writer, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > commentWidth {
			fmt.Fprintln(w, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}

// tomlValue writes a value as readConfig reads it.
func tomlValue(value pflag.Value) string {
	if list, ok := value.(pflag.SliceValue); ok {
		return tomlText(append([]string{}, list.GetSlice()...)) // the library leaves out nil
	}
	switch value.Type() {
	case "bool", "int", "float64":
		return value.String()
	}
	return tomlText(value.String())
}

// tomlText writes a string, or a list of them, on one line. The library escapes the control characters of
// ASCII; a terminal knows further ones.
func tomlText(text any) string {
	line, err := toml.Marshal(map[string]any{"key": text})
	if err != nil {
		panic(err) // strings always encode
	}
	var b strings.Builder
	for _, r := range strings.TrimSuffix(strings.TrimPrefix(string(line), "key = "), "\n") {
		if doesNotPrint(r) {
			fmt.Fprintf(&b, `\U%08X`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// writeTrackerConfig writes the configuration of a private tracker beside its
// database, with the defaults as comments, and returns its path. One that is
// there stays.
func writeTrackerConfig(database string) (path string, err error) {
	r := new(trackerRun)
	r.flags(pflag.NewFlagSet("init", pflag.ContinueOnError))
	if database, err = filepath.Abs(database); err != nil {
		return "", err
	}
	r.private, r.db = true, database
	path = filepath.Join(filepath.Dir(database), "tracker.toml")
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# A private tracker: shoal tracker run --config FILE. What stands behind a # is\n"+
		"# what holds when it is not said.\n\n")
	r.keys.print(&text, func(key trackerKey) bool { return key.name == "torrents.private" || key.name == "users.database" })
	return path, writeNew(path, text.Bytes())
}
