package bus_test

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/bus"
)

func TestValidSubject(t *testing.T) {
	tests := []struct {
		name, subject string
		want          bool
	}{
		{"it takes one token", "presence", true},
		{"it takes several tokens", "mesh.4fK_x-9.key", true},
		{"it takes the longest", strings.Repeat("a", 255), true},
		{"it refuses nothing", "", false},
		{"it refuses what is longer", strings.Repeat("a", 256), false},
		{"it refuses an empty token", "mesh..key", false},
		{"it refuses a dot at the end", "mesh.", false},
		{"it refuses a wildcard", "mesh.*", false},
		{"it refuses what is below", "mesh.>", false},
		{"it refuses a space", "mesh key", false},
		{"it refuses a control subject", "$lost", false},
		{"it refuses a letter that is not ASCII", "méh", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := bus.ValidSubject(tt.subject); got != tt.want {
				t.Errorf("ValidSubject(%q) = %t, want %t", tt.subject, got, tt.want)
			}
		})
	}
}
