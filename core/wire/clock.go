package wire

import "time"

// EventTick says how late it is in the simulated time of the mesh.
const EventTick = "tick"

// SetClock starts the simulated time of the mesh, or changes how fast it runs.
// Every session of the mesh gets the event tick while it runs, at each tick but not
// more often than every five seconds, or four while the speed is changed. Its answer is a [ClockStatus]. Errors:
// invalid; forbidden.
type SetClock struct {
	Speed *float64 `json:"speed,omitzero" doc:"simulated seconds a second, taken as 1 to 100; 1 when absent or 0"`
}

// FrameType returns set_clock.
func (SetClock) FrameType() string { return "set_clock" }

// PauseClock stops the simulated time of the mesh. Its answer is a [ClockStatus].
// Errors: no_clock; forbidden.
type PauseClock struct{}

// FrameType returns pause_clock.
func (PauseClock) FrameType() string { return "pause_clock" }

// ResumeClock lets the simulated time of the mesh go on. Its answer is a
// [ClockStatus]. Errors: no_clock; forbidden.
type ResumeClock struct{}

// FrameType returns resume_clock.
func (ResumeClock) FrameType() string { return "resume_clock" }

// GetClock asks for the simulated time of the mesh. Its answer is a [ClockStatus].
type GetClock struct{}

// FrameType returns get_clock.
func (GetClock) FrameType() string { return "get_clock" }

// ClockStatus answers a [SetClock], a [PauseClock], a [ResumeClock] and a
// [GetClock].
type ClockStatus struct {
	Speed     float64   `json:"speed" doc:"simulated seconds a second; 0 where the mesh has no clock"`
	Paused    bool      `json:"paused" doc:"true: it does not run. The broker pauses it when nobody of the mesh is connected"`
	Tick      int64     `json:"tick" doc:"simulated minutes since it was started"`
	SimTime   time.Time `json:"simTime" doc:"the simulated time at that tick; now where there is no clock"`
	StartedAt time.Time `json:"startedAt" doc:"when it was started; now where there is no clock"`
	Error     string    `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns clock_status.
func (ClockStatus) FrameType() string { return "clock_status" }

// Tick is the eventData of the event tick.
type Tick struct {
	Tick    int64     `json:"tick" doc:"simulated minutes since the clock was started"`
	SimTime time.Time `json:"simTime" doc:"the simulated time"`
	Speed   float64   `json:"speed" doc:"simulated seconds a second"`
}
