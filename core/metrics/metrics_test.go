package metrics_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/schema"
)

// metric reads a record of an upload.
func metric(object string) (schema.Record, *core.Failure) {
	if err := schema.Valid([]byte(object)); err != nil {
		panic(err)
	}
	p, failure := metrics.Family.Schema.Decode([]byte(object), true)
	if failure != nil {
		return nil, failure
	}
	return metrics.Family.Merge(resource.Change{Patch: p, Now: 1})
}

func TestMetricsAreRefusedByName(t *testing.T) {
	const points = `"metrics":[{"timestamp":1,"value":2}]`
	for _, c := range []struct {
		object string
		code   core.Code // "" for none
		field  string
	}{
		{`{"name":"m","account_id":"a",` + points + `}`, "", ""},
		{`{"name":"m","account_id":7,` + points + `}`, "", ""},
		{`{"name":"m","account_id":"a","metrics":[]}`, "", ""},
		{`{"name":"account_id","account_id":"a",` + points + `}`, core.NotAChoice, "name"}, // Q22
		{`{"name":"account\u005fid","account_id":"a",` + points + `}`, core.NotAChoice, "name"},
		{`{"name":"Account_ID","account_id":"a",` + points + `}`, "", ""},
		{`{"name":"timestamp","account_id":"a",` + points + `}`, "", ""},
		{`{"name":7,"account_id":"a",` + points + `}`, core.WrongType, "name"},
		{`{"name":"","account_id":"a",` + points + `}`, core.MissingField, "name"},
		{`{"account_id":"a",` + points + `}`, core.MissingField, "name"},
		{`{"name":"m",` + points + `}`, core.MissingField, "account_id"},
		{`{"name":"m","account_id":"a"}`, core.MissingField, "metrics"},
		{`{"name":"m","account_id":"a","metrics":null}`, core.MissingField, "metrics"},
		{`{"name":"m","account_id":"a","metrics":{}}`, core.WrongType, "metrics"},
		{`{"name":"m","account_id":"a","metrics":[{"timestamp":1}]}`, core.MissingField, "metrics.value"},
		{`{"name":"m","account_id":"a","metrics":[{"timestamp":1,"value":null}]}`, core.MissingField, "metrics.value"},
		{`{"name":"m","account_id":"a","metrics":[{"value":1}]}`, core.MissingField, "metrics.timestamp"},
		{`{"name":"m","account_id":"a","metrics":[{"timestamp":1.5,"value":1}]}`, core.WrongType, "metrics.timestamp"},
		{`{"name":"m","account_id":"a","metrics":[{"timestamp":1,"value":"1"}]}`, core.WrongType, "metrics.value"},
		{`{"name":"m","account_id":"a","metrics":[{"timestamp":1,"value":1e309}]}`, core.OutOfRange, "metrics.value"},
	} {
		_, failure := metric(c.object)
		switch {
		case c.code == "" && failure != nil:
			t.Errorf("%s: %v", c.object, failure)
		case c.code != "" && (failure == nil || failure.Code != c.code || failure.Field != c.field):
			t.Errorf("%s: %+v, want %s of %s", c.object, failure, c.code, c.field)
		}
	}
}

func TestPointsAreNotKeptInTheRecord(t *testing.T) {
	r, failure := metric(`{"name":"m","account_id":"a","metrics":[{"timestamp":1,"value":2}]}`)
	if got := string(metrics.Family.Schema.AppendStored(nil, r)); failure != nil || got != `{"name":"m","account_id":"a"}` {
		t.Errorf("stored is %s, %v", got, failure)
	}
}

func TestPointsLieInTheOrderOfTheirInstants(t *testing.T) {
	key := func(timestamp int64, value float64) string {
		return metrics.Family.Beside.SortKey(schema.Record{schema.Int(timestamp), schema.Int(int64(value))})
	}
	rapid.Check(t, func(t *rapid.T) {
		instants := rapid.SliceOfNDistinct(rapid.Int64(), 2, 5, rapid.ID).Draw(t, "instants")
		slices.Sort(instants)
		for i, at := range instants {
			if key(at, 1) != key(at, 2) {
				t.Fatalf("two values of %d lie beside each other", at)
			}
			if i > 0 && key(instants[i-1], 9) >= key(at, 1) {
				t.Fatalf("%d does not lie before %d", instants[i-1], at)
			}
		}
	})
}
