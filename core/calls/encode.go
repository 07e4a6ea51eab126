package calls

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"tenure/core"
	"tenure/core/table"
)

// A call is to be a small item: a write costs by the KB, and reading the log
// reads a thousand of them.
const (
	// MaxFailures is how many failures are kept of a call at most.
	MaxFailures = 100
	// maxFailuresBytes is about how much they take in the item at most.
	maxFailuresBytes = 3 << 10
	// packFrom is from how many bytes on they are compressed.
	packFrom = 512
	// maxMessage is how much is kept of a message, maxID of an id, in code points.
	maxMessage = 300
	maxID      = 256
)

// stored is the body of a call's item: what does not follow from its key.
type stored struct {
	Method   string    `json:"m"`
	Endpoint string    `json:"e"`
	Status   int       `json:"s"`
	Success  bool      `json:"ok,omitempty"` // of a read; a write's is in its partition
	Code     core.Code `json:"c,omitempty"`
	Field    string    `json:"f,omitempty"`
	Message  string    `json:"t,omitempty"`
	Records  *[5]int   `json:"r,omitempty"` // received, inserted, changed, unchanged, failed
	DryRun   bool      `json:"d,omitempty"`
	Micros   int64     `json:"us"`
	Bytes    int64     `json:"b,omitempty"`
	// Failures are the failures as they are, Packed the same compressed.
	Failures json.RawMessage `json:"x,omitempty"`
	Packed   string          `json:"z,omitempty"`
}

func (c *Call) encode() ([]byte, error) {
	s := stored{
		Method: c.Method, Endpoint: c.Endpoint, Status: c.Status, Success: c.Success && c.Kind == Read, Code: c.Code, Field: cut(c.Field, maxID),
		Message: cut(c.Message, maxMessage), DryRun: c.DryRun, Micros: int64(c.DurationMS * 1000), Bytes: c.BodyBytes,
	}
	if r := c.Records; r != nil {
		s.Records = &[5]int{r.Received, r.Inserted, r.Changed, r.Unchanged, r.Failed}
	}
	if err := s.setFailures(c.Failures); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// setFailures keeps as many of the first failures as may be, and one at least.
func (s *stored) setFailures(all []Failure) error {
	all = all[:min(len(all), MaxFailures)]
	short := make([]Failure, len(all))
	for i, f := range all {
		f.Message, f.Field = cut(f.Message, maxMessage), cut(f.Field, maxID)
		ids := make(map[string]string, len(f.IDs))
		for name, id := range f.IDs {
			ids[name] = cut(id, maxID)
		}
		f.IDs = ids
		short[i] = f
	}
	for n := len(short); n > 0; {
		text, err := json.Marshal(short[:n])
		if err != nil {
			return err
		}
		if len(text) < packFrom {
			s.Failures = text
			return nil
		}
		packed, err := pack(text)
		if err != nil {
			return err
		}
		if len(packed) <= maxFailuresBytes || n == 1 {
			s.Packed = packed
			return nil
		}
		// What is left out makes room in proportion, more or less.
		n = max(1, min(n-1, n*maxFailuresBytes/len(packed)))
	}
	return nil
}

// pack compresses text. Stateless compression is worth less by a little, and
// takes next to no memory and no time to set up.
func pack(text []byte) (string, error) {
	var b bytes.Buffer
	if err := flate.StatelessDeflate(&b, text, true, nil); err != nil {
		return "", err
	}
	return base64.RawStdEncoding.EncodeToString(b.Bytes()), nil
}

func unpack(packed string) ([]byte, error) {
	compressed, err := base64.RawStdEncoding.DecodeString(packed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(flate.NewReader(bytes.NewReader(compressed)))
}

// cut returns the first n code points of text, and an ellipsis in place of what
// was longer.
func cut(text string, n int) string {
	if len(text) <= n || utf8.RuneCountInString(text) <= n {
		return text
	}
	for i := range text {
		if n--; n == 0 {
			return text[:i] + "…"
		}
	}
	return text
}

// decode returns the call that an item holds, without its failures but for with.
func decode(p place, item *table.Item, withFailures bool) (Call, error) {
	var s stored
	if err := json.Unmarshal(item.Body, &s); err != nil {
		return Call{}, fmt.Errorf("call %s: %w", item.Sort, err)
	}
	c := Call{
		ID: p.id(item.Sort), Time: stamped(item.Sort) / 1000, Method: s.Method, Endpoint: s.Endpoint, Family: p.family, Kind: Write,
		KeyID: p.key, Success: s.Success || p.outcome == succeeded, Status: s.Status, Code: s.Code, Field: s.Field, Message: s.Message,
		DryRun: s.DryRun, DurationMS: float64(s.Micros) / 1000, BodyBytes: s.Bytes,
	}
	if p.outcome == read {
		c.Kind = Read
	}
	if r := s.Records; r != nil {
		c.Records = &Records{Received: r[0], Inserted: r[1], Changed: r[2], Unchanged: r[3], Failed: r[4]}
	}
	if !withFailures {
		return c, nil
	}
	text := []byte(s.Failures)
	if s.Packed != "" {
		var err error
		if text, err = unpack(s.Packed); err != nil {
			return Call{}, fmt.Errorf("call %s: %w", item.Sort, err)
		}
	}
	if len(text) == 0 {
		return c, nil
	}
	return c, json.Unmarshal(text, &c.Failures)
}
