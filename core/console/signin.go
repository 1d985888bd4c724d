package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/edge"
)

// visitKey is where a request's context has its visit, nil for a bearer token.
type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// signedIn calls next for who has a visit or brings the token, sends browsers to
// the form, and refuses programs.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if token, ok := hasBearer(r); ok {
		switch ok, wait := s.doors.fits(token, edge.Address(r)); {
		case ok:
			s.places.known(w, r)
			next(w, r)
		case wait > 0:
			s.tooMany(w, r, wait)
		default:
			s.unauthorized(w, r, "the token is not this console's: broker console prints it")
		}
		return
	}
	if v := s.doors.visit(r, time.Now()); v != nil {
		next(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
		return
	}
	if wantsPage(r) {
		http.Redirect(w, r, base+"signin", http.StatusSeeOther)
		return
	}
	s.unauthorized(w, r, "sign in at "+base+"signin, or send the token as Authorization: Bearer")
}

func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="console"`)
	s.refuse(w, r, http.StatusUnauthorized, text)
}

func (s *Server) tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	w.Header().Set("Retry-After", seconds(wait))
	s.refuse(w, r, http.StatusTooManyRequests, tooManyText(wait))
}

func tooManyText(wait time.Duration) string {
	return fmt.Sprintf("too many wrong tokens came from your address: wait %s s", seconds(wait))
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// signInView is what the form says.
type signInView struct {
	Asset assets
	Wrong string // why the last try failed
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) {
	if s.doors.visit(r, time.Now()) != nil {
		http.Redirect(w, r, base, http.StatusSeeOther)
		return
	}
	s.page.write(w, http.StatusOK, "signin", signInView{Asset: s.page.assets}, s.log)
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	ok, wait := s.doors.fits(strings.TrimSpace(r.PostForm.Get("token")), edge.Address(r))
	if !ok {
		status, text := http.StatusUnauthorized, "That is not the token. The command “broker console” prints it."
		if wait > 0 {
			w.Header().Set("Retry-After", seconds(wait))
			status, text = http.StatusTooManyRequests, "Too many wrong tokens came from your address. Wait "+seconds(wait)+" s."
		}
		s.page.write(w, status, "signin", signInView{Asset: s.page.assets, Wrong: text}, s.log)
		return
	}
	s.places.known(w, r)
	s.setCookie(w, r, s.doors.enter(time.Now()), int(visitFor/time.Second))
	http.Redirect(w, r, base, http.StatusSeeOther)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.doors.leave(r)
	s.setCookie(w, r, "", -1)
	http.Redirect(w, r, base+"signin", http.StatusSeeOther)
}

// setCookie sets the visit's cookie for so many seconds, or takes it away. Behind
// a proxy with TLS it travels by TLS only; a caller that lies about that harms
// itself.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.doors.cookie, Value: value, Path: "/console", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	})
}
