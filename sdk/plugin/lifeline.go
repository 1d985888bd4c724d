package plugin

import (
	"io"
	"os"
	"strconv"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// watchLifeline exits when the broker is gone, however it ended: nobody is left
// to end this process. Without a lifeline it does nothing.
func watchLifeline() {
	fd, err := strconv.Atoi(os.Getenv(pluginpb.LifelineEnv))
	if err != nil || fd <= 2 {
		return
	}
	closeOnExec(fd)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	if lifeline == nil {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(exitDone)
	}()
}
