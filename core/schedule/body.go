package schedule

import (
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// errNoKey is why a text cannot be opened.
var errNoKey = errors.New("the broker has no key for it")

// Texts seal the texts of schedules before they are written down.
type Texts struct{ keys *identity.AtRest }

// NewTexts returns what seals with keys; nil leaves texts as they are.
func NewTexts(keys *identity.AtRest) Texts { return Texts{keys} }

// Put gives a schedule its text.
func (t Texts) Put(row *store.Schedule, text string) {
	if t.keys == nil {
		row.Form, row.Body = store.SchedulePlain, text
		return
	}
	row.Form, row.Body = store.ScheduleAtRest, t.keys.SealFor(identity.ScheduleAtRest, row.ID, []byte(text))
}

// Get returns the text of a schedule; empty for one that its creator sealed, and
// one that has none any more.
func (t Texts) Get(row *store.Schedule) (text string, err error) {
	switch {
	case row.Body == "" || row.Form == store.SchedulePeer:
		return "", nil
	case row.Form == store.SchedulePlain:
		return row.Body, nil
	case t.keys == nil:
		return "", errNoKey
	}
	opened, err := t.keys.OpenFor(identity.ScheduleAtRest, row.ID, row.Body)
	if err != nil {
		return "", fmt.Errorf("text of a schedule: %w", err)
	}
	return string(opened), nil
}
