package legacyauth

import (
	"fmt"
	"time"
)

// Options are the stage's options.
type Options struct {
	Sunset string `koanf:"sunset" doc:"the day, as YYYY-MM-DD, that callers are told the shim ends on. It ends when the operator switches it off, and not by itself"`
}

// DefaultOptions are the options of a link without any.
func DefaultOptions() Options { return Options{Sunset: "2026-05-15"} } // the original's

// Validate returns what is wrong with the options.
func (o Options) Validate() error {
	if _, err := time.Parse(time.DateOnly, o.Sunset); err != nil {
		return fmt.Errorf("sunset must be a day such as 2026-05-15; got %q", o.Sunset)
	}
	return nil
}
