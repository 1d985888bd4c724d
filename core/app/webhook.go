package app

// links returns the base of the broker's URLs, without a slash at the end.
func (a *App) links() string { return a.Config().HTTP.Links(a.url()) }
