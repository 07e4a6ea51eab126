// Package syncing is what the functions that have to do with sources share: the
// store of sources, and the queue of their runs.
package syncing

import (
	"context"
	"errors"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/connectors"
	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/sources"
	"tenure/functions/internal/platform"
	"tenure/functions/internal/queues"
)

// Open returns the sources of a deployment, and the queue of their runs.
func Open(env platform.Environment) (*sources.Store, queues.Queue, error) {
	if env.Settings.Key == "" || env.Settings.SourcesQueue == "" {
		return nil, queues.Queue{}, errors.New("KEY_ARN or SOURCES_QUEUE is not set")
	}
	queue := queues.Open(env.AWS, env.Settings.SourcesQueue, "source")
	return sources.New(sources.Config{
		Table: env.Table, Engine: env.Engine, Access: env.Keys, Families: catalog.All(), Connectors: connectors.All(),
		Sealer: secrets.New(kms.New(awskms.NewFromConfig(env.AWS), env.Settings.Key)), Start: queue.Start,
	}), queue, nil
}

// Job returns the runs of sources. A tick sends a message for each that there is
// something to do for.
func Job(env platform.Environment) (platform.Job, error) {
	s, queue, err := Open(env)
	if err != nil {
		return platform.Job{}, err
	}
	return platform.Job{
		Queue: queue.Queue,
		Work: queue.Work(func(ctx context.Context, workspace, task string) (more bool, err error) {
			more, err = s.Work(ctx, workspace, task)
			if errors.Is(err, access.ErrLocked) {
				// Whoever is at work on it goes on, and the next tick sees what is left.
				return false, nil
			}
			return more, err
		}),
		Tick: func(ctx context.Context, workspace string) error {
			due, err := s.Due(ctx, workspace)
			for _, task := range due {
				err = errors.Join(err, queue.Start(ctx, workspace, task))
			}
			return err
		},
	}, nil
}
