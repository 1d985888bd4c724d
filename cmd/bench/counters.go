package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// counters are what brokers count themselves.
type counters struct{ commits, direct, drained int64 }

// byName finds a counter by its name in the brokers' metrics.
func (c *counters) byName() map[string]*int64 {
	return map[string]*int64{
		"broker_commits_total":            &c.commits,
		"broker_deliveries_direct_total":  &c.direct,
		"broker_deliveries_drained_total": &c.drained,
	}
}

// readCounters adds up the counters of all brokers. A relay has none.
func (f *fleet) readCounters() (sum counters, err error) {
	if !f.dialect.acks() {
		return sum, nil
	}
	for _, addr := range f.addrs {
		if err := sum.add(addr); err != nil {
			return sum, fmt.Errorf("metrics of the broker: %w", err)
		}
	}
	return sum, nil
}

// add adds the counters of one broker.
func (c *counters) add(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return err
	}
	// The connection is not kept: it would be the broker's to close.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	fields := c.byName()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := fields[name]; to != nil {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*to += n
		}
	}
	return lines.Err()
}
