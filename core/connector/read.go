package connector

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenure/core/mapping"
)

const (
	// maxBody is the largest answer that is read, in bytes.
	maxBody = 64 << 20
	// maxDetails is how many pages the details of one record may have.
	maxDetails = 1000
	// longestPage is after what time a page is returned without the records whose
	// details are still to be read: there may be a thousand, and ten requests a minute.
	longestPage = 30 * time.Second
)

// Check finds out whether the system can be read with the settings and credentials.
func (s *Session) Check(ctx context.Context) error {
	if s.Connector.Ended != nil {
		return fmt.Errorf("%w: %s", ErrEnded, s.Connector.Ended.Message)
	}
	return s.client.told(ctx, s.check(ctx))
}

func (s *Session) check(ctx context.Context) error {
	body, _, err := s.ask(ctx, &s.Connector.Check, "", nil, nil)
	if err != nil || s.Connector.CheckThat == "" {
		return err
	}
	wrong, err := s.eval(ctx, s.Connector.CheckThat, body, nil, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if text, ok := wrong.(string); ok && text != "" {
		return fmt.Errorf("%w: %s", ErrRefused, text)
	}
	return nil
}

// Facts finds out what expressions over the records of a stream need to know beside
// them. Page does so by itself: who evaluates expressions over records that were
// kept, or come from a file, does it first. A service that has ended says nothing.
func (s *Session) Facts(ctx context.Context, st *Stream) error {
	if s.Connector.Ended != nil {
		return nil
	}
	return s.client.told(ctx, s.prepare(ctx, st))
}

func (s *Session) prepare(ctx context.Context, st *Stream) error {
	if slices.ContainsFunc(s.Connector.Auth, func(a Auth) bool { return a.OAuth != nil && a.OAuth.Keep != "" }) {
		if err := s.client.load(ctx); err != nil { // for $token
			return err
		}
	}
	if err := s.find(ctx, s.Connector.Facts); err != nil {
		return err
	}
	return s.find(ctx, st.Facts)
}

// find finds facts, each once.
func (s *Session) find(ctx context.Context, facts []Fact) error {
	for i := range facts {
		f := &facts[i]
		if _, found := s.facts[f.Name]; found {
			continue
		}
		body, _, err := s.ask(ctx, &f.Request, "", nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Pick != "" {
			if body, err = s.eval(ctx, f.Pick, body, nil, nil); err != nil {
				return fmt.Errorf("%s: %w: %w", f.Name, ErrAnswer, err)
			}
		}
		s.facts[f.Name] = body
	}
	return nil
}

// Begin returns where the reading of a stream begins whose last one was last; full
// has all records read, whatever was read before.
func (s *Session) Begin(st *Stream, last Last, full bool) Position {
	now := s.Now().UnixMilli()
	p := Position{Began: now}
	if full || last.At == 0 {
		return p
	}
	since := last.At - st.Overlap.Milliseconds()
	switch {
	case st.Changes != nil:
		if now-last.At < st.Changes.Kept.Milliseconds() {
			p.Since, p.Changed = &since, true
		}
	case st.Resume != "" && last.Cursor != nil:
		p.Cursor = last.Cursor
	case st.Incremental:
		p.Since = &since
	}
	return p
}

// scopeOf returns what the variables stand for at a position.
func scopeOf(at *Position) (*scope, error) {
	sc := &scope{}
	if at.Since != nil {
		sc.since = json.Number(fmt.Sprint(*at.Since))
	}
	for text, into := range map[*json.RawMessage]*any{&at.Cursor: &sc.cursor, &at.Page: &sc.page} {
		if *text == nil {
			continue
		}
		v, err := mapping.Decode(bytes.NewReader(*text), maxBody)
		if err != nil {
			return nil, err
		}
		*into = v
	}
	return sc, nil
}

// Page reads the records at a position, whole with their details. Nothing of a page
// that cannot be read whole is returned. Where details take long it may be some of
// the records, whose Next leads to the others.
func (s *Session) Page(ctx context.Context, st *Stream, at Position) (*Page, error) {
	if s.Connector.Ended != nil {
		return nil, fmt.Errorf("%w: %s", ErrEnded, s.Connector.Ended.Message)
	}
	page, err := s.read(ctx, st, at)
	if err != nil {
		return nil, s.client.told(ctx, err)
	}
	return page, nil
}

func (s *Session) read(ctx context.Context, st *Stream, at Position) (*Page, error) {
	if err := s.prepare(ctx, st); err != nil {
		return nil, err
	}
	page, done := s.incomplete, at.Done
	s.incomplete = nil
	if at.Done = nil; page == nil || len(done) == 0 || !page.is(st, &at) {
		var err error
		if page, err = s.ahead(ctx, st, at); err != nil {
			return nil, err
		}
	}
	return s.complete(ctx, page, done)
}

// incomplete is a page whose records lack their details.
type incomplete struct {
	stream *Stream
	at     Position
	Page
}

// is reports whether it is the page of a stream at a position.
func (p *incomplete) is(st *Stream, at *Position) bool {
	return p.stream == st && reflect.DeepEqual(p.at, *at)
}

// ahead reads the records at a position without their details.
func (s *Session) ahead(ctx context.Context, st *Stream, at Position) (*incomplete, error) {
	sc, err := scopeOf(&at)
	if err != nil {
		return nil, err
	}
	if err := s.turn(ctx, st); err != nil {
		return nil, err
	}
	page := &incomplete{st, at, Page{Next: at}}
	var records []any
	var next, cursor any
	var restart *int64
	switch {
	case st.Fetch != nil:
		records, next, err = st.Fetch(ctx, s, Window{Since: at.Since, Cursor: sc.cursor, Facts: s.facts}, sc.page)
	case at.Changed:
		records, next, page.Records, err = s.changed(ctx, st, sc)
	default:
		var body any
		body, records, next, err = s.list(ctx, &st.Request, &st.Paging, st.Items, nil, sc)
		if err == nil && st.Resume != "" {
			if cursor, err = s.eval(ctx, st.Resume, body, nil, sc); err != nil {
				err = fmt.Errorf("%w: what the next run begins with is not where it should be: %w", ErrAnswer, err)
			}
		}
		if err == nil && next != nil && st.Paging.MaxPages > 0 && at.Pages+1 >= st.Paging.MaxPages {
			restart, err = s.restart(ctx, st, at, body, sc)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, v := range records {
		r, err := s.record(ctx, st, v)
		if err != nil {
			return nil, err
		}
		page.Records = append(page.Records, r)
	}
	page.Next.Pages++
	page.Next.Page = nil
	switch {
	case restart != nil:
		page.Next.Since, page.Next.Pages = restart, 0
	case next == nil:
		page.Last = true
		// Where the last page has nothing to go on from, what this run has gone on from
		// leads to the same records once more, and nothing is missed.
		if page.Cursor = at.Cursor; cursor != nil {
			page.Cursor, err = json.Marshal(cursor)
		}
	default:
		page.Next.Page, err = json.Marshal(next)
		if err == nil && bytes.Equal(page.Next.Page, at.Page) {
			return nil, fmt.Errorf("%w: the list does not end: a page is followed by itself", ErrAnswer)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return page, nil
}

// turn waits until the stream's list may be asked for.
func (s *Session) turn(ctx context.Context, st *Stream) error {
	if st.Pace == 0 {
		return nil
	}
	if d := s.turns[st.Path].Add(st.Pace).Sub(s.Now()); d > 0 {
		if err := s.client.wait(ctx, d); err != nil {
			return err
		}
	}
	s.turns[st.Path] = s.Now()
	return nil
}

// restart returns since when a list is asked for anew that has as many pages as it
// may have: from where it has come to.
func (s *Session) restart(ctx context.Context, st *Stream, at Position, body any, sc *scope) (*int64, error) {
	v, err := s.eval(ctx, st.Paging.Restart, body, nil, sc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	text, _ := mapping.Text(v)
	var since int64
	if _, err := fmt.Sscan(text, &since); err != nil || at.Since != nil && since <= *at.Since {
		return nil, fmt.Errorf("%w: the list has more pages than it may have, and its records do not go forward in time", ErrAnswer)
	}
	return &since, nil
}

// complete gives the records of a page their details, but for those that are done.
// If that takes long, the page that it returns has some of them, and is followed by
// the rest.
func (s *Session) complete(ctx context.Context, p *incomplete, done []string) (*Page, error) {
	// An id may be there more than once.
	times := map[string]int{}
	for _, id := range done {
		times[id]++
	}
	done = slices.Clone(done)
	began := s.Now()
	page := p.Page
	page.Records = nil
	for _, r := range p.Records {
		if times[r.ID] > 0 {
			times[r.ID]--
			continue
		}
		id := r.ID
		if len(page.Records) > 0 && s.Now().Sub(began) >= longestPage {
			page.Next, page.Last, page.Cursor = p.at, false, nil
			page.Next.Done = done
			s.incomplete = p
			return &page, nil
		}
		if !r.Deleted {
			err := s.details(ctx, p.stream, &r)
			if errors.Is(err, errNotFound) {
				// It may have been deleted since the list was read.
				var there bool
				if r, there, err = s.again(ctx, p, id, err); err == nil && !there {
					done = append(done, id)
					continue
				}
			}
			if err != nil {
				return nil, err
			}
		}
		page.Records, done = append(page.Records, r), append(done, id)
	}
	return &page, nil
}

// again looks for a record in its list whose details are not found: it has been
// deleted if it is not there any more, or as one that was. If it is there as before,
// the details are asked for in the wrong place, which why says.
func (s *Session) again(ctx context.Context, p *incomplete, id string, why error) (r Record, there bool, err error) {
	now, err := s.ahead(ctx, p.stream, p.at)
	if err != nil {
		return Record{}, false, err
	}
	i := slices.IndexFunc(now.Records, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return Record{}, false, nil
	}
	if r = now.Records[i]; !r.Deleted {
		return r, true, why
	}
	return r, true, nil
}

// details completes a record.
func (s *Session) details(ctx context.Context, st *Stream, r *Record) error {
	for i := range st.Details {
		if family := st.Details[i].For; family != "" && s.Off != nil && s.Off(st.Name, family) {
			continue
		}
		if err := s.detail(ctx, &st.Details[i], r.Value); err != nil {
			return fmt.Errorf("record %s: %w", clip(r.ID), err)
		}
	}
	return nil
}

// record reads the id of a record and whether it was deleted.
func (s *Session) record(ctx context.Context, st *Stream, v any) (Record, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return Record{}, fmt.Errorf("%w: a record of %s is no object", ErrAnswer, st.Name)
	}
	id, err := s.eval(ctx, st.ID, object, nil, nil)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	r := Record{Value: object}
	if r.ID, ok = mapping.Text(id); !ok || r.ID == "" {
		return Record{}, fmt.Errorf("%w: a record of %s has no id", ErrAnswer, st.Name)
	}
	if st.Deleted != "" {
		deleted, err := s.eval(ctx, st.Deleted, object, nil, nil)
		if err != nil {
			return Record{}, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		r.Deleted = deleted == true
	}
	return r, nil
}

// list reads one page of a list. input is that of the request's expressions.
func (s *Session) list(ctx context.Context, r *Request, p *Paging, items string, input any, sc *scope) (_ any, records []any, next any, err error) {
	target := ""
	if p.Follow && sc.page != nil {
		if target, _ = sc.page.(string); target == "" {
			return nil, nil, nil, fmt.Errorf("%w: what leads to the next page is no URL", ErrAnswer)
		}
	}
	body, header, err := s.ask(ctx, r, target, input, sc)
	if errors.Is(err, errUnchanged) && sc.since != nil {
		return nil, nil, nil, nil // a page without records, and the last one
	}
	if err != nil {
		return nil, nil, nil, err
	}
	e, err := s.Expression(items, false)
	if err != nil {
		return nil, nil, nil, err
	}
	for v, err := range e.program.All(ctx, body, s.values(input, sc)...) {
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%w: its records are not where they should be: %w", ErrAnswer, err)
		}
		records = append(records, v)
	}
	if p.Next == "" {
		return body, records, nil, nil
	}
	sc.count, sc.last, sc.links = len(records), nil, links(header)
	if len(records) > 0 {
		sc.last = records[len(records)-1]
	}
	next, err = s.eval(ctx, p.Next, body, input, sc)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: what leads to the next page is not where it should be: %w", ErrAnswer, err)
	}
	if next == false || next == "" {
		next = nil
	}
	return body, records, next, nil
}

// linkPattern is one link of a Link header, with its parameters: commas and
// semicolons may be in the target, and in what is quoted.
var (
	linkPattern = regexp.MustCompile(`<([^>]*)>((?:[^",<]|"(?:[^"\\]|\\.)*")*)`)
	relPattern  = regexp.MustCompile(`(?i);\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))`)
)

// links returns the targets of a Link header by relation (RFC 8288).
func links(header http.Header) map[string]any {
	all := map[string]any{}
	for _, line := range header.Values("Link") {
		for _, link := range linkPattern.FindAllStringSubmatch(line, -1) {
			if rel := relPattern.FindStringSubmatch(link[2]); rel != nil {
				for _, name := range strings.Fields(rel[1] + rel[2]) {
					all[strings.ToLower(name)] = link[1]
				}
			}
		}
	}
	return all
}

// detail reads a list that belongs to a record.
func (s *Session) detail(ctx context.Context, d *Detail, record map[string]any) error {
	if d.When != "" {
		v, err := s.eval(ctx, d.When, record, nil, nil)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		if v == nil || v == false {
			return nil
		}
	}
	all := []any{}
	sc := &scope{}
	var was []byte
	for range maxDetails {
		_, items, next, err := s.list(ctx, &d.Request, &d.Paging, d.Items, record, sc)
		if err != nil {
			return err
		}
		all = append(all, items...)
		if next == nil {
			return into(record, d.Into, all)
		}
		is, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		if bytes.Equal(is, was) {
			return fmt.Errorf("%w: the list does not end: a page is followed by itself", ErrAnswer)
		}
		sc, was = &scope{page: next}, is
	}
	return fmt.Errorf("%w: the list does not end", ErrAnswer)
}

// into puts a list where a path of members leads.
func into(record map[string]any, path string, list []any) error {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, ok := record[name].(map[string]any)
		if !ok {
			if record[name] != nil {
				return fmt.Errorf("%w: %s is no object", ErrAnswer, name)
			}
			inner = map[string]any{}
			record[name] = inner
		}
		record = inner
	}
	record[names[len(names)-1]] = list
	return nil
}

// changed reads a page of the feed of changes, and the records that have changed.
func (s *Session) changed(ctx context.Context, st *Stream, sc *scope) (records []any, next any, deleted []Record, err error) {
	ch := st.Changes
	_, items, next, err := s.list(ctx, &ch.Request, &ch.Paging, ch.Items, nil, sc)
	if err != nil {
		return nil, nil, nil, err
	}
	met := map[string]bool{}
	gone := map[string]bool{}
	var order []any
	for _, item := range items {
		change, _ := item.(map[string]any)
		id, ok := mapping.Text(change["id"])
		if !ok || id == "" {
			return nil, nil, nil, fmt.Errorf("%w: a change has no id", ErrAnswer)
		}
		if change["deleted"] == true {
			gone[id] = true
		}
		if !met[id] {
			met[id] = true
			order = append(order, map[string]any{"id": id})
		}
	}
	for _, change := range order {
		id, _ := change.(map[string]any)["id"].(string)
		if gone[id] {
			deleted = append(deleted, Record{ID: id, Deleted: true})
			continue
		}
		answer, err := s.answer(ctx, &ch.Get, "", change, sc)
		if err != nil {
			return nil, nil, nil, err
		}
		if answer.Status == http.StatusNotFound {
			deleted = append(deleted, Record{ID: id, Deleted: true})
			continue
		}
		record, err := answer.json()
		if err == nil && ch.Record != "" {
			if record, err = s.eval(ctx, ch.Record, record, nil, sc); err != nil {
				err = fmt.Errorf("%w: %w", ErrAnswer, err)
			}
		}
		if err != nil {
			return nil, nil, nil, err
		}
		if record == nil {
			deleted = append(deleted, Record{ID: id, Deleted: true})
			continue
		}
		records = append(records, record)
	}
	return records, next, deleted, nil
}

// Export yields the records of a stream in an exported file: JSON arrays or objects,
// one after the other. Each object, or member of an array, is a record, or what the
// system's own list is, of which the records are taken. A file that cannot be read
// to its end yields an error as the last.
func (s *Session) Export(ctx context.Context, st *Stream, r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for v, err := range texts(r) {
			if err != nil {
				yield(Record{}, fmt.Errorf("%w: the file cannot be read: %w", ErrAnswer, err))
				return
			}
			for _, v := range s.listed(ctx, st, v) {
				record, err := s.record(ctx, st, v)
				if err != nil {
					yield(Record{}, err)
					return
				}
				if !yield(record, nil) {
					return
				}
			}
		}
	}
}

// listed returns the records in v if it is a page of the system's list, else v
// itself.
func (s *Session) listed(ctx context.Context, st *Stream, v any) []any {
	e, err := s.Expression(st.Items, false)
	if err != nil {
		return []any{v}
	}
	var records []any
	for record, err := range e.program.All(ctx, v, s.values(nil, nil)...) {
		if _, object := record.(map[string]any); err != nil || !object {
			return []any{v}
		}
		records = append(records, record)
	}
	// A record may be a list for the expression, too, where that takes whatever has
	// members: then what comes out of it has no id.
	if slices.ContainsFunc(records, func(v any) bool { _, err := s.record(ctx, st, v); return err != nil }) {
		return []any{v}
	}
	if len(records) == 0 {
		if _, err := s.record(ctx, st, v); err == nil {
			return []any{v}
		}
	}
	return records
}

// bounded is a reader that fails when more is read than is left.
type bounded struct {
	io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a part of it has more than %d MB", maxBody>>20)
	}
	n, err := b.Reader.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// texts yields the JSON texts in r one by one; of an array, its members. No more than
// one of them is held at a time.
func texts(r io.Reader) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		source := &bounded{r, maxBody}
		in := bufio.NewReader(source)
		if mark, err := in.Peek(3); err == nil && string(mark) == "\uFEFF" {
			_, _ = in.Discard(3) // what was peeked is there
		}
		d := json.NewDecoder(in)
		d.UseNumber()
		for {
			source.left = maxBody
			begin, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			switch {
			case err != nil:
			case begin == json.Delim('['):
				for err == nil && d.More() {
					source.left = maxBody
					var v any
					if err = d.Decode(&v); err == nil && !yield(v, nil) {
						return
					}
				}
				err = end(d, err)
			case begin == json.Delim('{'):
				object := map[string]any{}
				for err == nil && d.More() {
					var name json.Token
					var v any
					if name, err = d.Token(); err == nil {
						err = d.Decode(&v)
						object[fmt.Sprint(name)] = v
					}
				}
				if err = end(d, err); err == nil && !yield(object, nil) {
					return
				}
			default:
				err = errors.New("it holds neither arrays nor objects")
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// end reads the end of an array or object, unless there was an error before.
func end(d *json.Decoder, err error) error {
	if err == nil {
		_, err = d.Token()
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func clip(text string) string {
	const longest = 300
	runes := []rune(text)
	if len(runes) <= longest {
		return text
	}
	return string(runes[:longest]) + "…"
}
