package app

import (
	"maps"
	"net/http"

	"github.com/claudemesh/broker/core/api/landing"
	"github.com/claudemesh/broker/core/api/pages"
	"github.com/claudemesh/broker/core/config"
)

// pages returns what people see who open the broker's links in a browser.
func (a *App) pages(c config.Config) map[string]http.Handler {
	all := pages.Handlers()
	maps.Copy(all, landing.Handlers(func() string { return c.HTTP.Links(a.url()) }, a.url))
	return all
}
