package registry

import (
	"bytes"
	"fmt"
	"testing"
)

// TestExportKeepsEveryCharacter exports characters that YAML refuses or folds, and that a client may have because JSON
// allows them.
func TestExportKeepsEveryCharacter(t *testing.T) {
	for _, r := range []rune{'\t', '\n', '\r', 0x01, 0x1b, 0x7f, 0x80, 0x85, 0x9b, 0x9f, 0xa0, 0xad, 0x2028, 0x2029, 0x202e, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600} {
		t.Run(fmt.Sprintf("%U", r), func(t *testing.T) {
			client := &Client{ID: "c", Description: "x", Attributes: map[string]any{"n": "a" + string(r) + "b", "edge": string(r)}}
			var file bytes.Buffer
			err := Export(&file, "yaml", nil, func(yield func(*Client, error) bool) { yield(client, nil) })
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := Parse("registry.yaml", file.Bytes())
			if err != nil {
				t.Fatalf("%v\n%s", err, file.Bytes())
			}
			got, err := snapshot.Client(t.Context(), "c")
			if err != nil {
				t.Fatal(err)
			}
			if VersionOf(got) != VersionOf(client) {
				t.Errorf("%q became %q", client.Attributes, got.Attributes)
			}
		})
	}
}
