package pluginhost

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A schema comes from the plugin: it names no file for the broker to open. The
// pipe here would never end to be read.
func TestSchemasOpenNothing(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]string{
		"a file by its address": fmt.Sprintf(`{"$ref": "file://%s"}`, pipe),
		"a file beside it":      `{"$ref": "other.json"}`,
		"a page":                `{"$ref": "https://example.com/schema.json"}`,
		"a schema of schemas":   fmt.Sprintf(`{"$schema": "file://%s"}`, pipe),
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() { done <- checkSchema("drill", []byte(schema), []byte(`{}`)) }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), "nothing beside itself") {
					t.Errorf("error %v, want it to say that a schema has nothing beside itself", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("the broker waits for what the plugin's schema names")
			}
		})
	}
}

// What a schema may name is in it, or is one of the drafts.
func TestSchemasReferToThemselves(t *testing.T) {
	const schema = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$defs": {"word": {"type": "string"}},
		"properties": {"a": {"$ref": "#/$defs/word"}, "b": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}
	}`
	if err := checkSchema("drill", []byte(schema), []byte(`{"a": "x", "b": {"type": "string"}}`)); err != nil {
		t.Error(err)
	}
	if err := checkSchema("drill", []byte(schema), []byte(`{"a": 7}`)); err == nil || !strings.Contains(err.Error(), "drill: with.a") {
		t.Errorf("error %v, want one about with.a", err)
	}
}
