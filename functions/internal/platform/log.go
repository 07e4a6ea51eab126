package platform

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"tenure/core/api"
)

// newLog returns a log of JSON lines, as CloudWatch Logs takes them apart.
func newLog(to io.Writer, function string) *slog.Logger {
	return slog.New(withRequestID{slog.NewJSONHandler(to, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				a.Key = "timestamp" // the name by which Lambda knows it
			}
			return a
		},
	})}).With("Function", function)
}

// withRequestID adds the id of the call to what is logged about it.
type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("request_id", lc.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}

// namespace is that of the metrics in CloudWatch.
const namespace = "Tenure"

// measurements logs lines that CloudWatch reads metrics from (the embedded
// metric format): one line is both the log of a call and its measurements.
type measurements struct {
	log        *slog.Logger
	deployment string
}

// metric is one measurement, by the name of its metric.
type metric struct {
	name, unit string
	value      float64
}

// emit logs a line with measurements in it.
func (m *measurements) emit(ctx context.Context, message string, metrics []metric, attrs ...slog.Attr) {
	type definition struct{ Name, Unit string }
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	definitions := make([]definition, len(metrics))
	for i, measured := range metrics {
		definitions[i] = definition{measured.name, measured.unit}
		attrs = append(attrs, slog.Float64(measured.name, measured.value))
	}
	attrs = append(attrs, slog.String("Deployment", m.deployment), slog.Any("_aws", struct {
		Timestamp         int64
		CloudWatchMetrics []directive
	}{time.Now().UnixMilli(), []directive{{namespace, [][]string{{"Deployment", "Function"}}, definitions}}}))
	m.log.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
}

// served logs a request that was answered, but nothing that the client chose.
func (m *measurements) served(ctx context.Context, s api.Served) {
	metrics := []metric{
		{"Requests", "Count", 1},
		{"ServerErrors", "Count", count(s.Status >= http.StatusInternalServerError)},
		{"Refusals", "Count", count(!s.Success && s.Status < http.StatusInternalServerError)},
		{"Duration", "Milliseconds", s.DurationMS},
		{"BodyBytes", "Bytes", float64(s.BodyBytes)},
	}
	attrs := []slog.Attr{
		slog.String("method", s.Method), slog.String("route", s.Endpoint), slog.String("workspace", s.Workspace),
		slog.Int("status", s.Status), slog.Bool("ok", s.Success),
	}
	if s.Code != "" {
		attrs = append(attrs, slog.String("code", string(s.Code)))
	}
	if r := s.Records; r != nil {
		metrics = append(metrics, metric{"RecordsInserted", "Count", float64(r.Inserted)}, metric{"RecordsChanged", "Count", float64(r.Changed)},
			metric{"RecordsUnchanged", "Count", float64(r.Unchanged)}, metric{"RecordsFailed", "Count", float64(r.Failed)})
	}
	m.emit(ctx, "request", metrics, attrs...)
}

// pages logs each request for a page that was answered, without what stands in
// its path.
func (m *measurements) pages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			m.emit(r.Context(), "page", []metric{
				{"Requests", "Count", 1},
				{"ServerErrors", "Count", count(seen.status >= http.StatusInternalServerError)},
				{"Duration", "Milliseconds", float64(time.Since(began).Microseconds()) / 1000},
			}, slog.String("route", r.Pattern), slog.Int("status", seen.status))
		}()
		next.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func count(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
