package platform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"tenure/core/api"
	"tenure/core/calls"
)

// A call of a function is over for its client once the answer has been handed
// over, and for Lambda once the function asks for the next one: what is done in
// between keeps nobody waiting. There the log of API calls is written.

// recordTimeout bounds how long a call is written, and with it how long its
// function is kept from the next one.
const recordTimeout = time.Second

// invocation is one call of the function, which waits at its end for what was
// left for then.
type invocation struct {
	mu   sync.Mutex
	left []chan struct{} // each is closed once it is done
}

type invocationKey struct{}

// withInvocation returns a context in which work can be left for after the
// answer.
func withInvocation(ctx context.Context) (context.Context, *invocation) {
	i := &invocation{}
	return context.WithValue(ctx, invocationKey{}, i), i
}

// leave begins some work that nobody but the end of the call waits for.
func (i *invocation) leave(work func()) {
	done := make(chan struct{})
	i.mu.Lock()
	i.left = append(i.left, done)
	i.mu.Unlock()
	go func() {
		defer close(done)
		work()
	}()
}

// wait waits for the work that was left by now.
func (i *invocation) wait() {
	i.mu.Lock()
	left := i.left
	i.mu.Unlock()
	for _, done := range left {
		<-done
	}
}

// recorder tells of the requests that were answered: in the function's own log,
// and in the workspace's.
type recorder struct {
	calls    *calls.Log
	log      *slog.Logger
	measured *measurements
}

// served takes up a request that was answered. Whatever becomes of it, the
// answer stays what it is.
func (r *recorder) served(ctx context.Context, s api.Served) {
	r.measured.served(ctx, s)
	if s.Workspace == "" {
		return
	}
	record := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untilRecorded(ctx))
		defer cancel()
		if err := r.calls.Record(ctx, s.Workspace, s.Call); err != nil {
			r.log.WarnContext(ctx, "an API call was not logged", "error", err)
		}
	}
	if i, ok := ctx.Value(invocationKey{}).(*invocation); ok {
		i.leave(record)
		return
	}
	record()
}

// untilRecorded returns how long a call may be written: Lambda ends a function
// that takes longer than it may, even where its client has the answer.
func untilRecorded(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return recordTimeout
	}
	return min(recordTimeout, time.Until(deadline)*patienceShare/100)
}

// whole is an answer that is complete. It is handed over as it stands, and
// closed once it has been.
type whole struct {
	*bytes.Reader
	*invocation
}

// MarshalJSON says that the answer is to be read instead.
func (whole) MarshalJSON() ([]byte, error) { return nil, errors.New("the answer is JSON already") }

// ContentType returns the type of the answer.
func (whole) ContentType() string { return "application/json" }

// Close waits for what was left.
func (w whole) Close() error {
	w.wait()
	return nil
}

// streamedBody is the body of a streamed answer, closed once that has been
// handed over.
type streamedBody struct {
	*io.PipeReader
	*invocation
}

// Close ends the writer, should it still write, and waits for what was left.
func (b streamedBody) Close() error {
	err := b.PipeReader.Close()
	b.wait()
	return err
}
