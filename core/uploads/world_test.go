package uploads_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/files"
	"tenure/core/files/directory"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
)

const (
	startOfTime = 1_700_000_000_000
	ann         = "ann@example.com"
)

// world is uploads over an embedded store and a directory of the test's own.
type world struct {
	*testing.T
	*uploads.Store
	table *embedded.Table
	files *directory.Store
	clock *resourcetest.Clock

	mu      sync.Mutex
	started []string // what Start was called for
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: resourcetest.NewClock(startOfTime)}
	w.table, w.files = open(t, embedded.Options{Now: w.clock.Now})
	w.Store = w.over(w.table, w.files)
	return w
}

// open opens stores of the test's own.
func open(t testing.TB, o embedded.Options) (*embedded.Table, *directory.Store) {
	t.Helper()
	on, err := embedded.Open(t.TempDir(), o)
	need(t, err)
	in, err := directory.Open(t.TempDir())
	need(t, err)
	t.Cleanup(func() {
		if err := errors.Join(on.Close(), in.Close()); err != nil {
			t.Error(err)
		}
	})
	return on, in
}

// need ends the test unless err is nil.
func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// over returns uploads of the same world, over stores in front of its own, in
// batches of three rows.
func (w *world) over(on table.Table, store files.Store) *uploads.Store {
	s := uploads.New(uploads.Config{
		Table: on, Files: store, Access: access.New(on, w.clock.Now), Families: catalog.All(), Now: w.clock.Now,
		Engine: resource.New(resource.Config{Table: on, Root: catalog.Root, Now: w.clock.Now}),
		Start: func(_ context.Context, workspace, id string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.started = append(w.started, workspace+" "+id)
			return nil
		},
	})
	s.SetBatch(3, 1<<20)
	return s
}

func (w *world) need(err error) {
	w.Helper()
	need(w.T, err)
}

// send makes an upload and has it checked, as far as the next Run.
func (w *world) send(s *uploads.Store, workspace, family, text string, o uploads.Options) string {
	w.Helper()
	u, err := s.Create(w.Context(), workspace, ann, family, o)
	w.need(err)
	w.need(s.Receive(w.Context(), workspace, u.ID, strings.NewReader(text)))
	_, err = s.Check(w.Context(), workspace, u.ID, `C:\data\`+family+".csv")
	w.need(err)
	return u.ID
}

// run calls Run until there is no more to do, and returns the upload then.
func (w *world) run(s *uploads.Store, workspace, id string) uploads.Upload {
	w.Helper()
	for more := true; more; {
		var err error
		more, err = s.Run(w.Context(), workspace, id)
		w.need(err)
	}
	return w.get(workspace, id)
}

func (w *world) get(workspace, id string) uploads.Upload {
	w.Helper()
	u, err := w.Get(w.Context(), workspace, id)
	w.need(err)
	return u
}

// checked is send and run.
func (w *world) checked(workspace, family, text string, o uploads.Options) uploads.Upload {
	w.Helper()
	return w.run(w.Store, workspace, w.send(w.Store, workspace, family, text, o))
}

// apply has a checked upload applied.
func (w *world) apply(s *uploads.Store, workspace, id string) uploads.Upload {
	w.Helper()
	_, err := s.Apply(w.Context(), workspace, id)
	w.need(err)
	return w.run(s, workspace, id)
}

// account returns what a workspace has of an account; "" for none.
func (w *world) account(workspace, id string) string {
	w.Helper()
	records, err := w.Engine.Read(w.Context(), resource.Target{Workspace: workspace, Family: accounts.Family, ID: id})
	w.need(err)
	if len(records) == 0 {
		return ""
	}
	s := accounts.Family.Schema
	return string(s.AppendObject(nil, records[0], s.All()))
}

// rejected returns the file of rejected rows, without its byte order mark.
func (w *world) rejected(workspace, id string) string {
	w.Helper()
	write, err := w.Rejected(w.Context(), workspace, id)
	if refused(err, core.NotFound, "id") {
		return ""
	}
	w.need(err)
	var text bytes.Buffer
	w.need(write(&text))
	plain, _ := strings.CutPrefix(text.String(), "\ufeff")
	return plain
}

func refused(err error, code core.Code, field string) bool {
	failure, ok := errors.AsType[*core.Failure](err)
	return ok && failure.Code == code && failure.Field == field
}

// accountsFile has ten accounts, of which three cannot be applied.
var accountsFile = strings.Join([]string{
	"account_id,name,join_date,employees",
	"a1,One,2024-01-01,1", "a2,Two,2024-01-02,2", "a3,,2024-01-03,3", // no name
	"a4,Four,2024-01-04,4", "a5,=Five,2024-01-05,five", "a6,Six,2024-01-06,6", // employees
	"a7,Seven,2024-01-07,7", "a8,Eight,2024-01-08,8", "a9,Nine,2024-01-09,9",
	"a10,,2024-01-10,10",
}, "\n") + "\n"

// wantRejected are its rows that cannot be applied, ready to be mended.
var wantRejected = strings.Join([]string{
	"account_id,name,join_date,employees,rejected_row,rejected_message,rejected_code,rejected_field",
	"a3,,2024-01-03,3,3,Missing required field for insert: 'name',missing_field,name",
	"a5,'=Five,2024-01-05,five,5,EMPLOYEES,wrong_type,employees",
	"a10,,2024-01-10,10,10,Missing required field for insert: 'name',missing_field,name",
	"",
}, "\r\n")

// counts returns counts as one text.
func counts(o uploads.Outcome) string {
	return fmt.Sprintf("%d inserted, %d changed, %d unchanged, %d failed of %d", o.Inserted, o.Changed, o.Unchanged, o.Failed, o.Rows())
}

var errDied = fmt.Errorf("%w: simulated", table.ErrUnavailable)

// dying is a table and a store of files whose write number at fails: the process
// or the line to the store dies, before the write is carried out or after it.
// Nothing is written any more from then on.
type dying struct {
	table.Table
	mu     sync.Mutex
	at     int
	after  bool
	writes int
}

// fate counts a write, and tells what becomes of it.
func (d *dying) fate() (carriedOut, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	return d.writes < d.at || d.writes == d.at && d.after, d.writes < d.at
}

func (d *dying) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if len(ops) == 0 {
		return nil
	}
	carriedOut, answered := d.fate()
	var errs []error
	if carriedOut {
		errs = d.Table.Write(ctx, ops, guard)
	}
	if answered {
		return errs
	}
	return slices.Repeat([]error{errDied}, len(ops))
}

func (d *dying) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	carriedOut, answered := d.fate()
	var err error
	if carriedOut {
		err = d.Table.Transact(ctx, ops, guard)
	}
	if !answered {
		return errDied
	}
	return err
}

// dyingFiles is the store of files of a dying process.
type dyingFiles struct {
	files.Store
	*dying
}

func (d dyingFiles) Write(ctx context.Context, name string, r io.Reader, limit int64) (n int64, err error) {
	carriedOut, answered := d.fate()
	if carriedOut {
		n, err = d.Store.Write(ctx, name, r, limit)
	}
	if !answered {
		return 0, errDied
	}
	return n, err
}

func (d dyingFiles) Remove(ctx context.Context, prefix string) (err error) {
	carriedOut, answered := d.fate()
	if carriedOut {
		err = d.Store.Remove(ctx, prefix)
	}
	if !answered {
		return errDied
	}
	return err
}
