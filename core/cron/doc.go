// Package cron reads crontab expressions and says when they come next, on the
// clock of a time zone.
//
// A library parses the fields and searches among dates; what happens where a
// zone's clock jumps is decided here. Nothing in it waits or has a clock.
package cron
