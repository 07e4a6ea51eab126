package connector_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
)

func TestLinksOfAHeaderAreReadAsTheStandardSays(t *testing.T) {
	const target = "https://acme.made-up.example/v1/things?fields=a,b;c&page=2"
	for name, header := range map[string][]string{
		"plain":             {`<` + target + `>; rel="next"`},
		"without quotes":    {`<` + target + `>;rel=next`},
		"behind another":    {`<https://acme.made-up.example/x,y>; rel="prev", <` + target + `>; rel="next"`},
		"several relations": {`<` + target + `>; rel="last next"`},
		"other parameters":  {`<` + target + `>; title="a, <b>; c"; REL="Next"; x=y`},
		"several headers":   {`<https://acme.made-up.example/x>; rel="first"`, `<` + target + `>; rel="next"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := declared()
			c.Streams[0].Paging = connector.LinkHeader()
			w := newWorld(t, c, func(n int, _ *http.Request) *http.Response {
				a := body(200, `{"items":[]}`)
				if n == 1 {
					a.Header["Link"] = header
				}
				return a
			})
			p, err := w.page()
			if err != nil {
				t.Fatal(err)
			}
			if p.Last {
				t.Fatal("the next page is not found")
			}
			if p, err = w.Page(t.Context(), &c.Streams[0], p.Next); err != nil || !p.Last {
				t.Fatalf("%+v, %v", p, err)
			}
			if got := w.sent[1].URL.String(); got != target {
				t.Errorf("%s is asked for", got)
			}
		})
	}
}

func TestALinkMayNameThePortThatHTTPSHas(t *testing.T) {
	c := declared()
	c.Streams[0].Paging = connector.NextLink(".next")
	w := newWorld(t, c, func(n int, _ *http.Request) *http.Response {
		return body(200, []string{`{"items":[],"next":"https://ACME.made-up.example:443/v1/things?page=2"}`, `{"items":[]}`}[n-1])
	})
	p, err := w.page()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Page(t.Context(), &c.Streams[0], p.Next); err != nil || len(w.sent) != 2 {
		t.Errorf("%v, %d requests", err, len(w.sent))
	}
}

func TestWhatARecordSaysLeadsToNoOtherHost(t *testing.T) {
	c := declared()
	c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: ".url"}, Items: ".parts[]", Into: "parts"}}
	w := newWorld(t, c, func(n int, _ *http.Request) *http.Response {
		return body(200, `{"items":[{"id":1,"url":"https://other.made-up.example/parts"}],"parts":[]}`)
	})
	if _, err := w.page(); !errors.Is(err, connector.ErrRefused) || len(w.sent) != 1 {
		t.Errorf("%v, %d requests", err, len(w.sent))
	}
}

func TestAnEmptyAnswerIsOneOnlyIfItSaysSo(t *testing.T) {
	c := declared()
	c.Streams[0].Items = ".items[]?" // which finds no fault with nothing
	w := newWorld(t, c, func(n int, _ *http.Request) *http.Response { return body([]int{200, 204}[n-1], " ") })
	if p, err := w.page(); !errors.Is(err, connector.ErrAnswer) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.page(); err != nil || !p.Last {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestWhatIsNotAsDeclaredIsTheAnswersFault asks for what nobody could tell the cause
// of otherwise: a run with an error of no kind is tried again for ever.
func TestWhatIsNotAsDeclaredIsTheAnswersFault(t *testing.T) {
	for name, change := range map[string]func(*connector.Connector){
		"cursor": func(c *connector.Connector) { c.Streams[0].Resume = ".items | error" },
		"next":   func(c *connector.Connector) { c.Streams[0].Paging.Next = ".items | error" },
		"id":     func(c *connector.Connector) { c.Streams[0].ID = ".id | error" },
		"number": func(c *connector.Connector) { c.Streams[0].Paging.Next = "nan" },
		"restart": func(c *connector.Connector) {
			c.Streams[0].Paging = connector.Paging{Next: "1", MaxPages: 1, Restart: "error"}
		},
		"changed record": func(c *connector.Connector) {
			c.Streams[0].Incremental = false
			c.Streams[0].Changes = &connector.Changes{Request: connector.Request{Path: "/changes"}, Items: ".items[]", Get: connector.Request{Path: `/things/\(.id)`}, Record: "error", Kept: time.Hour}
		},
		"detail": func(c *connector.Connector) {
			c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: "/parts"}, Items: "error", Into: "parts"}}
		},
		"detail's page": func(c *connector.Connector) {
			c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: "/parts"}, Items: ".items[]", Paging: connector.NextToken("{a: 1}"), Into: "parts"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := declared()
			change(c)
			w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, `{"items":[{"id":1}]}`) })
			st := &c.Streams[0]
			if p, err := w.Page(t.Context(), st, w.Begin(st, connector.Last{At: w.now.Add(-time.Minute).UnixMilli()}, false)); !errors.Is(err, connector.ErrAnswer) || p != nil {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	c := declared()
	c.CheckThat = "error"
	w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, `{}`) })
	if err := w.Check(t.Context()); !errors.Is(err, connector.ErrAnswer) {
		t.Error(err)
	}
}

func TestARequestThatCannotBeMadeIsTheSettingsFault(t *testing.T) {
	for name, change := range map[string]func(*connector.Request){
		"path":   func(r *connector.Request) { r.Path = `error("set the site")` },
		"none":   func(r *connector.Request) { r.Path = "null" },
		"query":  func(r *connector.Request) { r.Query = `error("set the site")` },
		"list":   func(r *connector.Request) { r.Query = "[1]" },
		"object": func(r *connector.Request) { r.Query = "{a: {b: 1}}" },
		"body":   func(r *connector.Request) { r.Body = `error("set the site")` },
		"header": func(r *connector.Request) { r.Headers = map[string]string{"X": `"a\nb"`} },
	} {
		c := declared()
		change(&c.Streams[0].Request)
		w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, `{"items":[]}`) })
		if _, err := w.page(); !errors.Is(err, connector.ErrRefused) || len(w.sent) > 0 {
			t.Errorf("%s: %v, %d requests", name, err, len(w.sent))
		}
	}
}

func TestACancellationIsTheContextsOwnErrorWhereverItComes(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	c := declared()
	c.Functions = map[string]func(any) any{"stop": func(v any) any { cancel(); return v }}
	c.Streams[0].Items = "stop | .items[]"
	w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, `{"items":[{"id":1}]}`) })
	st := &c.Streams[0]
	if p, err := w.Page(cancelled, st, w.Begin(st, connector.Last{}, false)); err != context.Canceled || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestARequestThatTakesTooLongIsNotTheCallersDeadline(t *testing.T) {
	w := newWorld(t, declared(), nil)
	w.config.Transport = transport(func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded })
	w.open()
	if _, err := w.page(); !errors.Is(err, connector.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestABodyThatDoesNotEndIsLeft reads over a real connection, which is what ends the
// reading of a body.
func TestABodyThatDoesNotEndIsLeft(t *testing.T) {
	began := make(chan struct{}, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"items":[{"id":1},`)
		w.(http.Flusher).Flush()
		began <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	real := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	defer real.CloseIdleConnections()
	w := newWorld(t, declared(), nil)
	w.config.Transport = real
	w.open()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	st := &w.config.Connector.Streams[0]
	if p, err := w.Page(ctx, st, w.Begin(st, connector.Last{}, false)); err != context.Canceled || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestACursorIsKeptWhereTheLastPageHasNone(t *testing.T) {
	c := declared()
	st := &c.Streams[0]
	st.Incremental, st.Resume, st.Paging = false, ".items[-1].id", connector.Paging{}
	st.Query = "{after: $cursor}"
	w := newWorld(t, c, func(n int, _ *http.Request) *http.Response {
		return body(200, []string{`{"items":[{"id":7}]}`, `{"items":[]}`}[n-1])
	})
	last := connector.Last{}
	for range 2 {
		p, err := w.Page(t.Context(), st, w.Begin(st, last, false))
		if err != nil || !p.Last {
			t.Fatalf("%+v, %v", p, err)
		}
		last = connector.Last{At: w.now.UnixMilli(), Cursor: p.Cursor}
	}
	if string(last.Cursor) != "7" || w.sent[1].URL.RawQuery != "after=7" {
		t.Errorf("%s, %s", last.Cursor, w.sent[1].URL.RawQuery)
	}
}

func TestFactsAreFoundOnceForWhoeverNeedsThem(t *testing.T) {
	c := declared()
	c.Facts = []connector.Fact{{Name: "site", Request: connector.Request{Path: "/site"}, Pick: ".name"}}
	c.Streams[0].Facts = append(c.Facts, connector.Fact{Name: "field", Request: connector.Request{Path: "/fields"}, Pick: ".name"})
	w := newWorld(t, c, func(_ int, r *http.Request) *http.Response {
		return body(200, fmt.Sprintf(`{"name":%q,"items":[]}`, r.URL.Path))
	})
	for range 2 {
		if err := w.Facts(t.Context(), &c.Streams[0]); err != nil {
			t.Fatal(err)
		}
	}
	e, err := w.Expression(`.x + $facts.site + $facts.field`, false)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := e.First(t.Context(), map[string]any{"x": "-"}, nil); err != nil || v != "-/v1/site/v1/fields" {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := w.page(); err != nil || len(w.sent) != 3 {
		t.Errorf("%v, %d requests", err, len(w.sent))
	}
	c.Ended = &connector.Ended{Since: "2020", Message: "It has ended."}
	w.open()
	if err := w.Facts(t.Context(), &c.Streams[0]); err != nil || len(w.sent) != 3 {
		t.Errorf("a service that has ended: %v, %d requests", err, len(w.sent))
	}
}

func TestNoTimeHasMoreRequestsThanAreAllowed(t *testing.T) {
	for _, allowed := range []int{1, 2, 9, 10, 60, 600} {
		w := newWorld(t, declared(), nil)
		var at []time.Time
		w.answer = func(int, *http.Request) *http.Response {
			at = append(at, w.now)
			return body(200, `{"items":[]}`)
		}
		w.config.Requests = allowed
		w.open()
		for range 2*allowed + 1 {
			if _, err := w.page(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range at {
			end, _ := slices.BinarySearchFunc(at, at[i].Add(time.Minute-time.Microsecond), time.Time.Compare)
			if end-i > allowed {
				t.Fatalf("%d requests in a minute that may have %d", end-i, allowed)
			}
		}
		// They use most of it, too.
		if took := at[len(at)-1].Sub(at[0]); took > 2*time.Minute*10/9 {
			t.Errorf("%d requests at %d a minute took %v", len(at), allowed, took)
		}
	}
}

func TestAListKeepsItsPaceAndOtherRequestsDoNot(t *testing.T) {
	c := declared()
	c.Streams[0].Pace = 7 * time.Second
	c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: `/things/\(.id)/parts`}, Items: ".parts[]", Into: "parts"}}
	other := c.Streams[0]
	other.Name = "others"
	c.Streams = append(c.Streams, other)
	var lists []time.Time
	w := newWorld(t, c, nil)
	w.answer = func(_ int, r *http.Request) *http.Response {
		if r.URL.Path != "/v1/things" {
			return body(200, `{"parts":[1]}`)
		}
		lists = append(lists, w.now)
		return body(200, `{"items":[{"id":"a"},{"id":"b"}]}`)
	}
	began := w.now
	for i := range 6 {
		st := &c.Streams[i%2]
		if _, err := w.Page(t.Context(), st, w.Begin(st, connector.Last{}, false)); err != nil {
			t.Fatal(err)
		}
	}
	for i, at := range lists {
		if want := began.Add(time.Duration(i) * 7 * time.Second); at.Sub(want).Abs() > 10*time.Millisecond {
			t.Errorf("list %d was asked for after %v", i, at.Sub(began))
		}
	}
}

func TestExportedPagesAreReadOneAfterTheOther(t *testing.T) {
	c := declared()
	c.Streams[0].Items = ".[]"
	w := newWorld(t, c, nil)
	for text, want := range map[string]string{
		"[{\"id\":1},{\"id\":2}]\n[]\n[{\"id\":3}]\n": "1 2 3",
		`[[{"id":1}],[{"id":2}]]`:                     "1 2",
		`[{"id":1}][{"id":2}`:                         "1 2 !",
		`[{"id":1}]{"id":2}`:                          "1 2",
		`[{"id":1}],`:                                 "1 !",
		`[{"id":1},]`:                                 "1 !",
	} {
		var got []string
		for r, err := range w.Export(t.Context(), &c.Streams[0], strings.NewReader(text)) {
			if err != nil {
				got = append(got, "!")
				continue
			}
			got = append(got, r.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q yields %v, want %s", text, got, want)
		}
	}
}

// endless is a file that begins with a text, and goes on with another for so many
// bytes.
func endless(begin, on string, n int64) io.Reader {
	return io.MultiReader(strings.NewReader(begin), io.LimitReader(&repeated{text: on}, n))
}

// repeated is a text over and over again.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		copied := copy(p[n:], r.text[r.at:])
		n, r.at = n+copied, (r.at+copied)%len(r.text)
	}
	return n, nil
}

func TestAFileThatIsOneEndlessTextIsGivenUp(t *testing.T) {
	w := newWorld(t, declared(), nil)
	for name, file := range map[string]io.Reader{
		"text":  endless(`{"x":"`, "x", 1<<40),
		"deep":  endless(``, "[", 1<<40),
		"blank": endless(`[{"id":1}`, " ", 1<<40),
	} {
		t.Run(name, func(t *testing.T) {
			records := 0
			for _, err := range w.Export(t.Context(), &w.config.Connector.Streams[0], file) {
				if err == nil {
					records++
				} else if !errors.Is(err, connector.ErrAnswer) {
					t.Error(err)
				}
			}
			if records > 1 {
				t.Errorf("%d records", records)
			}
		})
	}
}

func TestALargeFileIsReadInLittleMemory(t *testing.T) {
	w := newWorld(t, declared(), nil)
	const text = `{"id":"0123456789","name":"somebody","tags":["a","b"]},`
	const records = 40_000
	file := io.MultiReader(endless("[", text, records*int64(len(text))), strings.NewReader(`{"id":"last"}]`))
	n, most := 0, uint64(0)
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	before := memory.HeapAlloc
	for _, err := range w.Export(t.Context(), &w.config.Connector.Streams[0], file) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&memory)
			most = max(most, memory.HeapAlloc-min(before, memory.HeapAlloc))
		}
	}
	if n != records+1 || most > 4<<20 {
		t.Errorf("%d records in %d bytes", n, most)
	}
}
