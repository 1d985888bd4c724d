// Package celpolicy is a stage that judges envelopes by rules of its operator,
// written in the Common Expression Language.
//
// The rules are asked in their order, and the first whose expression is true
// decides. They are compiled once, when they are read; a change of their file is
// seen within a second or so, and a file that is wrong changes nothing.
package celpolicy
