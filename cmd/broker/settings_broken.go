package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
)

// loadToAsk is loadForCommand for a command that wants a running broker most of
// all. Where the file is wrong, and a broker runs on the data_dir that it says,
// it warns and returns that with the defaults: the broker has its config already.
// broken is then what is wrong, and the error of whatever needs more than the
// broker.
func (p *program) loadToAsk(ctx context.Context) (c config.Config, broken, err error) {
	loaded, err := p.loadForCommand()
	if err == nil {
		return loaded.Config, nil, nil
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		return c, nil, err
	}
	o, optionsErr := p.options()
	if optionsErr != nil {
		return c, nil, optionsErr
	}
	o, sure := config.PlaceOnly(o)
	if !sure {
		return c, nil, err
	}
	place, placeErr := loadKeyless(o)
	if placeErr != nil { // it is not the file alone, and the first error says it
		return c, nil, err
	}
	running, dialErr := control.Dial(ctx, place.Config.DataDir)
	if dialErr != nil {
		return c, nil, err
	}
	running.Close()
	more := ""
	if n := len(problems) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more, see broker config check)", n)
	}
	fmt.Fprintf(p.err, "broker: warning: %s%s; the broker that runs on %s goes on with the config before. Asking it.\n", problems[0], more, place.Config.DataDir)
	return place.Config, err, nil
}
