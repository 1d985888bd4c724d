package core

import "fmt"

// Shown is what the text of a refusal may repeat of a text that somebody sent: 8
// characters, in quotes. It may be anything that was pasted in the wrong place,
// such as a token, and the texts of refusals are kept and shown to operators.
func Shown(text string) string {
	const most = 8
	n := 0
	for i := range text {
		if n++; n > most {
			return fmt.Sprintf("%+q…", text[:i])
		}
	}
	return fmt.Sprintf("%+q", text)
}
