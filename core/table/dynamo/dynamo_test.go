package dynamo_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
)

func TestGetOfMoreThanOneAnswerHolds(t *testing.T) {
	t.Parallel()
	// An answer of BatchGetItem ends at 16 MB and leaves the rest unprocessed.
	const n = 46
	tbl := dynamo.Open(dynamolocal.Client(t), createTable(t), dynamo.Options{})
	var ops []table.Op
	var keys []table.Key
	for i := range n {
		it := item(fmt.Sprint(i), int64(i+1))
		it.Body = []byte(strings.Repeat("x", 390_000))
		ops, keys = append(ops, table.Put(it, table.Condition{})), append(keys, it.Key)
	}
	write(t, tbl, ops...)
	got, err := tbl.Get(t.Context(), keys, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Version != int64(i+1) || len(got[i].Body) != 390_000 {
			t.Errorf("item %d has version %d and %d bytes", i, got[i].Version, len(got[i].Body))
		}
	}
}

func TestConsumed(t *testing.T) {
	t.Parallel()
	tbl := dynamo.Open(dynamolocal.Client(t), createTable(t), dynamo.Options{CountCapacity: true})
	spent := tbl.Consumed()
	costs := func(what string, want dynamo.Capacity) {
		t.Helper()
		now := tbl.Consumed()
		if got := (dynamo.Capacity{Read: now.Read - spent.Read, Write: now.Write - spent.Write}); got != want {
			t.Errorf("%s costs %+v, want %+v", what, got, want)
		}
		spent = now
	}
	it := item("s", 1)
	it.Body = []byte(strings.Repeat("x", 900))
	write(t, tbl, table.Put(it, table.Absent()))
	costs("an item of up to 1 KB", dynamo.Capacity{Write: 1})

	it.Version, it.Index1 = 2, table.Key{Partition: "i", Sort: "s"}
	write(t, tbl, table.Put(it, table.VersionIs(1)))
	costs("entering an index", dynamo.Capacity{Write: 2})

	it.Version, it.Body = 3, []byte(strings.Repeat("x", 1500))
	write(t, tbl, table.Put(it, table.VersionIs(2)))
	costs("an item of up to 2 KB whose place in the index stays", dynamo.Capacity{Write: 2})

	version(t, tbl, it.Key)
	costs("a consistent read", dynamo.Capacity{Read: 1})
	if _, err := tbl.Query(t.Context(), table.Query{Partition: "p", Limit: 10}); err != nil {
		t.Fatal(err)
	}
	costs("a query", dynamo.Capacity{Read: 0.5})

	if err := tbl.Transact(t.Context(), []table.Op{table.Delete(it.Key, table.VersionIs(3))}, nil); err != nil {
		t.Fatal(err)
	}
	if tbl.Consumed().Write <= spent.Write {
		t.Error("a transaction is not counted")
	}
}

func TestDecodeChange(t *testing.T) {
	const head = `{"eventID":"1","eventName":"MODIFY","eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1700000000,
		"Keys":{"pk":{"S":"p"},"sk":{"S":"s"}},"SequenceNumber":"111","SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"`
	const oldImage = `{"pk":{"S":"p"},"sk":{"S":"s"},"v":{"N":"1"}}`
	const newImage = `{"pk":{"S":"p"},"sk":{"S":"s"},"v":{"N":"9007199254740993"},"exp":{"N":"1700000000001"},"ttl":{"N":"1700000001"},"hf":{"N":"5"},
		"pk1":{"S":"a"},"sk1":{"S":"b"},"pk2":{"S":"c"},"sk2":{"S":"d"},"body":{"S":"{\"é\":1}"},"w":{"B":"AAECAwQFBgc="}}`
	key := table.Key{Partition: "p", Sort: "s"}
	before := &table.Item{Key: key, Version: 1}
	after := &table.Item{
		Key: key, Version: 9007199254740993, Expires: 1700000000001, HiddenFrom: 5,
		Index1: table.Key{Partition: "a", Sort: "b"}, Index2: table.Key{Partition: "c", Sort: "d"}, Body: []byte(`{"é":1}`),
	}
	for _, c := range []struct {
		name, record string
		want         table.Change
		wrong        string
	}{
		{name: "insert", record: head + `,"NewImage":` + newImage + `}}`, want: table.Change{Sequence: "111", New: after}},
		{name: "modify", record: head + `,"OldImage":` + oldImage + `,"NewImage":` + newImage + `}}`, want: table.Change{Sequence: "111", Old: before, New: after}},
		{name: "remove", record: head + `,"OldImage":` + oldImage + `}}`, want: table.Change{Sequence: "111", Old: before}},
		{name: "no image", record: head + `}}`, wrong: "sequence number 111: dynamo: a stream record of type NEW_AND_OLD_IMAGES has no image"},
		{name: "other table", record: head + `,"NewImage":{"pk":{"M":{}}}}}`, wrong: "attribute pk of a stream record has the unexpected type"},
		{name: "wrong type", record: head + `,"NewImage":{"v":{"S":"x"}}}}`, wrong: "decode an item"},
	} {
		var record events.DynamoDBEventRecord
		if err := json.Unmarshal([]byte(c.record), &record); err != nil {
			t.Fatal(err)
		}
		got, err := dynamo.DecodeChange(record)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.wrong)
			}
		} else if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
