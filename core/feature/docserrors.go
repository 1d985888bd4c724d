package feature

import (
	"fmt"
	"strings"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

const errorsHead = `# Errors

<!-- Made from core/feature and core/wire. Change it there; refresh it with: go test ./core/feature -update -->

A refusal has a code, which is the same word in an ` + "`error`" + ` frame, in metrics and in the audit log. The text that comes
with it is prose for people and may change. Stages and plugins of the operator may add codes of their own.
`

// ErrorsDoc returns docs/errors.md: every code and every way in which the
// broker closes a connection.
func ErrorsDoc() []byte {
	var b strings.Builder
	b.WriteString(errorsHead)
	for _, g := range reasons() {
		fmt.Fprintf(&b, "\n## %s\n", g.title)
		if g.note != "" {
			fmt.Fprintf(&b, "\n%s\n", g.note)
		}
		b.WriteString("\n| code | what is wrong | what to do |\n| --- | --- | --- |\n")
		for _, r := range g.reasons {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.code, r.meaning, r.do)
		}
	}
	b.WriteString("\n## Close codes\n\n| code | reason | why | connect again |\n| --- | --- | --- | --- |\n")
	refused := wire.Refused(sdk.ReasonUnauthorized)
	refused.Reason = "a code from above"
	for _, c := range append(wire.Closes(), refused) {
		again := "no"
		if c.Return {
			again = "yes"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", c.Code, c.Reason, c.Meaning, again)
	}
	return []byte(b.String())
}
