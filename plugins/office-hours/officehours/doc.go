// Package officehours is a stage that keeps messages away from people outside
// their hours.
//
// A [Timetable] says when a group, or everybody, may be disturbed. What comes
// at another time is held back until the next opening, or refused with the time
// of it. Messages of priority now are never looked at.
package officehours
