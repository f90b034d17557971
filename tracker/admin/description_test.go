package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// described is openapi.yaml. Every answer in the tests is held to it.
type described struct {
	paths   map[string]map[string]operation
	schemas *jsonschema.Compiler
	mu      sync.Mutex // jsonschema.Compiler is for one goroutine
}

type operation struct {
	Role        string         `json:"x-role"`
	ForUsers    bool           `json:"x-for-users"`
	Security    *[]any         `json:"security"`
	Parameters  []any          `json:"parameters"`
	RequestBody content        `json:"requestBody"`
	Responses   map[string]any `json:"responses"`
}

type content struct {
	Content map[string]any `json:"content"`
}

var theDescription = sync.OnceValues(readDescription)

func description(t *testing.T) *described {
	t.Helper()
	d, err := theDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readDescription() (*described, error) {
	var doc any
	if err := yaml.Unmarshal(Description, &doc); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	var parts struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(asJSON, &parts); err != nil {
		return nil, err
	}
	d := &described{paths: map[string]map[string]operation{}, schemas: jsonschema.NewCompiler()}
	for path, item := range parts.Paths {
		d.paths[path] = map[string]operation{}
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			var op operation
			if err := json.Unmarshal(text, &op); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			d.paths[path][strings.ToUpper(method)] = op
		}
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	d.schemas.AssertFormat()
	return d, d.schemas.AddResource("openapi.yaml", whole)
}

// find returns the operation that a request is for.
func (d *described) find(method, path string) (template string, op operation, ok bool) {
	for template, ops := range d.paths {
		if op, ok := ops[method]; ok && fits(template, path) {
			return template, op, true
		}
	}
	return "", operation{}, false
}

// fits reports whether a path is one of a template's, such as
// /api/users/{name}.
func fits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(want, got string) bool { return want == got || strings.HasPrefix(want, "{") })
}

// check holds a response, and the request if it was a good one, to the
// description.
func (d *described) check(req *http.Request, resp *http.Response, sent string, body []byte) error {
	contentType := resp.Header.Get("Content-Type")
	template, op, ok := d.find(req.Method, req.URL.Path)
	if !ok {
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
			return d.validate("/components/schemas/Problem", body)
		}
		return fmt.Errorf("status %d, and it is not described", resp.StatusCode)
	}
	at := fmt.Sprintf("/paths/%s/%s", strings.ReplaceAll(template, "/", "~1"), strings.ToLower(req.Method))
	if resp.StatusCode >= 400 {
		if contentType != "application/problem+json" {
			return fmt.Errorf("status %d with %s", resp.StatusCode, contentType)
		}
		var p problem
		if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode {
			return fmt.Errorf("status %d, in the problem %d, %v", resp.StatusCode, p.Status, err)
		}
		return d.validate("/components/schemas/Problem", body)
	}
	response, ok := op.Responses[fmt.Sprint(resp.StatusCode)].(map[string]any)
	types, _ := response["content"].(map[string]any)
	switch {
	case !ok:
		return fmt.Errorf("the status %d is not described", resp.StatusCode)
	case types == nil && len(body) > 0:
		return fmt.Errorf("a body where none is described")
	case types != nil && types[contentType] == nil:
		return fmt.Errorf("the type %q is not described", contentType)
	}
	if contentType == "application/json" {
		if err := d.validate(at+"/responses/"+fmt.Sprint(resp.StatusCode)+"/content/application~1json/schema", body); err != nil {
			return err
		}
	}
	if op.RequestBody.Content["application/json"] != nil {
		return d.validate(at+"/requestBody/content/application~1json/schema", []byte(sent))
	}
	return nil
}

// validate holds JSON to the schema at a place of the description.
func (d *described) validate(at string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.schemas.Compile("openapi.yaml#" + at)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// Every route is described with its role and parameters, and everything that
// is described is served.
func TestDescriptionIsOfTheRoutes(t *testing.T) {
	d := description(t)
	served := map[string]bool{}
	for _, rt := range routes() {
		name := rt.method + " " + rt.path
		served[name] = true
		op, ok := d.paths[rt.path][rt.method]
		if !ok {
			t.Errorf("%s is not described", name)
			continue
		}
		role := rt.role.String()
		if rt.operator {
			role = "operator"
		}
		if rt.open {
			role = ""
		}
		status := rt.status
		if status == 0 {
			status = http.StatusOK
		}
		if op.Role != role || (op.Security != nil) != rt.open || op.ForUsers != rt.forUsers || len(op.Parameters) != len(rt.query) || op.Responses[fmt.Sprint(status)] == nil {
			t.Errorf("%s is described as %+v", name, op)
		}
	}
	for path, ops := range d.paths {
		for method := range maps.Keys(ops) {
			if !served[method+" "+path] {
				t.Errorf("%s %s is not served", method, path)
			}
		}
	}
}

// The checks above see what is wrong.
func TestDescriptionChecks(t *testing.T) {
	d := description(t)
	const at = "/components/schemas/Problem"
	if err := d.validate(at, []byte(`{"type":"about:blank","title":"x","status":404,"detail":"y"}`)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{
		`{"type":"about:blank","title":"x","status":404}`,
		`{"type":"about:blank","title":"x","status":"404","detail":"y"}`,
		`{"type":"about:blank","title":"x","status":404,"detail":"y","more":1}`,
	} {
		if d.validate(at, []byte(wrong)) == nil {
			t.Errorf("%s passes", wrong)
		}
	}
	if d.validate("/components/schemas/Time", []byte(`"yesterday"`)) == nil {
		t.Error("formats are not looked at")
	}
}
