package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
)

// table prints rows under a head, in columns.
func table(w io.Writer, head string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(head, " ", "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// printable makes one line of a text that somebody else wrote, in which nothing
// can move the cursor, change colours, or pretend to be the next line.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// writeJSON is the one way in which commands print JSON: a line, or indented. It
// is read by people too, and peers choose names that are in it: what does not
// print is escaped, in texts, where JSON has it alone.
func writeJSON(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range text.String() {
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func quoted(text string) string { return strconv.Quote(text) }

// short is the beginning of a key, enough to tell it by.
func short(key fmt.Stringer) string { return key.String()[:16] }

// at is a time for people.
func at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// days is a flag that takes a duration, in days too: 7d.
type days time.Duration

func (d *days) String() string {
	if t := time.Duration(*d); t%(24*time.Hour) == 0 && t > 0 {
		return strconv.FormatInt(int64(t/(24*time.Hour)), 10) + "d"
	}
	return time.Duration(*d).String()
}

// Set reads 7d, 36h, 90m.
func (d *days) Set(text string) error {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		whole, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return fmt.Errorf("want a number of days such as 7d, or a duration such as 12h")
		}
		*d = days(time.Duration(whole) * 24 * time.Hour)
		return nil
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("want a duration such as 7d, 12h or 30m")
	}
	*d = days(t)
	return nil
}

// Type names the flag's value in the help.
func (d *days) Type() string { return "duration" }
