package resource

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tenure/core/table"
)

// A record whose body is larger than an item may be is compressed, and if that
// is not enough, split over items of a journal partition of its own; readers of
// this package's functions never notice. As with a journal, a job says that the
// parts may exist before they do, and the write of the record decides whether
// they count: whoever dies in between leaves nothing that Sweep does not find.

const (
	// inlineBytes is the longest body kept in the record's own item: the item's
	// limit less what the longest keys and attribute names take.
	inlineBytes = table.MaxItemBytes - 16*1024
	// maxBodyBytes is the longest body there can be, twice the longest upload.
	maxBodyBytes = 20 << 20
)

// packed is the body of a record's item that stands for a large body.
type packed struct {
	// Parts is the id of the journal partition that holds the text of Gzip, if
	// it is not here.
	Parts string `json:"~parts,omitempty"`
	// Gzip is the body, compressed, in base64.
	Gzip string `json:"~gzip,omitempty"`
	// Account is the account the record belongs to, for readers of the change
	// feed.
	Account string `json:"~account,omitempty"`
}

var packedPrefixes = [][]byte{[]byte(`{"~parts":`), []byte(`{"~gzip":`)}

func isPacked(body []byte) bool {
	return bytes.HasPrefix(body, packedPrefixes[0]) || bytes.HasPrefix(body, packedPrefixes[1])
}

// errReplaced says that the parts of a body were gone: the record has been
// written anew since its item was read.
var errReplaced = errors.New("the record was replaced while it was read")

// unpack puts the whole body in the place of a packed one. It returns the id
// of the parts, if there are any.
func (e *Engine) unpack(ctx context.Context, workspace string, item *table.Item) (parts string, err error) {
	if !isPacked(item.Body) {
		return "", nil
	}
	var p packed
	if err := json.Unmarshal(item.Body, &p); err != nil {
		return "", err
	}
	if p.Parts != "" {
		var text []byte
		for part, err := range e.scan(ctx, table.Query{
			Partition: journalPartition(workspace, p.Parts), Limit: 8, Consistent: true,
		}) {
			if err != nil {
				return "", err
			}
			text = append(text, part.Body...)
		}
		if len(text) == 0 {
			return "", errReplaced
		}
		p.Gzip = string(text)
	}
	compressed, err := base64.StdEncoding.DecodeString(p.Gzip)
	if err != nil {
		return "", errReplaced // parts are removed one after the other
	}
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return "", errReplaced
	}
	if item.Body, err = io.ReadAll(reader); err != nil {
		return "", errReplaced
	}
	return p.Parts, nil
}

// pack returns the body of the record's item for a large body, and the texts
// to be split off it, if any.
func pack(body []byte) (packed, []string, error) {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	if _, err := writer.Write(body); err != nil {
		return packed{}, nil, err
	}
	if err := writer.Close(); err != nil {
		return packed{}, nil, err
	}
	text := base64.StdEncoding.EncodeToString(compressed.Bytes())
	if len(text) <= inlineBytes-2048 {
		return packed{Gzip: text}, nil, nil
	}
	var parts []string
	for len(text) > 0 {
		n := min(len(text), inlineBytes)
		parts, text = append(parts, text[:n]), text[n:]
	}
	return packed{Parts: rand.Text()}, parts, nil
}

// withPacked carries out commit, the write of a slot's record, with the body
// packed if it is large, and clears away the parts that no longer count. What
// commit is given as held has to be written in one transaction with the record.
func (e *Engine) withPacked(ctx context.Context, w *write, s *slot, main table.Op, commit func(main table.Op, held []table.Op) error) error {
	if len(main.Item.Body) <= inlineBytes && s.parts == "" {
		return commit(main, nil)
	}
	var held []table.Op
	if len(main.Item.Body) > maxBodyBytes {
		return fmt.Errorf("%w: the record is larger than %d MB", table.ErrInvalid, maxBodyBytes>>20)
	}
	var p packed
	if len(main.Item.Body) > inlineBytes {
		var texts []string
		var err error
		if p, texts, err = pack(main.Item.Body); err != nil {
			return err
		}
		p.Account = s.state[w.family.Account].Text()
		if main.Item.Body, err = json.Marshal(p); err != nil {
			return err
		}
		if p.Parts != "" {
			opened, err := e.openJournal(ctx, w, main.Item.Key, p.Parts)
			if err != nil {
				return err
			}
			held = append(held, opened)
			ops := make([]table.Op, len(texts))
			for i, text := range texts {
				key := table.Key{Partition: journalPartition(w.workspace, p.Parts), Sort: sortNumber(int64(i))}
				ops[i] = table.Put(table.Item{Key: key, Version: e.nextVersion(0), Body: []byte(text)}, table.Condition{})
			}
			if err := errors.Join(e.table.Write(ctx, ops, w.guard)...); err != nil {
				return err // Sweep clears the parts away
			}
		}
	}
	var gone []string
	if s.parts != "" {
		gone = []string{journalPartition(w.workspace, s.parts)}
	}
	err := e.dropping(ctx, w, s.key, gone, held, func(held []table.Op) error { return commit(main, held) })
	switch {
	case p.Parts == "":
	case err == nil:
		err = e.closeJob(ctx, w.workspace, p.Parts)
	case refused(err):
		err = errors.Join(err, e.dropJournal(ctx, w.workspace, p.Parts))
	}
	return err // if nobody knows whether the parts count, Sweep will find out
}

// refused reports whether a write certainly did not take place.
func refused(err error) bool {
	return errors.Is(err, table.ErrConflict) || errors.Is(err, table.ErrFenced) || errors.Is(err, table.ErrInvalid)
}
