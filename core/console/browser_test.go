package console

import "testing"

func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	t.Run("shots", func(t *testing.T) {
		r := open(t, busy(70))
		tb := newTab(t, b, r)
		tb.signIn()
		tb.await(`document.querySelector("#live").dataset.state === "on"`)
		tb.await(`document.querySelectorAll("#links .curve polyline").length > 5 && document.querySelector("#links .curve polyline").points.length > 4`)
		tb.shoot("full-light")
		tb.scheme("dark")
		tb.shoot("full-dark")
		tb.size(360, 800)
		tb.shoot("full-narrow-dark")
		tb.scheme("light")
		tb.shoot("full-narrow-light")
		e := open(t, empty())
		te := newTab(t, b, e)
		te.run()
		te.signIn()
		te.await(`document.querySelector("#live").dataset.state === "on"`)
		te.shoot("empty-light")
		te.scheme("dark")
		te.shoot("empty-dark")
	})
}
