// Package uploads is the upload of CSV files ("API Upload" of the IT
// Administration page): jobs that check a file and, when somebody has seen what
// would come of it, apply it, by the same validation, merge and lock as the API's
// POST.
//
// An upload goes through these states:
//
//	awaiting ─ Check ─▶ checking ──▶ checked ─ Apply ─▶ queued ──▶ applying ──▶ done
//
// and ends early as failed (the file cannot be used; why is said) or cancelled.
// The arrows without a name are Run's, which does the work in steps: it reads the
// file batch by batch, and writes down after each how far it came, what became of
// the records and which rows were rejected. Whoever calls Run may therefore die, or
// come to the end of its time, anywhere: the next one goes on from the last batch
// that was written down. The batch after that may then be applied a second time,
// which changes nothing (an upload is idempotent), and its counts are told as the
// check has foreseen them, provided that they fit: what it finds unchanged it may
// have inserted itself. They are wrong only if records of that batch were changed
// by others between the check and the apply, or stand in earlier batches too.
//
// The check is a dry run of each batch against what is stored, one after the other.
// It does not see what earlier batches of the same file would have done: a record
// that has rows in more than one batch counts as inserted in each, and a row that
// only makes sense after one of an earlier batch fails, although it would apply. A
// batch is as large as a large POST, so that this does not concern most files.
//
// One upload at a time is applied in a workspace; the others wait in state queued.
package uploads

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/csvfile"
	"tenure/core/files"
	"tenure/core/resource"
	"tenure/core/table"
)

// MaxBytes is the largest file that is taken.
const MaxBytes = 200 << 20

const (
	// awaitingLife is how long an upload waits for its file.
	awaitingLife = 24 * time.Hour
	// maxFileName is the greatest length of a file's name, in code points.
	maxFileName = 200
)

// State is how far an upload has come.
type State string

// The states.
const (
	// Awaiting the file.
	Awaiting State = "awaiting"
	// Checking the file, of which nothing is applied yet.
	Checking State = "checking"
	// Checked: it is for somebody to look at, and to apply.
	Checked State = "checked"
	// Queued to be applied.
	Queued State = "queued"
	// Applying it, batch by batch.
	Applying State = "applying"
	// Done: applied whole.
	Done State = "done"
	// Failed for the reason in Why.
	Failed State = "failed"
	// Cancelled by somebody; what had been applied by then stays.
	Cancelled State = "cancelled"
)

// Running reports whether there is work to do without anybody asking for it.
func (s State) Running() bool { return s == Checking || s == Queued || s == Applying }

// Ended reports whether nothing can happen any more.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Options are those of the API's POST.
type Options struct {
	// IgnoreMissingAccounts leaves out records of accounts that do not exist. Without
	// it a file that has some is not applied at all.
	IgnoreMissingAccounts bool `json:"ignore_missing_accounts"`
	// Family holds those of resource.Family.Options that are on.
	Family []string `json:"family,omitempty"`
}

// Counts say what became of records.
type Counts struct {
	Inserted  int `json:"inserted"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
}

func (c *Counts) add(d Counts) {
	c.Inserted += d.Inserted
	c.Changed += d.Changed
	c.Unchanged += d.Unchanged
	c.Failed += d.Failed
}

// Applied returns how many records were applied, or would be.
func (c Counts) Applied() int { return c.Inserted + c.Changed + c.Unchanged }

// Rows returns how many rows that is about.
func (c Counts) Rows() int { return c.Applied() + c.Failed }

// Problem is one reason for which rows were rejected.
type Problem struct {
	Code    core.Code `json:"code"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message"`
	// Rows is how many; Line is where in the file the first of them is.
	Rows int `json:"rows"`
	Line int `json:"line"`
}

// maxProblems is how many reasons are told apart.
const maxProblems = 25

// Outcome is what came of the rows of a file so far.
type Outcome struct {
	Counts
	// MissingAccounts is how many of the failed name an account that does not exist.
	MissingAccounts int `json:"missing_accounts"`
	// Problems are the reasons for failures, in the order in which they turned up;
	// Others is how many rows failed for still other ones.
	Problems []Problem `json:"problems,omitempty"`
	Others   int       `json:"others,omitempty"`
	// Batches is how many batches that were.
	Batches int `json:"batches"`
	// Bytes is how much of the file was read.
	Bytes int64 `json:"bytes"`
	// Began and Ended are in epoch ms; 0 before.
	Began int64 `json:"began,omitempty"`
	Ended int64 `json:"ended,omitempty"`
}

// reject counts a row that failed.
func (o *Outcome) reject(line int, why *core.Failure) {
	message := clip(why.Message)
	at := slices.IndexFunc(o.Problems, func(p Problem) bool { return p.Code == why.Code && p.Message == message })
	switch {
	case at >= 0:
		o.Problems[at].Rows++
	case len(o.Problems) < maxProblems:
		o.Problems = append(o.Problems, Problem{why.Code, clip(why.Field), message, 1, line})
	default:
		o.Others++
	}
}

// maxMessage is the greatest length of a message that is kept, in bytes; those of
// people's own columns may be as long as they like.
const maxMessage = 500

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// Upload is an upload of a file, as people may see it.
type Upload struct {
	// ID names it within its workspace, and cannot be guessed.
	ID string `json:"id"`
	// Family is the name of the family whose records it holds.
	Family  string  `json:"family"`
	Options Options `json:"options"`
	// By is the e-mail address of who made it.
	By string `json:"by"`
	// FileName is what the file is called; Size is in bytes. Both are known once it
	// has arrived.
	FileName string `json:"file_name"`
	Size     int64  `json:"size"`
	State    State  `json:"state"`
	// Stopping says that it is to be cancelled once the batch under way is done.
	Stopping bool `json:"stopping,omitempty"`
	// Created and Updated are in epoch ms.
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
	// Dialect is how the file is written; nil until that is found out.
	Dialect *csvfile.Dialect `json:"dialect,omitempty"`
	// Check is what would come of applying the file, Apply what came of it.
	Check Outcome `json:"check"`
	Apply Outcome `json:"apply"`
	// Why says for what reason it failed.
	Why *Reason `json:"why,omitempty"`
}

// Reason is why an upload failed.
type Reason struct {
	Code    core.Code `json:"code"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message"`
}

// Rows returns how many rows the file has; 0 while that is not known.
func (u *Upload) Rows() int {
	if u.Dialect == nil {
		return 0
	}
	return u.Dialect.Rows
}

// Outcome returns what came of the file as far as it was applied, or else would.
func (u *Upload) Outcome() *Outcome {
	if u.Apply.Began != 0 {
		return &u.Apply
	}
	return &u.Check
}

// Percent returns how much of the work under way is done, from 0 to 100.
func (u *Upload) Percent() int {
	if u.Rows() == 0 {
		return 0
	}
	return u.Outcome().Rows() * 100 / u.Rows()
}

// Refusal returns why a file that was checked cannot be applied; nil if it can.
func (u *Upload) Refusal() *core.Failure {
	switch {
	case u.State != Checked:
		return &core.Failure{Code: core.Conflicting, Field: "state", Message: "The upload cannot be applied: it is " + string(u.State)}
	case !u.Options.IgnoreMissingAccounts && u.Check.MissingAccounts > 0:
		return &core.Failure{Code: core.NotFound, Field: "account_id", Message: fmt.Sprintf(
			"%d rows name an account that does not exist. Upload the accounts first, or upload this file again and have such rows left out", u.Check.MissingAccounts)}
	}
	return nil
}

// Config says what uploads work with.
type Config struct {
	Table  table.Table
	Files  files.Store
	Engine *resource.Engine
	Access *access.Store
	// Families are those whose records can be uploaded.
	Families []*resource.Family
	// Start has somebody call Run for an upload until there is no more to do.
	Start func(ctx context.Context, workspace, id string) error
	// Direct, if set, returns the form by which a browser may send a file straight to
	// the store; see files.Form. Otherwise files come by Receive.
	Direct func(ctx context.Context, name string, limit int64) (*files.Form, error)
	// Record, if set, is told of each batch that was applied, at least once, as the
	// call of the API that it amounts to.
	Record func(ctx context.Context, workspace string, c calls.Call)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Reserve is how long before the end of its context Run begins no further batch;
	// a minute if it is 0.
	Reserve time.Duration
}

// Store keeps the uploads of all workspaces, and does their work.
type Store struct {
	Config
	batchRows  int
	batchBytes int
}

// A batch is at most so many rows, and ends with the row that brings it to so many
// bytes of records.
const (
	batchRows  = 10_000
	batchBytes = 4 << 20
)

// New returns the store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Reserve == 0 {
		c.Reserve = time.Minute
	}
	return &Store{Config: c, batchRows: batchRows, batchBytes: batchBytes}
}

// job is the body of an upload's item.
type job struct {
	Upload
	// Tag is that of the file that was checked; see files.Info.
	Tag string `json:"tag,omitempty"`
	// Open says that a batch which is not written down may be applied, or half.
	Open bool `json:"open,omitempty"`
}

// stored is a job as it was read.
type stored struct {
	job
	version int64
	expires int64
}

func key(workspace, id string) table.Key {
	return table.Key{Partition: workspace + "/uploads", Sort: id}
}

// partsPartition is where is written down what became of each batch.
func partsPartition(workspace, id string) string { return workspace + "/uploads/" + id }

// The names of an upload's files begin with its folder.
func folder(workspace, id string) string { return workspace + "/uploads/" + id + "/" }

func sourceName(workspace, id string) string { return folder(workspace, id) + "source/file.csv" }

// newID returns the id of an upload that is made at an instant: the latest sorts
// first, and the rest is 130 random bits.
func newID(at time.Time) string {
	return fmt.Sprintf("%016x%s", math.MaxInt64-at.UnixMicro(), rand.Text())
}

// idLength is the length of an id.
var idLength = len(newID(time.UnixMicro(0)))

var notFound = &core.Failure{Code: core.NotFound, Field: "id", Message: "Upload not found"}

// load reads a job. A *core.Failure says that there is none in the workspace.
func (s *Store) load(ctx context.Context, workspace, id string) (*stored, error) {
	if len(id) != idLength || files.CheckName(id) != nil {
		return nil, notFound
	}
	items, err := s.Table.Get(ctx, []table.Key{key(workspace, id)}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() {
		return nil, notFound
	}
	j := &stored{version: items[0].Version, expires: items[0].Expires}
	return j, json.Unmarshal(items[0].Body, &j.job)
}

// put returns the operation that stores a job over the version it was read in.
func (s *Store) put(workspace string, j *stored) (op table.Op, version int64, err error) {
	now := s.Now()
	j.Updated = now.UnixMilli()
	body, err := json.Marshal(j.job)
	cond := table.Absent()
	if j.version != 0 {
		cond = table.VersionIs(j.version)
	}
	version = max(j.version+1, now.UnixMicro())
	return table.Put(table.Item{Key: key(workspace, j.ID), Version: version, Expires: j.expires, Body: body}, cond), version, err
}

// save stores a job. table.ErrConflict says that it has changed meanwhile.
func (s *Store) save(ctx context.Context, workspace string, j *stored, guard *table.Guard) error {
	op, version, err := s.put(workspace, j)
	if err != nil {
		return err
	}
	if err := errors.Join(s.Table.Write(ctx, []table.Op{op}, guard)...); err != nil {
		return err
	}
	j.version = version
	return nil
}

// tries is how often a change is tried that another one came in between.
const tries = 5

// change changes a job by a function, anew when another change came in between.
func (s *Store) change(ctx context.Context, workspace, id string, by func(*stored) error) (u Upload, err error) {
	for range tries {
		var j *stored
		if j, err = s.load(ctx, workspace, id); err != nil {
			return u, err
		}
		if err = by(j); err != nil {
			return j.Upload, err
		}
		if err = s.save(ctx, workspace, j, nil); !errors.Is(err, table.ErrConflict) {
			return j.Upload, err
		}
	}
	return u, err
}

// FamilyNamed returns the family with a name; nil if there is none.
func (s *Store) FamilyNamed(name string) *resource.Family {
	at := slices.IndexFunc(s.Families, func(f *resource.Family) bool { return f.Schema.Name == name })
	if at < 0 {
		return nil
	}
	return s.Families[at]
}

// Create makes an upload, which awaits its file. A *core.Failure says what is
// wrong with family or options.
func (s *Store) Create(ctx context.Context, workspace, by, family string, o Options) (Upload, error) {
	f := s.FamilyNamed(family)
	if f == nil {
		return Upload{}, &core.Failure{Code: core.NotAChoice, Field: "family", Message: "'family' must be one of the APIs that take uploads"}
	}
	for _, name := range o.Family {
		if !slices.Contains(f.Options, name) {
			return Upload{}, &core.Failure{Code: core.NotAChoice, Field: "options", Message: "'" + name + "' is no option of " + family}
		}
	}
	now := s.Now()
	j := &stored{expires: now.Add(awaitingLife).UnixMilli()}
	j.Upload = Upload{
		ID: newID(now), Family: family, Options: o, By: by, State: Awaiting, Created: now.UnixMilli(),
	}
	return j.Upload, s.save(ctx, workspace, j, nil)
}

// Get returns an upload. A *core.Failure says that there is none in the workspace.
func (s *Store) Get(ctx context.Context, workspace, id string) (Upload, error) {
	j, err := s.load(ctx, workspace, id)
	if err != nil {
		return Upload{}, err
	}
	return j.Upload, nil
}

// List returns up to limit uploads of a workspace, the latest first, that come
// after the one with the id before; empty means from the latest on.
func (s *Store) List(ctx context.Context, workspace, before string, limit int) ([]Upload, error) {
	items, err := s.Table.Query(ctx, table.Query{Partition: key(workspace, "").Partition, After: before, Limit: limit, Consistent: true})
	if err != nil {
		return nil, err
	}
	all := make([]Upload, len(items))
	for i := range items {
		if err := json.Unmarshal(items[i].Body, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Unfinished returns the ids of the uploads of a workspace that have work left,
// the oldest first.
func (s *Store) Unfinished(ctx context.Context, workspace string) (ids []string, err error) {
	const page = 100
	for before := ""; ; {
		some, err := s.List(ctx, workspace, before, page)
		if err != nil {
			return nil, err
		}
		for _, u := range some {
			before = u.ID
			if u.State.Running() {
				ids = append(ids, u.ID)
			}
		}
		if len(some) < page {
			slices.Reverse(ids)
			return ids, nil
		}
	}
}

// Form returns the form by which a browser sends the file of an upload that
// awaits it; nil where it has to come by Receive.
func (s *Store) Form(ctx context.Context, workspace, id string) (*files.Form, error) {
	if s.Direct == nil {
		return nil, nil
	}
	j, err := s.load(ctx, workspace, id)
	if err == nil {
		err = j.awaits()
	}
	if err != nil {
		return nil, err
	}
	return s.Direct(ctx, sourceName(workspace, id), MaxBytes)
}

func (j *stored) awaits() error {
	if j.State != Awaiting {
		return &core.Failure{Code: core.Conflicting, Field: "state", Message: "The upload has its file already"}
	}
	return nil
}

var tooLarge = &core.Failure{Code: core.TooLarge, Field: "file", Message: fmt.Sprintf("The file is larger than %d MB: upload it in parts", MaxBytes>>20)}

// Receive stores the file of an upload that awaits it. A *core.Failure says that
// it cannot be taken.
func (s *Store) Receive(ctx context.Context, workspace, id string, file io.Reader) error {
	j, err := s.load(ctx, workspace, id)
	if err == nil {
		err = j.awaits()
	}
	if err != nil {
		return err
	}
	_, err = s.Files.Write(ctx, sourceName(workspace, id), file, MaxBytes)
	if errors.Is(err, files.ErrTooLarge) {
		return tooLarge
	}
	return err
}

// Check has the file of an upload checked, which must have arrived. fileName is
// what it is called where it comes from; it may be empty. A *core.Failure says
// why it cannot be.
func (s *Store) Check(ctx context.Context, workspace, id, fileName string) (Upload, error) {
	u, err := s.change(ctx, workspace, id, func(j *stored) error {
		if err := j.awaits(); err != nil {
			return err
		}
		info, err := s.Files.Stat(ctx, sourceName(workspace, id))
		if errors.Is(err, files.ErrNotFound) {
			return &core.Failure{Code: core.MissingField, Field: "file", Message: "The file has not arrived: choose one and send it"}
		}
		if err != nil {
			return err
		}
		if info.Size > MaxBytes {
			return tooLarge
		}
		j.FileName, j.Size, j.Tag, j.State = displayName(fileName), info.Size, info.Tag, Checking
		j.Check.Began = s.Now().UnixMilli()
		j.expires = s.Now().Add(files.Life).UnixMilli()
		return nil
	})
	if err != nil {
		return u, err
	}
	return u, s.Start(ctx, workspace, id)
}

// displayName returns a file's name as it can be shown: its last part, as plain
// text of limited length.
func displayName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "?"), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if utf8.RuneCountInString(name) > maxFileName {
		name = string([]rune(name)[:maxFileName-1]) + "…"
	}
	if name == "." || name == "/" || name == "" {
		return "file.csv"
	}
	return name
}

// Apply has an upload applied that was checked. A *core.Failure says why it
// cannot be.
func (s *Store) Apply(ctx context.Context, workspace, id string) (Upload, error) {
	u, err := s.change(ctx, workspace, id, func(j *stored) error {
		if refusal := j.Refusal(); refusal != nil {
			return refusal
		}
		j.State, j.Apply.Began = Queued, s.Now().UnixMilli()
		return nil
	})
	if err != nil {
		return u, err
	}
	return u, s.Start(ctx, workspace, id)
}

// Resume has somebody go on with an upload that has come to a standstill. One that
// is being worked on is not disturbed.
func (s *Store) Resume(ctx context.Context, workspace, id string) (Upload, error) {
	j, err := s.load(ctx, workspace, id)
	if err != nil {
		return Upload{}, err
	}
	if !j.State.Running() {
		return j.Upload, &core.Failure{Code: core.Conflicting, Field: "state", Message: "There is nothing to go on with: the upload is " + string(j.State)}
	}
	return j.Upload, s.Start(ctx, workspace, id)
}

// Cancel ends an upload: at once or, while it is applied, once the batch under way
// is done. What is applied stays. A *core.Failure says that it has ended already.
func (s *Store) Cancel(ctx context.Context, workspace, id string) (Upload, error) {
	u, err := s.change(ctx, workspace, id, func(j *stored) error {
		switch {
		case j.State.Ended():
			return &core.Failure{Code: core.Conflicting, Field: "state", Message: "The upload cannot be cancelled: it is " + string(j.State)}
		case j.State == Applying:
			j.Stopping = true
		default:
			s.end(j, Cancelled)
		}
		return nil
	})
	if err == nil && u.State == Cancelled {
		err = s.tidy(ctx, workspace, id)
	}
	return u, err
}

// end brings a job to a state in which nothing happens any more.
func (s *Store) end(j *stored, state State) {
	j.State, j.Stopping, j.Open = state, false, false
	if o := j.Outcome(); o.Began != 0 {
		o.Ended = s.Now().UnixMilli()
	}
}

// tidy removes the file of an upload that has ended; what was rejected stays.
func (s *Store) tidy(ctx context.Context, workspace, id string) error {
	return s.Files.Remove(ctx, folder(workspace, id)+"source/")
}

// part is the body of the item that tells what became of a batch.
type part struct {
	Counts
	// File holds its rejected rows; empty if there were none.
	File string `json:"file,omitempty"`
}

func partKey(workspace, id string, phase State, batch int) table.Key {
	return table.Key{Partition: partsPartition(workspace, id), Sort: fmt.Sprintf("%s/%08d", phase, batch)}
}

// Rejected returns a function that writes the CSV file of the rows that were
// rejected, with the reasons why, ready to be mended and uploaded again. A
// *core.Failure says that there are none.
func (s *Store) Rejected(ctx context.Context, workspace, id string) (write func(io.Writer) error, err error) {
	u, err := s.Get(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	phase := Checking
	if u.Outcome() == &u.Apply {
		phase = Applying
	}
	if u.Outcome().Failed == 0 {
		return nil, &core.Failure{Code: core.NotFound, Field: "id", Message: "No rows were rejected"}
	}
	return func(w io.Writer) error {
		q := table.Query{Partition: partsPartition(workspace, id), Prefix: string(phase) + "/", Limit: 1000, Consistent: true}
		for {
			items, err := s.Table.Query(ctx, q)
			if err != nil {
				return err
			}
			for i := range items {
				q.After = items[i].Sort
				var p part
				if err := json.Unmarshal(items[i].Body, &p); err != nil {
					return err
				}
				if err := s.copyPart(ctx, p, w); err != nil {
					return err
				}
			}
			if len(items) < q.Limit {
				return nil
			}
		}
	}, nil
}

func (s *Store) copyPart(ctx context.Context, p part, w io.Writer) error {
	if p.File == "" {
		return nil
	}
	r, err := s.Files.Open(ctx, p.File, "")
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}
