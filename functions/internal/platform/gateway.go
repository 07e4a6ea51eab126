package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// gateway returns the Lambda handler that puts API Gateway's events to an HTTP
// handler. Answers are streamed, so that their size is not limited to that of a
// Lambda payload, or with buffer returned whole.
func gateway(handler http.Handler, buffer bool) func(context.Context, json.RawMessage) (any, error) {
	handler = namingHost(handler)
	adapter := httpadapter.New(handler)
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		event, err := proxyEvent(payload)
		if err != nil {
			return nil, err
		}
		ctx, call := withInvocation(ctx)
		if buffer {
			answer, err := buffered(ctx, adapter, event)
			if err != nil {
				return nil, err
			}
			return whole{bytes.NewReader(answer), call}, nil
		}
		request, err := adapter.EventToRequestWithContext(ctx, event)
		if err != nil {
			return nil, err
		}
		answer, body := streamed(handler, request)
		answer.Body = streamedBody{body, call}
		return answer, nil
	}
}

// namingHost has a request name the host it was sent to, as it does everywhere
// but where it is made from an event.
func namingHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := r.Header.Get("Host"); host != "" {
			r.Host = host
		}
		next.ServeHTTP(w, r)
	})
}

// proxyEvent reads an event of a REST API's Lambda proxy integration. Its path
// is put together from the template of the resource and the values of its
// parameters, which gateways agree on better than on the path as a whole.
func proxyEvent(payload json.RawMessage) (events.APIGatewayProxyRequest, error) {
	var event events.APIGatewayProxyRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return event, fmt.Errorf("the event is not one of an API Gateway proxy integration: %w", err)
	}
	if event.HTTPMethod == "" || event.Path == "" {
		return event, errors.New("the event is not one of an API Gateway proxy integration: it needs httpMethod and path")
	}
	if event.Resource != "" {
		trailing := strings.HasSuffix(event.Path, "/") || strings.HasSuffix(event.RequestContext.Path, "/")
		event.Path = pathParameter.ReplaceAllStringFunc(event.Resource, func(name string) string {
			if rest, greedy := strings.CutSuffix(strings.Trim(name, "{}"), "+"); greedy {
				segments := strings.Split(event.PathParameters[rest], "/")
				for i := range segments {
					segments[i] = segment(segments[i])
				}
				return strings.Join(segments, "/")
			}
			return segment(event.PathParameters[strings.Trim(name, "{}")])
		})
		if trailing && !strings.HasSuffix(event.Path, "/") { // which no resource has
			event.Path += "/"
		}
	}
	return event, nil
}

// pathParameter is one segment of a path, or with + the rest of it.
var pathParameter = regexp.MustCompile(`\{\w+\+?\}`)

// segment returns a path parameter, which API Gateway hands on as the client
// escaped it, as a segment of a path.
func segment(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		value = plain
	}
	switch value {
	case ".", "..": // which would mean something else unescaped
		return strings.ReplaceAll(value, ".", "%2E")
	}
	return url.PathEscape(value)
}

// maxPayload is the largest payload, in bytes, that Lambda takes or returns
// whole.
const maxPayload = 6 << 20

// tooLarge answers where an answer does not fit a payload.
var tooLarge = events.APIGatewayProxyResponse{
	StatusCode: http.StatusInternalServerError,
	Headers:    map[string]string{"Content-Type": "application/json"},
	Body: `{"status_is_ok":false,"message":"The answer exceeds the 6 MB that can be returned whole: ` +
		`send Accept-Encoding: gzip, or have the deployment stream its answers (RESPONSE_MODE)"}`,
}

// failed answers where a handler gave up in the middle of its answer, none of
// which has been sent yet.
var failed = events.APIGatewayProxyResponse{
	StatusCode: http.StatusInternalServerError,
	Headers:    map[string]string{"Content-Type": "application/json"},
	Body:       `{"status_is_ok":false,"message":"Internal error"}`,
}

// buffered returns the handler's whole answer, as JSON.
func buffered(ctx context.Context, adapter *httpadapter.HandlerAdapter, event events.APIGatewayProxyRequest) (json.RawMessage, error) {
	response, err := func() (response events.APIGatewayProxyResponse, err error) {
		defer func() {
			if recover() != nil { // the handler has logged why
				response, err = failed, nil
			}
		}()
		return adapter.ProxyWithContext(ctx, event)
	}()
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(response)
	if err == nil && len(payload) > maxPayload {
		payload, err = json.Marshal(tooLarge)
	}
	return payload, err
}

// errCutOff says that a handler gave up in the middle of its answer.
var errCutOff = errors.New("the answer was cut off")

// streamed lets the handler answer while what it has written is on its way. It
// returns the answer and its body apart.
func streamed(handler http.Handler, request *http.Request) (*events.APIGatewayProxyStreamingResponse, *io.PipeReader) {
	body, written := io.Pipe()
	w := &streamWriter{header: http.Header{}, body: written, begun: make(chan struct{})}
	go func() {
		defer func() {
			if p := recover(); p != nil { // the handler has logged why
				written.CloseWithError(errCutOff)
			}
			w.begin(http.StatusInternalServerError)
			written.Close()
		}()
		handler.ServeHTTP(w, request)
		w.begin(http.StatusOK)
	}()
	<-w.begun
	return &events.APIGatewayProxyStreamingResponse{StatusCode: w.status, MultiValueHeaders: w.sent}, body
}

// streamWriter is the http.ResponseWriter of a streamed answer.
type streamWriter struct {
	header, sent http.Header
	status       int
	body         *io.PipeWriter
	begun        chan struct{} // closed once status and headers are final
}

func (w *streamWriter) Header() http.Header { return w.header }

func (w *streamWriter) WriteHeader(status int) { w.begin(status) }

func (w *streamWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.body.Write(p)
}

// Flush does nothing: whatever is written is on its way.
func (w *streamWriter) Flush() {}

func (w *streamWriter) begin(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	close(w.begun)
}
