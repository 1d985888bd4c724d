package plugin

import (
	"context"
	"log/slog"
)

// LoggerForTest returns what Serve makes the default logger, for the stage
// whose Handle got ctx.
func LoggerForTest(ctx context.Context) *slog.Logger {
	return instanceOf(ctx).service.log
}
