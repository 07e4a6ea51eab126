package infra

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/csvfile"
	"tenure/core/files/directory"
	"tenure/core/resource"
	"tenure/core/uploads"
)

// TestUploadsGetByWithWhatTheirRolesAllow has files of all families uploaded by the
// console, and checked and applied by the function, each confined to the
// partitions of its role.
func TestUploadsGetByWithWhatTheirRolesAllow(t *testing.T) {
	store := openStore(t)
	in, err := directory.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	by := func(function string) *uploads.Store {
		on := confine(store, function, func(what string) { t.Errorf("denied: %s", what) })
		log := calls.New(on, apiFunctions(), calls.Options{Expire: true})
		return uploads.New(uploads.Config{
			Table: on, Files: in, Access: access.New(on, nil), Families: catalog.All(),
			Engine: resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: 16}),
			Start:  func(context.Context, string, string) error { return nil },
			Record: func(ctx context.Context, workspace string, c calls.Call) {
				if err := log.Record(ctx, workspace, c); err != nil {
					t.Error(err)
				}
			},
		})
	}
	console, function := by(consoleFunction), by(uploadsFunction)
	run := func(id string) uploads.Upload {
		t.Helper()
		if more, err := function.Run(t.Context(), "acme", id); more || err != nil {
			t.Fatalf("%v, %v", more, err)
		}
		u, err := console.Get(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, f := range catalog.All() {
		var header, example, empty []string
		for _, c := range csvfile.Columns(f) {
			if c.Name == "account_id" {
				c.Example = "a1"
			}
			header, example, empty = append(header, c.Name), append(example, c.Example), append(empty, "")
		}
		empty[0] = "x"
		var text strings.Builder
		file := csvfile.NewWriter(&text, ',')
		if err := errors.Join(file.Write(header...), file.Write(example...), file.Write(empty...), file.Flush()); err != nil {
			t.Fatal(err)
		}
		u, err := console.Create(t.Context(), "acme", "ann@example.com", f.Schema.Name, uploads.Options{IgnoreMissingAccounts: true})
		if err == nil {
			err = console.Receive(t.Context(), "acme", u.ID, strings.NewReader(text.String()))
		}
		if err == nil {
			_, err = console.Check(t.Context(), "acme", u.ID, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		if u = run(u.ID); u.State != uploads.Checked {
			t.Fatalf("%s: %+v, %+v", f.Schema.Name, u, u.Why)
		}
		if _, err := console.Apply(t.Context(), "acme", u.ID); err != nil {
			t.Fatal(err)
		}
		if u = run(u.ID); u.State != uploads.Done || u.Apply.Applied() != 1 || u.Apply.Failed != 1 {
			t.Errorf("%s: %+v", f.Schema.Name, u)
		}
		write, err := console.Rejected(t.Context(), "acme", u.ID)
		if err == nil {
			err = write(io.Discard)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if list, err := console.List(t.Context(), "acme", "", 100); err != nil || len(list) != len(catalog.All()) {
		t.Errorf("%d uploads, %v", len(list), err)
	}
	u, err := console.Create(t.Context(), "acme", "ann@example.com", "notes", uploads.Options{})
	if err == nil {
		_, err = console.Cancel(t.Context(), "acme", u.ID)
	}
	if err != nil {
		t.Error(err)
	}
}
