package usage

import (
	"context"
	"slices"
	"strings"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
)

// identified are records that events say something of, and the places of those
// events.
type identified struct {
	family  *resource.Family
	objects [][]byte
	at      []int
}

func (i *identified) add(at int, object []byte) {
	i.objects, i.at = append(i.objects, append(object, '}')), append(i.at, at)
}

// Identify inserts and modifies users and accounts as identifyUser and
// identifyAccount events have it (contract E4), and returns why it has not, by the
// place of the event. Other events are left alone. Doing it again changes nothing.
func (s *Store) Identify(ctx context.Context, workspace string, events []*Event) (map[int]*core.Failure, error) {
	refused := map[int]*core.Failure{}
	for _, identify := range []func(context.Context, string, []*Event, map[int]*core.Failure) (*identified, error){s.identifyAccounts, s.identifyUsers} {
		found, err := identify(ctx, workspace, events, refused)
		if err == nil && len(found.objects) > 0 {
			err = s.upload(ctx, workspace, found, refused)
		}
		if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// upload inserts and modifies records, and adds why it could not to refused.
func (s *Store) upload(ctx context.Context, workspace string, of *identified, refused map[int]*core.Failure) error {
	result, err := s.Engine.Upload(ctx, resource.Upload{
		Workspace: workspace, Family: of.family,
		Records: func(yield func(func() resource.Input) bool) {
			for _, object := range of.objects {
				if !yield(func() resource.Input {
					patch, failure := of.family.Schema.Decode(object, false)
					return resource.Input{Patch: patch, Failure: failure}
				}) {
					return
				}
			}
		},
		Option: func(string) bool { return false },
	})
	if err != nil {
		return err
	}
	if result.Fatal != nil {
		return result.Fatal
	}
	for _, failed := range result.Failed {
		refused[of.at[failed.Record]] = failed.Failure
	}
	return nil
}

func (s *Store) identifyAccounts(ctx context.Context, workspace string, events []*Event, refused map[int]*core.Failure) (*identified, error) {
	of := &identified{family: accounts.Family}
	var ids []string
	for _, e := range events {
		if e.Action == IdentifyAccount && !slices.Contains(ids, e.AccountID) {
			ids = append(ids, e.AccountID)
		}
	}
	if len(ids) == 0 {
		return of, nil
	}
	chosen, err := s.Settings(ctx, workspace)
	if err != nil {
		return nil, err
	}
	exist, err := s.Engine.StoredAccounts(ctx, workspace, accounts.Family, ids)
	if err != nil {
		return nil, err
	}
	made := map[string]bool{}
	for i, e := range events {
		if e.Action != IdentifyAccount {
			continue
		}
		object, given := detailsOf(of.family, e, "account_id")
		object = appendMember(object, "account_id", schema.Text(e.AccountID))
		if exist[e.AccountID] == nil && !made[e.AccountID] {
			if !chosen.CreateAccounts {
				refused[i] = refuse(core.NotFound, "account_id", "There is no account '"+e.AccountID+"', and events may not create accounts in this workspace")
				continue
			}
			made[e.AccountID] = true
			// What the API asks of a new account, and the event does not say.
			if !slices.Contains(given, "name") {
				object = appendMember(object, "name", schema.Text(e.AccountID))
			}
			if !slices.Contains(given, "join_date") {
				object = appendMember(object, "join_date", schema.Int(e.CreatedAt))
			}
		}
		of.add(i, object)
	}
	return of, nil
}

func (s *Store) identifyUsers(ctx context.Context, workspace string, events []*Event, refused map[int]*core.Failure) (*identified, error) {
	of := &identified{family: people.Users}
	belongs := map[string]string{} // as events before have it
	for i, e := range events {
		if e.Action != IdentifyUser {
			continue
		}
		account := e.AccountID
		if account == "" {
			account = belongs[e.UserID]
		}
		if account == "" {
			found, failure, err := s.AccountOf(ctx, workspace, e.UserID)
			if err != nil {
				return nil, err
			}
			if failure != nil {
				if failure.Code == core.NotFound {
					failure = refuse(core.MissingField, "account_id", "Missing required field: 'account_id', for there is no user '"+e.UserID+"' yet")
				}
				refused[i] = failure
				continue
			}
			account = found
		}
		belongs[e.UserID] = account
		object, _ := detailsOf(of.family, e, "user_id", "account_id")
		object = appendMember(object, "user_id", schema.Text(e.UserID))
		of.add(i, appendMember(object, "account_id", schema.Text(account)))
	}
	return of, nil
}

// detailsOf returns what the details of an event say of a record, as the beginning of
// a JSON object: names in camelCase are those in snake_case, and numbers and truth
// values may be texts, as they are in forms. given are the names of its members. The
// ids are left out: the event has them.
func detailsOf(f *resource.Family, e *Event, ids ...string) (object []byte, given []string) {
	object = []byte{'{'}
	if e.Details == nil {
		return object, nil
	}
	for name, value := range schema.Members(e.Details) {
		text := snakeCase(schema.Value(name).Text())
		if slices.Contains(ids, text) {
			continue
		}
		if schema.Kind(value) == '"' {
			at := slices.IndexFunc(f.Schema.Fields, func(of schema.Field) bool { return of.Name == text })
			if at >= 0 {
				value = plain(f.Schema.Fields[at].Type, value)
			}
		}
		object, given = appendMember(object, text, value), append(given, text)
	}
	return object, given
}

// plain returns the number or truth value that a text is, for a field that has such.
func plain(t schema.Type, value []byte) []byte {
	text := []byte(strings.TrimSpace(schema.Value(value).Text()))
	kind := schema.Kind(text)
	if (t.Numeric() && kind == '0' || t == schema.Boolean && (kind == 't' || kind == 'f')) && schema.Valid(text) == nil {
		return text
	}
	return value
}

// appendMember appends a member to the beginning of an object.
func appendMember(object []byte, name string, value []byte) []byte {
	if len(object) > 1 {
		object = append(object, ',')
	}
	object = append(schema.AppendString(object, name), ':')
	return append(object, value...)
}
