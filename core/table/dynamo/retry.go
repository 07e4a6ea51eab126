package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"tenure/core/table"
)

const (
	// attemptTimeout bounds one request. DynamoDB answers in milliseconds; a
	// connection that says nothing for that long is dead.
	attemptTimeout = 5 * time.Second
	// firstDelay and longestDelay bound the pause before a request is sent
	// again; the bound doubles each time.
	firstDelay   = 25 * time.Millisecond
	longestDelay = 2 * time.Second
	// maxUnclear is how many requests in a row may come to nothing for other
	// reasons than that DynamoDB is busy: no connection, no answer, an error
	// of the server. Being busy passes, so there ctx alone sets the end.
	maxUnclear = 8
)

// verdict says what the error of a request means for the next.
type verdict int

const (
	// final: sending the request again is useless.
	final verdict = iota
	// busy: the request was not carried out, and will be when it is sent again.
	busy
	// unclear: nobody knows whether the request was carried out.
	unclear
)

var (
	throttles  = retry.IsErrorThrottles(retry.DefaultThrottles)
	retryables = retry.IsErrorRetryables(retry.DefaultRetryables)
)

func judge(err error) verdict {
	var conflict *types.TransactionConflictException
	var cancelled *types.TransactionCanceledException
	switch {
	case errors.Is(err, errBusy), errors.As(err, &conflict), errors.As(err, &cancelled),
		throttles.IsErrorThrottle(err) == aws.TrueTernary:
		return busy
	case errors.Is(err, context.DeadlineExceeded), retryables.IsErrorRetryable(err) == aws.TrueTernary:
		return unclear
	}
	return final
}

// retry calls request, which sends one request, until it succeeds or fails for
// good, pausing in between. It sets *doubt, unless nil, as soon as a request
// may have been carried out although it failed.
//
// The error is request's own where that is decided; otherwise it is one of
// package table or that of ctx, and wraps the cause.
func (t *Table) retry(ctx context.Context, doubt *bool, request func(context.Context) error) error {
	var cause error
	limit, unclearInARow := firstDelay, 0
	for {
		if ctx.Err() != nil {
			return ended(ctx, cause)
		}
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := request(attempt)
		cancel()
		if err == nil || isDecided(err) {
			return err
		}
		v := judge(err)
		if doubt != nil && (v == unclear || ctx.Err() != nil) {
			*doubt = true
		}
		if ctx.Err() != nil {
			return ended(ctx, cause)
		}
		cause = err
		switch v {
		case final:
			var api smithy.APIError
			if errors.As(err, &api) && api.ErrorCode() == "ValidationException" {
				return fmt.Errorf("%w: %w", table.ErrInvalid, err)
			}
			return fmt.Errorf("%w: %w", table.ErrUnavailable, err)
		case busy:
			unclearInARow = 0
		case unclear:
			if unclearInARow++; unclearInARow == maxUnclear {
				return fmt.Errorf("%w: %w", table.ErrUnavailable, err)
			}
		}
		// Full jitter keeps those who collided once from doing so again.
		pause := time.NewTimer(rand.N(limit))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
		limit = min(2*limit, longestDelay)
	}
}

// isDecided reports whether err is already what the request came to.
func isDecided(err error) bool {
	for _, outcome := range []error{table.ErrConflict, table.ErrFenced, table.ErrInvalid, errAtFault} {
		if errors.Is(err, outcome) {
			return true
		}
	}
	return false
}

// ended returns the error of ctx, which has ended. If the table had been
// waiting for DynamoDB until then, because of cause, it is ErrUnavailable too.
func ended(ctx context.Context, cause error) error {
	if cause == nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w: %w", table.ErrUnavailable, ctx.Err(), cause)
}
