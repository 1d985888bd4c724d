package console

import (
	"net/http"
	"testing"
)

func TestPage(t *testing.T) {
	r := open(t, busy(70))
	r.enter()
	a := r.get("/console/")
	if a.StatusCode != 200 {
		t.Fatal(a.Status, a.body)
	}
	t.Log(len(a.body))
	_ = http.StatusOK
}
