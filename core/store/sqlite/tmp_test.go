package sqlite

import (
	"fmt"
	"github.com/claudemesh/broker/core/store"
	"slices"
	"testing"
	"time"
)

func TestTmpLatency(t *testing.T) {
	for _, pages := range []int{1000, 4000} {
		for _, d := range []Durability{Power, Process} {
			s := fresh(t, Options{Durability: d})
			s.write.Exec(fmt.Sprintf("PRAGMA wal_autocheckpoint=%d", pages))
			tr := &traffic{ordered: true}
			var b store.Batch
			var all []time.Duration
			for range 600 {
				tr.batch(&b, 50)
				x := time.Now()
				if err := s.Commit(t.Context(), &b); err != nil {
					t.Fatal(err)
				}
				all = append(all, time.Since(x))
			}
			slices.Sort(all)
			fmt.Println(pages, d, all[300], all[570], all[590], all[598], all[599])
		}
	}
}
