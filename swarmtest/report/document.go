package report

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The formats of the JSON files. A reader refuses others; new keys do not
// change them.
const (
	runFormat        = "shoal-run-1"
	replicasFormat   = "shoal-replicas-1"
	comparisonFormat = "shoal-comparison-1"
	sweepFormat      = "shoal-sweep-1"
)

// runDocument is run.json.
type runDocument struct {
	Format string `json:"format"`
	*Summary
	// Scenario is the resolved scenario as TOML.
	Scenario string `json:"scenario"`
}

// encode returns the JSON of a document, indented, with a newline at its end.
func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return b.Bytes(), err
}

// decode reads the JSON of a document that must be of a format.
func decode(text []byte, format string, document any) error {
	var header struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return err
	}
	if header.Format != format {
		return fmt.Errorf("its format is %q, expected %q", header.Format, format)
	}
	return json.Unmarshal(text, document)
}
