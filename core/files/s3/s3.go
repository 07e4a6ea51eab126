// Package s3 keeps files in a bucket of S3.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"tenure/core/files"
)

const (
	// chunkBytes is how much of a file is read by one request, and held in memory.
	chunkBytes = 8 << 20
	// partBytes is the size of the parts that a file of unknown size is written in.
	partBytes = 8 << 20
	// formLife is how long a form for sending a file straight to the bucket is good
	// for.
	formLife = time.Hour
)

// Store keeps files in a bucket.
type Store struct {
	client  *s3.Client
	bucket  string
	manager *transfermanager.Client
}

// Open returns the store in a bucket.
func Open(client *s3.Client, bucket string) *Store {
	return &Store{client, bucket, transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.Concurrency = partBytes, 1
	})}
}

// NewClient returns a client of S3. An endpoint that stands in for AWS has all
// buckets below one name.
func NewClient(config aws.Config) *s3.Client {
	return s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = config.BaseEndpoint != nil })
}

// Write implements files.Store.
func (s *Store) Write(ctx context.Context, name string, r io.Reader, limit int64) (int64, error) {
	if err := files.CheckName(name); err != nil {
		return 0, err
	}
	limited := &limitedReader{from: r, left: limit}
	_, err := s.manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &s.bucket, Key: &name, Body: limited})
	if limited.err != nil { // which the manager wraps in words of its own
		return 0, limited.err
	}
	return limited.read, known(ctx, err)
}

// limitedReader fails once it has read too much.
type limitedReader struct {
	from       io.Reader
	left, read int64
	err        error // why it failed
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.from.Read(p)
	l.read += int64(n)
	l.left -= int64(n)
	if l.left < 0 {
		n, err = 0, files.ErrTooLarge
	}
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}

// Stat implements files.Store.
func (s *Store) Stat(ctx context.Context, name string) (files.Info, error) {
	if err := files.CheckName(name); err != nil {
		return files.Info{}, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return files.Info{}, known(ctx, err)
	}
	return files.Info{Size: aws.ToInt64(head.ContentLength), Tag: aws.ToString(head.ETag)}, nil
}

// Open implements files.Store.
func (s *Store) Open(ctx context.Context, name, tag string) (io.ReadCloser, error) {
	info, err := s.Stat(ctx, name)
	if err == nil && tag != "" && tag != info.Tag {
		err = files.ErrChanged
	}
	if err != nil {
		return nil, err
	}
	return &reader{store: s, ctx: ctx, name: name, info: info}, nil
}

// reader reads a file chunk by chunk: who reads slowly keeps no connection
// waiting, which S3 would close.
type reader struct {
	store *Store
	ctx   context.Context
	name  string
	info  files.Info
	next  int64 // where the next chunk begins
	chunk bytes.Reader
	buf   []byte
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.chunk.Len() == 0 {
		if r.next == r.info.Size {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	return r.chunk.Read(p)
}

// Close lets go of what was read.
func (r *reader) Close() error {
	r.buf = nil
	r.next = r.info.Size
	r.chunk.Reset(nil)
	return nil
}

// bodyTries is how often a chunk is asked for whose body breaks off; requests
// that fail are repeated by the client.
const bodyTries = 3

// fetch reads the next chunk.
func (r *reader) fetch() (err error) {
	length := min(chunkBytes, r.info.Size-r.next)
	if int64(cap(r.buf)) < length {
		r.buf = make([]byte, length)
	}
	for range bodyTries {
		var object *s3.GetObjectOutput
		object, err = r.store.client.GetObject(r.ctx, &s3.GetObjectInput{
			Bucket: &r.store.bucket, Key: &r.name, IfMatch: &r.info.Tag,
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", r.next, r.next+length-1)),
		})
		if err != nil {
			return known(r.ctx, err)
		}
		_, err = io.ReadFull(object.Body, r.buf[:length])
		if err = errors.Join(err, object.Body.Close()); err == nil {
			r.next += length
			r.chunk.Reset(r.buf[:length])
			return nil
		}
	}
	return known(r.ctx, err)
}

// Remove implements files.Store.
func (s *Store) Remove(ctx context.Context, prefix string) error {
	if err := files.CheckPrefix(prefix); err != nil {
		return err
	}
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return known(ctx, err)
		}
		var keys []types.ObjectIdentifier
		for _, object := range page.Contents {
			keys = append(keys, types.ObjectIdentifier{Key: object.Key})
		}
		if len(keys) == 0 {
			continue
		}
		deleted, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Objects: keys, Quiet: aws.Bool(true)}})
		if err != nil {
			return known(ctx, err)
		}
		for _, e := range deleted.Errors {
			err = errors.Join(err, fmt.Errorf("removing %s: %s", aws.ToString(e.Key), aws.ToString(e.Message)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Form returns the form by which a browser may send, within an hour, one file of
// at most limit bytes, which is then stored under a name.
func (s *Store) Form(ctx context.Context, name string, limit int64) (*files.Form, error) {
	if err := files.CheckName(name); err != nil {
		return nil, err
	}
	signed, err := s3.NewPresignClient(s.client).PresignPostObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &name},
		func(o *s3.PresignPostOptions) {
			o.Expires = formLife // besides the key, which the presigner binds it to
			o.Conditions = []any{[]any{"content-length-range", 0, limit}}
		})
	if err != nil {
		return nil, err
	}
	form := &files.Form{Action: signed.URL}
	for field, value := range signed.Values {
		form.Fields = append(form.Fields, files.Field{Name: field, Value: value})
	}
	slices.SortFunc(form.Fields, func(a, b files.Field) int { return strings.Compare(a.Name, b.Name) })
	return form, nil
}

// known returns an error as the port has it.
func known(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%w: %w", ended, err)
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		switch e.ErrorCode() {
		case "NoSuchKey", "NotFound":
			return fmt.Errorf("%w: %w", files.ErrNotFound, err)
		case "PreconditionFailed":
			return fmt.Errorf("%w: %w", files.ErrChanged, err)
		}
	}
	return err
}
