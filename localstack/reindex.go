package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
)

// lookupsKey is the item that says by which values the records of the store have
// pointers. It belongs to no workspace.
var lookupsKey = table.Key{Partition: "~lookups", Sort: "written"}

// reindex writes the pointers that the records of a store from before lack, once:
// all that is written later has them. It is done again when there is another
// lookup.
func reindex(ctx context.Context, store table.Table, keys *access.Store, engine *resource.Engine, out io.Writer) error {
	var lookups []string
	for _, f := range catalog.All() {
		for _, i := range f.Lookups {
			lookups = append(lookups, f.Schema.Name+"."+f.Schema.Fields[i].Name)
		}
	}
	all := strings.Join(lookups, " ")
	items, err := store.Get(ctx, []table.Key{lookupsKey}, true)
	if err != nil || string(items[0].Body) == all {
		return err
	}
	workspaces, err := keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		for _, f := range catalog.All() {
			written, _, err := engine.Reindex(ctx, w, f, "")
			if written > 0 {
				fmt.Fprintf(out, "Lookups     pointers to %s of %s that were missing: %d\n", f.Schema.Name, w, written)
			}
			if err != nil {
				return err
			}
		}
	}
	done := table.Put(table.Item{Key: lookupsKey, Version: items[0].Version + 1, Body: []byte(all)}, table.Condition{})
	return errors.Join(store.Write(ctx, []table.Op{done}, nil)...)
}
