package main

import (
	"encoding/json"
	"io"
)

// printJSON writes v for a machine that a person may look over the shoulder of: indented, with < and & as they are.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
