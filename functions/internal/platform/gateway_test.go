package platform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// seen is what a handler saw of a request.
type seen struct {
	path, query, body, host string
	header                  http.Header
}

// watch returns a handler that answers with status 200, and what it has seen last.
func watch() (http.Handler, *seen) {
	s := &seen{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*s = seen{r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Host, r.Header}
		w.WriteHeader(http.StatusOK)
	}), s
}

// call puts an event to a handler behind the gateway, as Lambda does.
func call(t *testing.T, handler http.Handler, buffer bool, event any) (any, error) {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return gateway(handler, buffer)(t.Context(), payload)
}

// stream is call where the answer must be a stream.
func streamOf(t *testing.T, handler http.Handler, event any) *events.APIGatewayProxyStreamingResponse {
	t.Helper()
	response, err := call(t, handler, false, event)
	if err != nil {
		t.Fatal(err)
	}
	stream, ok := response.(*events.APIGatewayProxyStreamingResponse)
	if !ok {
		t.Fatalf("the answer is a %T", response)
	}
	return stream
}

// wholeOf is call where the answer must be a whole one.
func wholeOf(t *testing.T, handler http.Handler, event any) events.APIGatewayProxyResponse {
	t.Helper()
	response, err := call(t, handler, true, event)
	if err != nil {
		t.Fatal(err)
	}
	var r events.APIGatewayProxyResponse
	if err := json.NewDecoder(response.(io.Reader)).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPathsArePutTogetherFromTheResource(t *testing.T) {
	handler, saw := watch()
	for _, test := range []struct {
		name, resource, path string
		parameters           map[string]string
		want                 string
	}{
		{"no parameter", "/api/v2/accounts", "/api/v2/accounts", nil, "/api/v2/accounts"},
		{"a trailing slash", "/api/v2/accounts", "/api/v2/accounts/", nil, "/api/v2/accounts/"},
		{"the rest of a path", "/admin/{page+}", "/admin/a%2Fb/c%20d", map[string]string{"page": "a%2Fb/c%20d"}, "/admin/a%2Fb/c%20d"},
		{"the rest of a path with a slash", "/admin/{page+}", "/admin/x/", map[string]string{"page": "x"}, "/admin/x/"},
		{"as the client escaped it", "/accounts/{id}", "/accounts/a%2Fb%20c", map[string]string{"id": "a%2Fb%20c"}, "/accounts/a%2Fb%20c"},
		{"an at sign escaped", "/accounts/{id}", "/accounts/x%40example.com", map[string]string{"id": "x%40example.com"}, "/accounts/x@example.com"},
		{"a percent sign", "/accounts/{id}", "/accounts/50%25", map[string]string{"id": "50%25"}, "/accounts/50%25"},
		{"what looks escaped twice", "/accounts/{id}", "/accounts/%252F", map[string]string{"id": "%252F"}, "/accounts/%252F"},
		{"unescaped on the way", "/accounts/{id}", "/accounts/a/b", map[string]string{"id": "a/b"}, "/accounts/a%2Fb"},
		{"no escape at all", "/accounts/{id}", "/accounts/50%", map[string]string{"id": "50%"}, "/accounts/50%25"},
		{"what would end a path", "/accounts/{id}", "/accounts/a?b#c", map[string]string{"id": "a?b#c"}, "/accounts/a%3Fb%23c"},
		{"dots", "/accounts/{id}", "/accounts/%2E%2E", map[string]string{"id": ".."}, "/accounts/%2E%2E"},
		{"plus", "/accounts/{id}", "/accounts/a+b", map[string]string{"id": "a+b"}, "/accounts/a+b"},
		{"two parameters", "/account_users/{id}/{account_id}", "/account_users/u/a", map[string]string{"id": "u", "account_id": "%C3%A9"}, "/account_users/u/%C3%A9"},
		{"no resource", "", "/accounts/a%2Fb", nil, "/accounts/a%2Fb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			streamOf(t, handler, events.APIGatewayProxyRequest{
				HTTPMethod: "GET", Resource: test.resource, Path: test.path, PathParameters: test.parameters,
			})
			if saw.path != test.want {
				t.Errorf("the handler sees %s, want %s", saw.path, test.want)
			}
		})
	}
}

func TestRequestsArriveAsTheyWereSent(t *testing.T) {
	handler, saw := watch()
	binary := "\x1f\x8b\x00\xff"
	streamOf(t, handler, events.APIGatewayProxyRequest{
		HTTPMethod: "POST", Resource: "/accounts", Path: "/accounts",
		MultiValueHeaders:               map[string][]string{"content-encoding": {"gzip"}, "Accept": {"a", "b"}, "Host": {"api.example.com"}},
		MultiValueQueryStringParameters: map[string][]string{"api_key": {"a b&c", "d"}},
		Body:                            base64.StdEncoding.EncodeToString([]byte(binary)), IsBase64Encoded: true,
	})
	if saw.body != binary || saw.header.Get("Content-Encoding") != "gzip" || len(saw.header["Accept"]) != 2 {
		t.Errorf("%+v", *saw)
	}
	if saw.host != "api.example.com" {
		t.Errorf("host %s", saw.host)
	}
	if saw.query != "api_key=a+b%26c&api_key=d" {
		t.Errorf("query %s", saw.query)
	}
	streamOf(t, handler, events.APIGatewayProxyRequest{HTTPMethod: "POST", Resource: "/accounts", Path: "/accounts", Body: `{"a":"é"}`})
	if saw.body != `{"a":"é"}` {
		t.Errorf("body %q", saw.body)
	}
}

// get is an event that says no more than it must.
var get = events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: "/accounts", Path: "/accounts"}

func TestAnswersOfAnySizeAreStreamedWhileTheyAreWritten(t *testing.T) {
	const chunks = 2 * maxPayload / (64 << 10)
	chunk := strings.Repeat("x", 64<<10)
	first := make(chan struct{})
	response := streamOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		w.Header().Set("Too-Late", "1")
		for i := range chunks {
			if i == 1 {
				<-first // the rest is not written before the beginning has been read
			}
			if _, err := io.WriteString(w, chunk); err != nil {
				t.Error(err)
			}
		}
	}), get)
	if response.StatusCode != http.StatusTooManyRequests || response.MultiValueHeaders["Retry-After"][0] != "1" || response.MultiValueHeaders["Too-Late"] != nil {
		t.Errorf("status %d, headers %v", response.StatusCode, response.MultiValueHeaders)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(chunk))); err != nil {
		t.Fatal(err)
	}
	close(first)
	n, err := io.Copy(io.Discard, response.Body)
	if want := int64((chunks - 1) * len(chunk)); err != nil || n != want {
		t.Errorf("%d bytes, %v; want %d", n, err, want)
	}
}

func TestAnAnswerThatIsCutOffIsNotTakenForAWholeOne(t *testing.T) {
	abort := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"results":[`)
		panic(http.ErrAbortHandler)
	})
	body, err := io.ReadAll(streamOf(t, abort, get).Body)
	if string(body) != `{"results":[` || !errors.Is(err, errCutOff) {
		t.Errorf("%s, %v", body, err)
	}
	r := wholeOf(t, abort, get)
	if r.StatusCode != http.StatusInternalServerError || r.Body != `{"status_is_ok":false,"message":"Internal error"}` {
		t.Errorf("%+v", r)
	}
}

func TestAReaderThatGivesUpEndsTheWriter(t *testing.T) {
	ended := make(chan error)
	response := streamOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, err := io.WriteString(w, "nobody reads this")
		ended <- err
	}), get)
	if err := response.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the writer is not told")
	}
}

func TestWholeAnswers(t *testing.T) {
	answer := func(body []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	if r := wholeOf(t, answer([]byte(`{"a":"é"}`)), get); r.StatusCode != http.StatusOK || r.Body != `{"a":"é"}` || r.IsBase64Encoded {
		t.Errorf("%+v", r)
	}
	if r := wholeOf(t, answer([]byte("\x1f\x8b\xff")), get); !r.IsBase64Encoded || r.Body != "H4v/" {
		t.Errorf("%+v", r)
	}
	// Quotes take two bytes in a payload.
	for _, size := range []int{maxPayload/2 - 1024, maxPayload / 2} {
		r := wholeOf(t, answer(bytes.Repeat([]byte(`"`), size)), get)
		switch fits := size < maxPayload/2; {
		case fits && (r.StatusCode != http.StatusOK || len(r.Body) != size):
			t.Errorf("%d bytes: status %d, %d bytes", size, r.StatusCode, len(r.Body))
		case !fits && (r.StatusCode != http.StatusInternalServerError || !strings.Contains(r.Body, "gzip")):
			t.Errorf("%d bytes: status %d: %.200s", size, r.StatusCode, r.Body)
		}
	}
}

func TestEventsOfSomethingElseAreRefused(t *testing.T) {
	handler, saw := watch()
	for _, event := range []string{`{}`, `[]`, `"x"`, `{"Records":[]}`, `{"httpMethod":"GET"}`, `{"httpMethod":1,"path":"/"}`,
		`{"httpMethod":"POST","path":"/accounts","body":"!","isBase64Encoded":true}`, `{"httpMethod":"A B","path":"/"}`} {
		for _, buffer := range []bool{false, true} {
			_, err := gateway(handler, buffer)(t.Context(), json.RawMessage(event))
			if err == nil {
				t.Errorf("%s: no error", event)
			}
		}
	}
	if saw.path != "" {
		t.Errorf("the handler sees %+v", *saw)
	}
}
