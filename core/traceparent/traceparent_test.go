package traceparent_test

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/traceparent"
)

const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		is   bool
	}{
		"version 00":                {good, true},
		"ids of zeros, for Parse":   {"00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-00", true},
		"a later one may be longer": {"01" + good[2:] + "-more", true},
		"up to a length":            {good + "-" + strings.Repeat("x", traceparent.MaxSize-traceparent.Size-1), true},
		"and no more":               {good + "-" + strings.Repeat("x", traceparent.MaxSize-traceparent.Size), false},
		"nothing":                   {"", false},
		"one digit short":           {good[:len(good)-1], false},
		"one too many":              {good + "0", false},
		"capitals":                  {strings.ToUpper(good), false},
		"no digits":                 {strings.Replace(good, "0af", "0ag", 1), false},
		"a dash in a wrong place":   {strings.Replace(good, "0af7651", "0af-651", 1), false},
		"none where one has to be":  {strings.Replace(good, "c-b", "c0b", 1), false},
		"an end of a line":          {good + "-a\nb", false},
		"no ASCII":                  {good + "-ä", false},
	} {
		if got := traceparent.Checked(tt.text); got != "" && got != tt.text || (got != "") != tt.is {
			t.Errorf("%s: %q becomes %q", name, tt.text, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		ok   bool
		flag bool
	}{
		"sampled":          {good, true, true},
		"not sampled":      {good[:53] + "00", true, false},
		"other flags":      {good[:53] + "fe", true, false},
		"all flags":        {good[:53] + "ff", true, true},
		"a later version":  {"cc" + good[2:] + "-what-the-future-will-be-like", true, true},
		"version ff":       {"ff" + good[2:], false, true},
		"no trace":         {"00-" + strings.Repeat("0", 32) + good[35:], false, true},
		"no span":          {good[:36] + strings.Repeat("0", 16) + good[52:], false, true},
		"nothing":          {"", false, false},
		"none, unchecked":  {strings.Repeat("x", 55), false, false},
		"short, unchecked": {good[:54], false, false},
	} {
		c, ok := traceparent.Parse(tt.text)
		if ok != tt.ok || ok && c.Sampled != tt.flag {
			t.Errorf("%s: %q is %+v, %v", name, tt.text, c, ok)
		}
		if traceparent.Checked(tt.text) != "" && traceparent.Sampled(tt.text) != tt.flag {
			t.Errorf("%s: of %q, sampled is not %v", name, tt.text, tt.flag)
		}
	}
}

// FuzzParse holds that what is read is written again as it was, as far as version
// 00 knows it, and that the short look at the flag is the long one.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{good, good[:53] + "00", "01" + good[2:] + "-more", "ff" + good[2:], strings.Repeat("0", 55), ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := traceparent.Parse(traceparent.Checked(text))
		if !ok {
			return
		}
		again := c.String()
		if again[2:53] != text[2:53] || traceparent.Checked(again) == "" {
			t.Errorf("%q is written as %q", text, again)
		}
		if c.Sampled != traceparent.Sampled(text) || c.Sampled != traceparent.Sampled(again) {
			t.Errorf("%q is sampled: %v, then %q", text, c.Sampled, again)
		}
	})
}
