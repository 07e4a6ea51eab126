package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"tenure/core"
	"tenure/core/calls"
	"tenure/core/resource"
	"tenure/core/schema"
)

// MaxBodyBytes is the largest request body, decompressed (contract P4).
const MaxBodyBytes = 10 << 20

// maxRecords is the largest number of records in one upload. More than that do
// not fit MaxBodyBytes, unless they are too short to be records: each of those
// would still get an entry of the answer.
const maxRecords = 600_000

var tooManyRecords = fmt.Sprintf("'records' must not have more than %d entries", maxRecords)

// drainBytes is how much of a body that was refused is still read, so that a
// client that is busy sending gets to see the answer.
const drainBytes = 64 << 20

// writeAtOnce is about how much of a long answer is made at a time.
const writeAtOnce = 32 << 10

// readBody reads a request body whole, decompressed.
func readBody(r *request) ([]byte, error) {
	body, err := readLimited(r.Request, r.route.bodyLimit())
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drainBytes) // for the client's sake; its errors say nothing new
	}
	return body, err
}

func readLimited(r *http.Request, most int64) ([]byte, error) {
	var from io.Reader = r.Body
	size := r.ContentLength
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		if size > most {
			return nil, errTooLarge
		}
	case "gzip", "x-gzip":
		inflate, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, malformed("The body is not valid gzip: %v", err)
		}
		from, size = inflate, -1
	default:
		return nil, malformed("The Content-Encoding '%s' is not supported: use gzip or none", encoding)
	}
	var buffer bytes.Buffer
	buffer.Grow(int(max(size, 0)) + bytes.MinRead)
	n, err := buffer.ReadFrom(io.LimitReader(from, most+1))
	switch {
	case n > most:
		return nil, errTooLarge
	case err != nil && r.Context().Err() != nil:
		return nil, r.Context().Err()
	case err != nil:
		return nil, malformed("The body cannot be read: %v", err)
	}
	return buffer.Bytes(), nil
}

func malformed(format string, args ...any) *core.Failure {
	return &core.Failure{Code: core.Malformed, Message: fmt.Sprintf(format, args...)}
}

// options are the options of a POST or PUT body.
type options struct {
	ignoreMissingAccounts bool
	rejectUnknownFields   bool
	dryRun                bool
	family                map[string]bool // of Family.Options
}

// parseOptions reads the options object of a body.
func parseOptions(raw []byte, f *resource.Family) (options, *core.Failure) {
	o := options{ignoreMissingAccounts: true, family: map[string]bool{}}
	switch schema.Kind(raw) {
	case 0, 'n':
		return o, nil
	case '{':
	default:
		return o, &core.Failure{Code: core.WrongType, Field: "options", Message: "'options' value must be an object"}
	}
	known := map[string]func(bool){
		"ignore_missing_accounts": func(b bool) { o.ignoreMissingAccounts = b },
		"reject_unknown_fields":   func(b bool) { o.rejectUnknownFields = b },
		"dry_run":                 func(b bool) { o.dryRun = b },
	}
	for _, name := range f.Options {
		known[name] = func(b bool) { o.family[name] = b }
	}
	for name, value := range schema.Members(raw) {
		option := schema.Value(name).Text()
		set, ok := known[option]
		if !ok {
			continue
		}
		switch schema.Kind(value) {
		case 't':
			set(true)
		case 'f':
			set(false)
		case 'n':
		default:
			return o, &core.Failure{Code: core.WrongType, Field: "options." + option,
				Message: "'options." + option + "' must be boolean"}
		}
	}
	return o, nil
}

// members returns the members called names of a body that must be an object;
// nil for those that are not there.
func members(body []byte, names ...string) ([][]byte, *core.Failure) {
	if err := schema.Valid(body); err != nil {
		return nil, malformed("The body is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
	}
	if schema.Kind(body) != '{' {
		return nil, malformed("The body must be a JSON object")
	}
	found := make([][]byte, len(names))
	for name, value := range schema.Members(body) {
		for i := range names {
			if schema.Value(name).Text() == names[i] {
				found[i] = value
			}
		}
	}
	return found, nil
}

// upload serves POST of a family.
func upload(s *server, r *request, f *resource.Family) answer {
	body, err := readBody(r)
	if err != nil {
		return s.uploadError(r, err)
	}
	parts, failure := members(body, "records", "options")
	if failure != nil {
		return s.uploadError(r, failure)
	}
	records, failure := recordsOf(parts[0])
	if failure != nil {
		return s.uploadError(r, failure)
	}
	o, failure := parseOptions(parts[1], f)
	if failure != nil {
		return s.uploadError(r, failure)
	}
	a := s.apply(r, f, records, o)
	if a.records == nil {
		a.records = &calls.Records{}
	}
	a.records.Received, a.dryRun = len(records), o.dryRun
	return a
}

// apply carries out an upload that could be read, under the key's lock.
func (s *server) apply(r *request, f *resource.Family, records [][]byte, o options) answer {
	lock, err := s.Access.Lock(r.ctx, r.caller.KeyID, time.Until(r.end), s.LockWait)
	if err != nil {
		return s.uploadError(r, err)
	}
	defer func() { // also when the upload panics
		if err := lock.Release(r.ctx); err != nil {
			// The lease ends it in any case; the upload itself is what it is.
			s.Log.Warn("lock not released", "error", err)
		}
	}()
	result, err := s.Engine.Upload(r.ctx, resource.Upload{
		Workspace: r.caller.Workspace,
		Family:    f,
		Records: func(yield func(func() resource.Input) bool) {
			for _, record := range records {
				if !yield(func() resource.Input {
					patch, failure := f.Schema.Decode(record, o.rejectUnknownFields)
					return resource.Input{Patch: patch, Failure: failure}
				}) {
					return
				}
			}
		},
		FailOnMissingAccount: !o.ignoreMissingAccounts,
		DryRun:               o.dryRun,
		Option:               func(name string) bool { return o.family[name] },
		Guard:                lock.Guard(),
	})
	if err != nil {
		a := s.uploadError(r, err)
		a.records = counted(result) // what was applied by then stays
		return a
	}
	return uploadAnswer(f, result, o.dryRun)
}

// uploadError answers an upload that failed as a whole (contract Q2).
func (s *server) uploadError(r *request, err error) answer {
	a := s.answerError(r, err)
	a.body = append(a.body[:len(a.body)-1], `,"failed_results":[]}`...)
	return a
}

// uploadAnswer answers an upload that was carried out (contract P5, P6, P18).
func uploadAnswer(f *resource.Family, result *resource.Result, dryRun bool) answer {
	ok := result.Fatal == nil && (result.Applied() > 0 || len(result.Failed) == result.MissingAccounts)
	b := strconv.AppendBool([]byte(`{"status_is_ok":`), ok)
	switch {
	case result.Fatal != nil:
		b = appendFailure(b, result.Fatal)
	case !ok:
		b = append(b, `,"message":`...)
		b = schema.AppendString(b, noneApplied(result))
	}
	if dryRun {
		b = append(b, `,"dry_run":true`...)
	}
	b = appendCounts(b, result.Inserted, result.Changed, result.Unchanged, len(result.Failed))
	b = append(b, `,"failed_results":[`...)
	a := answer{
		status: http.StatusOK, body: b, more: func(w io.Writer) { writeFailed(w, f, result.Failed) },
		records: counted(result), failures: firstFailures(f, result.Failed),
	}
	switch {
	case result.Fatal != nil:
		a.failure = result.Fatal
	case !ok:
		a.failure = &core.Failure{Code: result.Failed[0].Code, Message: noneApplied(result)}
	}
	return a
}

// noneApplied says why an upload of which no record was applied is a failure.
func noneApplied(result *resource.Result) string {
	return "No record was applied; the first failure: " + result.Failed[0].Message
}

// counted returns how many records became of what.
func counted(result *resource.Result) *calls.Records {
	return &calls.Records{Inserted: result.Inserted, Changed: result.Changed, Unchanged: result.Unchanged, Failed: len(result.Failed)}
}

// firstFailures returns as many of the records that failed as the log of API
// calls may keep.
func firstFailures(f *resource.Family, all []resource.Failed) []calls.Failure {
	if len(all) == 0 {
		return nil
	}
	first := make([]calls.Failure, min(len(all), calls.MaxFailures))
	for i := range first {
		failed := &all[i]
		first[i] = calls.Failure{Record: failed.Record, IDs: failed.IDTexts(f), Code: failed.Code, Field: failed.Field, Message: failed.Message}
	}
	return first
}

// writeFailed writes the entries of failed_results and the end of the answer,
// little by little.
func writeFailed(w io.Writer, f *resource.Family, all []resource.Failed) {
	var b []byte
	for i, failed := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"record":`...)
		b = strconv.AppendInt(b, int64(failed.Record), 10)
		b = append(b, `,"status_is_ok":false`...)
		b = appendFailure(b, failed.Failure)
		for ordinal, id := range failed.IDs {
			if id.Given() {
				b = append(b, ',')
				b = schema.AppendString(b, f.Schema.Fields[ordinal].Name)
				b = append(append(b, ':'), id...)
			}
		}
		b = append(b, '}')
		if len(b) >= writeAtOnce {
			if _, err := w.Write(b); err != nil {
				return // a client that has gone away cannot be told about it
			}
			b = b[:0]
		}
	}
	_, _ = w.Write(append(b, "]}"...))
}

func appendCounts(b []byte, inserted, changed, unchanged, failed int) []byte {
	return fmt.Appendf(b, `,"inserted":%d,"changed":%d,"unchanged":%d,"failed":%d`, inserted, changed, unchanged, failed)
}

// modify serves PUT of a family.
func modify(s *server, r *request, f *resource.Family) answer {
	m, failure, err := s.modification(r, f)
	if failure != nil || err != nil {
		return s.modified(r, m.DryRun, false, false, failure, err)
	}
	changed, failure, err := s.Engine.Modify(r.ctx, m)
	return s.modified(r, m.DryRun, false, changed, failure, err)
}

// modification reads the body of a PUT.
func (s *server) modification(r *request, f *resource.Family) (m resource.Modification, failure *core.Failure, err error) {
	body, err := readBody(r)
	if err != nil {
		return m, nil, err
	}
	parts, failure := members(body, "data", "options")
	if failure != nil {
		return m, failure, nil
	}
	data := parts[0]
	o := options{}
	switch schema.Kind(data) {
	case '{':
		if o, failure = parseOptions(parts[1], f); failure != nil {
			return m, failure, nil
		}
	case 0:
		data = body // a bare object (contract P9)
	default:
		return m, &core.Failure{Code: core.WrongType, Field: "data", Message: "'data' value must be an object"}, nil
	}
	patch, failure := f.Schema.Decode(data, o.rejectUnknownFields)
	return resource.Modification{
		Target: target(r, f), Patch: patch, DryRun: o.dryRun,
		Option: func(name string) bool { return o.family[name] },
	}, failure, nil
}

// modified answers a PUT.
func (s *server) modified(r *request, dryRun, inserted, changed bool, failure *core.Failure, err error) answer {
	if !dryRun || failure != nil || err != nil {
		a := s.outcome(r, failure, err)
		a.dryRun = dryRun
		return a
	}
	n, m := 0, 0
	switch {
	case inserted:
		n = 1
	case changed:
		m = 1
	}
	b := appendCounts([]byte(`{"status_is_ok":true,"dry_run":true`), n, m, 1-n-m, 0)
	return answer{status: http.StatusOK, body: append(b, '}'), dryRun: true}
}
