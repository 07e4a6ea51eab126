package embedded_test

import (
	"context"
	"testing"

	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/table/tabletest"
)

func TestContract(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, clock *tabletest.Clock) tabletest.Harness {
		store, err := embedded.Open(t.TempDir(), embedded.Options{Now: clock.Now, Feed: everything})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		return tabletest.Harness{
			Table: store,
			Changes: func(ctx context.Context) ([]table.Change, error) {
				return store.Changes(ctx, "", 1<<20)
			},
		}
	})
}

// everything lets the change feed tell of all items.
func everything(table.Key) bool { return true }
