package console

import (
	"tenure/core/access"
)

// listedKey is a valid key, and when it was last presented.
type listedKey struct {
	access.Key
	// LastUsed is in epoch ms; 0 for never.
	LastUsed int64 `json:"last_used"`
}

// keysData is what the page of API keys shows.
type keysData struct {
	Keys    []listedKey  `json:"keys"`
	Revoked []access.Key `json:"revoked"`
	// Created is the key that was just made, with the only sight there is of it.
	Created *createdKey `json:"created,omitempty"`
}

// createdKey is a key that was just made.
type createdKey struct {
	Key    access.Key    `json:"key"`
	Secret access.Secret `json:"secret"`
}

// Kinds returns the kinds of keys that can be made.
func (keysData) Kinds() []access.Kind { return []access.Kind{access.AccountAPI, access.UsageEventAPI} }

func keysPage(s *server, r *request) (view, error) { return s.keysView(r, nil) }

func (s *server) keysView(r *request, created *createdKey) (view, error) {
	data := keysData{Created: created}
	var err error
	data.Keys, data.Revoked, err = s.listedKeys(r)
	return view{template: "keys", title: "API keys", data: data}, err
}

// listedKeys returns the workspace's valid keys, and those that were revoked.
func (s *server) listedKeys(r *request) (valid []listedKey, revoked []access.Key, err error) {
	valid, revoked = []listedKey{}, []access.Key{}
	keys, err := s.Access.Keys(r.Context(), r.workspace())
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, k := range keys {
		if k.Revoked == 0 {
			valid = append(valid, listedKey{Key: k})
			ids = append(ids, k.ID)
		} else {
			revoked = append(revoked, k)
		}
	}
	used, err := s.Calls.LastUsed(r.Context(), r.workspace(), ids)
	for i := range valid {
		valid[i].LastUsed = used[valid[i].ID]
	}
	return valid, revoked, err
}

func createKey(s *server, r *request) (view, error) {
	k, secret, err := s.Access.CreateKey(r.Context(), r.workspace(), access.Kind(r.form.Get("kind")), r.form.Get("label"), r.email())
	if err != nil {
		return view{}, err
	}
	r.audit("key.created", k.Label)
	r.form.Del("label")
	// Shown here and now, for it can be shown nowhere else. Sending the form again is
	// refused, as the label is taken.
	return s.keysView(r, &createdKey{Key: k, Secret: secret})
}

func labelKey(s *server, r *request) (view, error) {
	k, err := s.Access.LabelKey(r.Context(), r.workspace(), r.PathValue("id"), r.form.Get("label"))
	if err == nil {
		r.audit("key.labelled", k.Label)
	}
	return view{to: "keys", done: "key-labelled"}, err
}

func revokeKey(s *server, r *request) (view, error) {
	k, err := s.Access.RevokeKey(r.Context(), r.workspace(), r.PathValue("id"), r.email())
	if err == nil {
		r.audit("key.revoked", k.Label)
	}
	return view{to: "keys", done: "key-revoked"}, err
}
