package connectors_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
	"tenure/core/connectors"
	"tenure/core/connectors/standins"
	"tenure/core/mapping"
)

func named(name string) *connector.Connector {
	all := connectors.All()
	return all[slices.IndexFunc(all, func(c *connector.Connector) bool { return c.Name == name })]
}

// gateway passes requests on, but for searches of periods that are too long.
type gateway struct {
	standIn http.RoundTripper
	// refuse answers a search of a period.
	refuse func(span time.Duration) *http.Response
	// searches is how many there were.
	searches int
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/advanced_search_ids") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		var search struct {
			Created struct {
				Min time.Time `xml:"min"`
				Max time.Time `xml:"max"`
			} `xml:"created_at"`
		}
		if err := xml.Unmarshal(body, &search); err != nil {
			return nil, err
		}
		g.searches++
		if answer := g.refuse(search.Created.Max.Sub(search.Created.Min)); answer != nil {
			return answer, nil
		}
	}
	return g.standIn.RoundTrip(r)
}

func answered(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func TestSearchesThatAreTooLargeAreMadeSmaller(t *testing.T) {
	many := `<search-results><page-size type="integer">50</page-size><ids type="array">` + strings.Repeat("<item>x</item>", 10_000) + `</ids></search-results>`
	for name, answer := range map[string]func() *http.Response{
		"the search takes too long":        func() *http.Response { return answered(http.StatusRequestTimeout, "") },
		"the search comes without results": func() *http.Response { return answered(http.StatusOK, "<search-results/>") },
		"the search may have more results": func() *http.Response { return answered(http.StatusOK, many) },
	} {
		for _, test := range []struct {
			longest time.Duration
			wrong   string // what the error says
		}{{40 * 24 * time.Hour, ""}, {time.Second, "too many"}} {
			t.Run(fmt.Sprint(name, " above ", test.longest), func(t *testing.T) {
				ids, err := customers(t, &gateway{refuse: func(span time.Duration) *http.Response {
					if span > test.longest {
						return answer()
					}
					return nil
				}})
				if test.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), test.wrong) {
						t.Errorf("the error is %v", err)
					}
					return
				}
				if want := []string{"1a2b3c", "4d5e6f", "900"}; err != nil || !slices.Equal(ids, want) {
					t.Errorf("%q are read, and there are %q (%v)", ids, want, err)
				}
			})
		}
	}
}

func TestYearsWithFewRecordsAreSearchedAtOnce(t *testing.T) {
	g := &gateway{refuse: func(time.Duration) *http.Response { return nil }}
	if _, err := customers(t, g); err != nil || g.searches > 60 {
		t.Errorf("%d searches were made for 20 years (%v)", g.searches, err)
	}
}

// customers returns the ids of the customers that are read through a gateway.
func customers(t *testing.T, g *gateway) ([]string, error) {
	dir := os.DirFS("testdata/braintree")
	standIn, err := connectortest.NewServer(dir, standins.All["braintree"], "api_key")
	if err != nil {
		t.Fatal(err)
	}
	connection, err := connectortest.ReadConnection(dir)
	if err != nil {
		t.Fatal(err)
	}
	g.standIn = standIn
	c := named("braintree")
	now := connectortest.Start
	s, err := connector.Open(t.Context(), connector.Config{
		Connector: c, Settings: connection.Settings, Env: mapping.Env{Currency: "USD"}, Transport: g, Now: func() time.Time { return now },
		Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
		Load: func(context.Context) (*connector.Credentials, error) {
			return &connector.Credentials{Auth: "api_key", Values: connection.Auth["api_key"]}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	st := &c.Streams[slices.IndexFunc(c.Streams, func(st connector.Stream) bool { return st.Name == "customers" })]
	var ids []string
	for at, pages := s.Begin(st, connector.Last{}, true), 0; pages < 2000; pages++ {
		page, err := s.Page(t.Context(), st, at)
		if err != nil {
			return ids, err
		}
		for _, record := range page.Records {
			ids = append(ids, record.ID)
		}
		if page.Last {
			slices.Sort(ids)
			return ids, nil
		}
		at = page.Next
	}
	t.Fatal("the list does not end")
	return nil, nil
}

func TestXMLIsReadAsItsTypesSay(t *testing.T) {
	read := named("braintree").Decode
	for _, test := range []struct{ text, want string }{
		{`<a/>`, `map[a:]`},
		{`<a-b nil="true"/>`, `map[a_b:<nil>]`},
		{`<a><b>1</b><b>2</b><b> 3 </b><c-d>x&amp;y</c-d></a>`, `map[a:map[b:[1 2 3] c_d:x&y]]`},
		{`<a type="array"/>`, `map[a:[]]`},
		{`<a type="array"><item>1</item></a>`, `map[a:[1]]`},
		{`<a type="array"><b type="array"><item>1</item></b></a>`, `map[a:[[1]]]`},
		{`<a><b type="array"><item>1</item></b><b type="array"/></a>`, `map[a:map[b:[[1] []]]]`},
		{`<?xml version="1.0"?><!-- x --><a><!-- y --><b type="integer">42</b><c type="boolean">true</c><d type="boolean">false</d></a>`, `map[a:map[b:42 c:true d:false]]`},
		{`<a type="integer">4x</a>`, `!a is no whole number`},
		{`<a><b></a>`, `!it is no XML`},
		{`<a>`, `!it is no XML`},
		{``, `!it is no XML`},
		{`<a>&secret;</a>`, `!it is no XML`},
		{strings.Repeat("<a>", 1_000_000), `!more than 100 deep`},
	} {
		v, err := read([]byte(test.text))
		got := fmt.Sprint(v)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != test.want && !(err != nil && test.want[0] == '!' && strings.Contains(got, test.want[1:])) {
			t.Errorf("%.40s is read as %s, and must be %s", test.text, got, test.want)
		}
	}
}
