package watch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Modes of a watch.
const (
	Hash   = "hash"   // of the body
	JSON   = "json"   // a part of the body
	Status = "status" // the status of the answer
)

// valueBytes is how long a value may be; what is longer is cut.
const valueBytes = 1024

var (
	errNoJSON = errors.New("the answer is no JSON")
	errEmpty  = errors.New("what it extracts is an empty text")
)

// valueOf returns what a watch compares. It is never empty.
func valueOf(mode, extract string, a *Answer) (string, error) {
	switch {
	case mode == Status:
		return strconv.Itoa(a.Status), nil
	case a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError:
		return "", fmt.Errorf("the answer has status %d", a.Status)
	case mode == JSON && extract != "":
		return extracted(a.Body, extract)
	}
	sum := sha256.Sum256(a.Body)
	return hex.EncodeToString(sum[:8]), nil
}

// extracted returns the part of a body of JSON that a path leads to: names and
// indexes with full stops in between, behind a $ or none. A text is returned as it
// is, anything else as JSON; null where there is nothing.
func extracted(body []byte, path string) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var at any
	if err := dec.Decode(&at); err != nil {
		return "", errNoJSON
	}
	path = strings.TrimPrefix(strings.TrimPrefix(path, "$"), ".")
	if path != "" {
		for step := range strings.SplitSeq(path, ".") {
			at = stepInto(at, step)
		}
	}
	text, ok := at.(string)
	if !ok {
		b, err := json.Marshal(at)
		if err != nil {
			return "", errNoJSON
		}
		text = string(b)
	}
	text = strings.ReplaceAll(cut(text), "\x00", "\uFFFD")
	if text == "" {
		return "", errEmpty
	}
	return text, nil
}

func stepInto(at any, step string) any {
	switch at := at.(type) {
	case map[string]any:
		return at[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(at) {
			return at[i]
		}
	}
	return nil
}

// cut shortens a text to valueBytes, and to whole characters.
func cut(text string) string {
	if len(text) <= valueBytes {
		return text
	}
	end := valueBytes
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// CheckNotify reports what is wrong with the condition of a watch.
func CheckNotify(on string) error {
	if on == "change" || strings.HasPrefix(on, "match:") || strings.HasPrefix(on, "not_match:") {
		return nil
	}
	return errors.New("want change, match: and a value, or not_match: and a value")
}

// triggers reports whether a condition is met by a value that follows another one.
func triggers(on, old, now string) bool {
	if want, ok := strings.CutPrefix(on, "match:"); ok {
		return now == want && old != want
	}
	if want, ok := strings.CutPrefix(on, "not_match:"); ok {
		return old == want && now != want
	}
	return old != now
}
