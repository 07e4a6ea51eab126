package csvfile

import (
	"bufio"
	"io"
	"slices"

	"tenure/core"
	"tenure/core/resource"
)

// Row is one row of a file. It stays valid when others are read.
type Row struct {
	// Number counts the rows from 1; header, comments and blank rows do not count.
	Number int
	// Line is the line of the file in which the row begins, from 1.
	Line int
	// Cells are the cells as the file has them.
	Cells []string
	// Record is a JSON object, ready for Schema.Decode. With a Failure it holds
	// the cells that could be read.
	Record []byte
	// Failure says which column cannot be read; nil when all can.
	Failure *core.Failure
}

// Input decodes the row as the API decodes a record.
func (r *Row) Input(f *resource.Family) resource.Input {
	patch, failure := f.Schema.Decode(r.Record, false)
	if r.Failure != nil {
		failure = r.Failure
	}
	return resource.Input{Patch: patch, Failure: failure}
}

// Options say what of a file is read.
type Options struct {
	// After is the number of the row behind which reading begins: a job that is
	// resumed passes over the rows it has done. 0 for all rows.
	After int
}

// Reader reads the rows of a file that Inspect has accepted.
type Reader struct {
	in    *counter
	rows  *rows
	plan  *plan
	after int
	n     int
}

// NewReader returns a reader of the rows of a family's file, in the dialect that
// Inspect has found. A *core.Failure says that it is not the file that was
// inspected; any other error is r's.
func NewReader(r io.Reader, d *Dialect, f *resource.Family, o Options) (*Reader, error) {
	in := &counter{r: r}
	text, _, err := decoded(bufio.NewReaderSize(in, bufferSize), d.Encoding)
	if err != nil {
		return nil, err
	}
	rows, err := newRows(text, layout{separator: d.separator(), sepLine: d.SepLine, macLines: d.LineEnding == "cr"}, nil)
	if err == io.EOF {
		return nil, errOther
	} else if err != nil {
		return nil, err
	}
	header, _, err := rows.next()
	switch {
	case err == io.EOF || err == nil && !slices.Equal(header, d.Header):
		return nil, errOther
	case err != nil:
		return nil, err
	}
	columns, failure := resolveAll(f.Schema, header)
	if failure != nil {
		return nil, failure
	}
	return &Reader{in: in, rows: rows, plan: newPlan(f.Schema, columns), after: o.After}, nil
}

var errOther = malformed("The file is not the one that was checked: upload it again")

// Next returns the next row, or io.EOF behind the last one. A *core.Failure says
// that the file cannot be read on, and is not the one that was inspected.
func (r *Reader) Next() (*Row, error) {
	for {
		cells, line, err := r.rows.next()
		if err != nil {
			return nil, err
		}
		if r.n++; r.n <= r.after {
			continue
		}
		row := &Row{Number: r.n, Line: line, Cells: cells}
		row.Record, row.Failure = r.plan.appendRecord(make([]byte, 0, r.plan.size(cells)), cells)
		if failure := misplaced(r.plan.columns, cells, line); failure != nil {
			row.Failure = failure
		}
		return row, nil
	}
}

// Bytes returns how much of the file has been read.
func (r *Reader) Bytes() int64 { return r.in.n }
