package tracing

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSampling reads what OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say,
// over a ratio from the config. An empty name leaves the ratio, and follows the
// sender. The names are those of the OpenTelemetry specification.
func ParseSampling(name, arg string, ratio float64) (Sampling, error) {
	base, follow := strings.CutPrefix(name, "parentbased_")
	s := Sampling{Ratio: ratio, Follow: follow}
	switch base {
	case "":
		s.Follow = true
	case "always_on":
		s.Ratio = 1
	case "always_off":
		s.Ratio = 0
	case "traceidratio":
		s.Ratio = 1 // as the specification says of an argument that is missing
		if arg == "" {
			break
		}
		v, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return s, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; got %q", arg)
		}
		s.Ratio = v
	default:
		return s, fmt.Errorf("OTEL_TRACES_SAMPLER must be always_on, always_off, traceidratio, or one of these behind parentbased_; got %q", name)
	}
	return s, nil
}
