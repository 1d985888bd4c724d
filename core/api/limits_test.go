package api

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// TestPageLimits holds what docs/http.md says of limits that no config has.
func TestPageLimits(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	grouped := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	for _, want := range []string{
		fmt.Sprintf("| sign-ins that are begun: %d a minute of one address; in %g minutes %d of one /%d (IPv6: /%d), %s of all, and %d of this machine |",
			begunPerAddress, signInTTL.Minutes(), begunPerRegion, regionBits4, regionBits6, grouped(begunFromAway), begunHere),
		fmt.Sprintf("| %d good tokens of one account", store.MaxTokens),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/http.md does not say %s", want)
		}
	}
}
