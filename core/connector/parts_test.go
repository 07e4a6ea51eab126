package connector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
)

// slow is a system whose records have details that take six seconds each. list
// returns the ids on the one page there is.
func slow(t *testing.T, list func() []string) *world {
	c := declared()
	c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: `/things/\(.id)/parts`}, Items: ".parts[]", Into: "parts"}}
	w := newWorld(t, c, func(_ int, r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/parts") {
			return body(200, `{"parts":[1]}`)
		}
		var items []string
		for i, id := range list() {
			items = append(items, fmt.Sprintf(`{"id":%q,"at":%d}`, id, i))
		}
		return body(200, `{"items":[`+strings.Join(items, ",")+`]}`)
	})
	w.config.Requests = 10
	w.open()
	return w
}

// parts reads the page of a slow system part by part; between does what happens
// behind each.
func (w *world) parts(between func(n int)) (ids []string, parts int) {
	w.Helper()
	st := &w.config.Connector.Streams[0]
	at := w.Begin(st, connector.Last{}, false)
	for {
		began := w.now
		p, err := w.Page(w.Context(), st, at)
		if err != nil {
			w.Fatal(err)
		}
		if took := w.now.Sub(began); took > time.Minute {
			w.Fatalf("a part has taken %v", took)
		}
		for _, r := range p.Records {
			if fmt.Sprint(r.Value["parts"]) != "[1]" {
				w.Errorf("%s has no details: %v", r.ID, r.Value)
			}
			ids = append(ids, r.ID)
		}
		if parts++; p.Last {
			return ids, parts
		}
		if len(p.Records) == 0 {
			w.Fatal("it does not go on")
		}
		text, err := json.Marshal(p.Next)
		if err != nil {
			w.Fatal(err)
		}
		at = connector.Position{}
		if err := json.Unmarshal(text, &at); err != nil {
			w.Fatal(err)
		}
		if at.Began != p.Next.Began || parts > 1000 {
			w.Fatal("it does not end")
		}
		between(parts)
	}
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}

func TestAPageWhoseDetailsTakeLongIsReadInParts(t *testing.T) {
	want := numbered(100)
	w := slow(t, func() []string { return want })
	ids, parts := w.parts(func(int) {})
	if !slices.Equal(ids, want) || parts < 10 || len(w.sent) != 101 {
		t.Errorf("%v in %d parts with %d requests", ids, parts, len(w.sent))
	}
	w = slow(t, func() []string { return want })
	ids, parts = w.parts(func(int) { w.open() }) // as after a kill
	if !slices.Equal(ids, want) || len(w.sent) != 100+parts {
		t.Errorf("%v in %d parts with %d requests", ids, parts, len(w.sent))
	}
	// One id may be there several times.
	twice := slices.Repeat([]string{"a", "b", "c"}, 8)
	w = slow(t, func() []string { return twice })
	if ids, _ = w.parts(func(int) { w.open() }); !slices.Equal(ids, twice) {
		t.Errorf("%v", ids)
	}
}

func TestWhatMovesOnAPageThatIsReadInPartsIsNotLost(t *testing.T) {
	list := numbered(40)
	w := slow(t, func() []string { return list })
	ids, _ := w.parts(func(n int) {
		w.open()
		switch n {
		case 1: // what was read last has changed, so that it comes last
			list = append(list[:4:4], append(slices.Clone(list[5:]), list[4])...)
		case 2:
			list = append([]string{"new"}, list...)
		case 3: // what was read has been deleted, and something that was not
			list = slices.DeleteFunc(list, func(id string) bool { return id == "0" || id == "39" })
		}
	})
	slices.Sort(ids)
	want := append(numbered(39), "new")
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}

func TestNothingOfAPartThatFailsIsReturned(t *testing.T) {
	list := numbered(20)
	w := slow(t, func() []string { return list })
	st := &w.config.Connector.Streams[0]
	p, err := w.Page(t.Context(), st, w.Begin(st, connector.Last{}, false))
	if err != nil || p.Last {
		t.Fatalf("%+v, %v", p, err)
	}
	answer := w.answer
	w.answer = func(n int, r *http.Request) *http.Response {
		if strings.Contains(r.URL.Path, "/"+list[len(p.Records)+2]+"/") {
			return body(200, `{"parts":[1`)
		}
		return answer(n, r)
	}
	if p, err := w.Page(t.Context(), st, p.Next); !errors.Is(err, connector.ErrAnswer) || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
	w.answer = answer
	next, err := w.Page(t.Context(), st, p.Next)
	if err != nil || len(next.Records) == 0 || next.Records[0].ID != list[len(p.Records)] {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestARecordThatIsDeletedBeforeItsDetailsAreReadStopsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		then string // what the list has of the record, once its details are not found
		want string
		err  error
	}{
		"gone":        {``, "0 2", nil},
		"deleted":     {`,{"id":"1","gone":true}`, "0 1- 2", nil},
		"still there": {`,{"id":"1"}`, "", connector.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			lists := 0
			w := slow(t, nil)
			w.answer = func(_ int, r *http.Request) *http.Response {
				switch {
				case strings.HasSuffix(r.URL.Path, "/1/parts"):
					return body(404, `{}`)
				case strings.HasSuffix(r.URL.Path, "/parts"):
					return body(200, `{"parts":[1]}`)
				}
				if lists++; lists == 1 {
					return body(200, `{"items":[{"id":"0"},{"id":"1"},{"id":"2"}]}`)
				}
				return body(200, `{"items":[{"id":"0"}`+test.then+`,{"id":"2"}]}`)
			}
			p, err := w.page()
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatal(err)
			}
			var got []string
			if p != nil {
				for _, r := range p.Records {
					got = append(got, r.ID+map[bool]string{true: "-"}[r.Deleted])
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%v, want %s", got, test.want)
			}
		})
	}
}
