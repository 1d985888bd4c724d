package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/sdk"
)

// healthBytes is the most that is read of an answer.
const healthBytes = 64 << 10

// healthQuestion says whom to ask, and what.
type healthQuestion struct {
	url     string // http or https; empty: the broker of the configuration
	ready   bool   // whether it should get traffic, rather than whether it lives
	timeout time.Duration
}

// healthAnswer is what a health route said, as --json prints it.
type healthAnswer struct {
	URL    string          `json:"url"` // that was asked
	OK     bool            `json:"ok"`
	Status int             `json:"status"` // of HTTP
	Answer json.RawMessage `json:"answer"` // the body
}

func (p *program) healthCommand() *cobra.Command {
	var q healthQuestion
	var asJSON bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a broker whether it lives, or whether it is ready",
		Long: `Asks the health route of a broker on this machine: exit 0 when it answers 200, else 1.
The port is that of the broker that runs on the data directory, or, where none says so,
that of the configuration or BROKER_PORT; --url asks another broker.

Without --ready the question is whether the process lives, which it does also while its
database is away. That is what decides about a restart, which cuts every peer. With --ready
it is whether the broker should get new connections, which is what a load balancer asks.`,
		Example: "  broker health                   is the broker on this machine alive?\n" +
			"  broker health --ready --json\n" +
			"  broker health --url https://mesh.example.org --timeout 2s",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := p.askHealth(c.Context(), q)
			if err != nil {
				return err
			}
			return p.printHealth(answer, asJSON)
		},
	}
	c.Flags().StringVar(&q.url, "url", "", "http or https URL of the broker, without a path (default: the broker on the data directory, else the port of the configuration, on this machine)")
	c.Flags().BoolVar(&q.ready, "ready", false, "ask whether the broker should get traffic")
	c.Flags().DurationVar(&q.timeout, "timeout", 5*time.Second, "how long to wait for the answer")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// askHealth asks once. An error means that there was no answer.
func (p *program) askHealth(ctx context.Context, q healthQuestion) (*healthAnswer, error) {
	if q.timeout <= 0 {
		return nil, usageError{"--timeout must be above 0, such as 5s"}
	}
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	base, err := p.healthBase(ctx, q.url)
	if err != nil {
		return nil, err
	}
	answer := &healthAnswer{URL: base + "/health"}
	if q.ready {
		answer.URL += "/ready"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, answer.URL, nil)
	if err != nil {
		return nil, err
	}
	// No proxy: this very broker is asked, and a proxy would answer for it.
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, noAnswer(answer.URL, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, healthBytes))
	if err != nil {
		return nil, noAnswer(answer.URL, err)
	}
	if !json.Valid(body) {
		return nil, core.Refuse(sdk.ReasonUnavailable, answer.URL+" answers "+resp.Status+" and no JSON: that is no broker")
	}
	answer.Status, answer.OK, answer.Answer = resp.StatusCode, resp.StatusCode == http.StatusOK, body
	return answer, nil
}

func noAnswer(url string, err error) error {
	return &core.Error{Code: sdk.ReasonUnavailable, Err: err, Message: "no answer from " + url + ": is the broker running, and is this its port?"}
}

// healthBase returns the URL in front of the health routes.
func (p *program) healthBase(ctx context.Context, text string) (string, error) {
	if text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", usageError{"--url takes an http or https URL, such as http://127.0.0.1:7900; got " + quoted(text)}
		}
		return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), nil
	}
	c, broken, err := p.loadToAsk(ctx)
	if err != nil {
		return "", err
	}
	local := localURL(c.Listen)
	running, err := control.Dial(ctx, c.DataDir)
	switch {
	case err == nil:
		running.Close()
		local = cmp.Or(running.About().LocalURL, local) // an older broker does not say
	case broken != nil:
		return "", broken
	}
	if strings.HasSuffix(local, ":0/ws") {
		return "", usageError{"the configuration says port 0, which is another one at each start, and no broker answers on " + c.DataDir + ": give --data-dir or --url"}
	}
	u, err := url.Parse(local)
	if err != nil {
		return "", err
	}
	return "http://" + u.Host, nil
}

// printHealth prints an answer, and fails unless it is a good one.
func (p *program) printHealth(a *healthAnswer, asJSON bool) error {
	if asJSON {
		if err := p.json(a); err != nil {
			return err
		}
		if !a.OK {
			return errSaid
		}
		return nil
	}
	if !a.OK {
		return core.Refuse(sdk.ReasonUnavailable, fmt.Sprintf("%s answers %d: %s", a.URL, a.Status, printable(string(a.Answer))))
	}
	_, err := fmt.Fprintf(p.out, "ok %s\n", printable(string(a.Answer)))
	return err
}
