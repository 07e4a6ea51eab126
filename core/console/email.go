package console

import (
	"tenure/core/sending"
)

// emailData is what the page of the sending domain shows.
type emailData struct{ *sending.Setup }

// Advised returns how many records that are advice alone are not right.
func (d emailData) Advised() int {
	n := 0
	for _, r := range d.Records {
		if !r.Required && r.Finding != nil && r.Finding.State != sending.Right {
			n++
		}
	}
	return n
}

func emailPage(s *server, r *request) (view, error) {
	setup, err := s.Sending.Get(r.Context(), r.workspace())
	return emailView(setup), err
}

func emailView(setup *sending.Setup) view {
	return view{template: "email", fragment: "content", title: "E-mail", data: emailData{setup}}
}

// changedEmail is the answer to a change: it leads back to the page.
func changedEmail(setup *sending.Setup, done string) view {
	return view{to: "email", done: done, data: emailData{setup}}
}

func setEmail(s *server, r *request) (view, error) {
	setup, err := s.Sending.Set(r.Context(), r.workspace(), r.form.Get("domain"), r.form.Get("from"))
	if err == nil {
		r.audit("email.set", setup.Domain+", from "+setup.From)
	}
	return changedEmail(setup, "email-set"), err
}

func checkEmail(s *server, r *request) (view, error) {
	setup, err := s.Sending.Check(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	r.audit("email.checked", setup.Domain+", "+string(setup.State))
	if r.Header.Get("HX-Request") == "" {
		return changedEmail(setup, "email-checked"), nil
	}
	// What is swapped in becomes a part of the page that asks, whose path is shorter.
	r.up = ""
	return emailView(setup), nil
}

func rotateEmailKey(s *server, r *request) (view, error) {
	setup, err := s.Sending.Rotate(r.Context(), r.workspace())
	if err == nil {
		r.audit("email.key_made", setup.Keys[1].Selector+" of "+setup.Domain)
	}
	return changedEmail(setup, "email-key-made"), err
}

func removeEmail(s *server, r *request) (view, error) {
	before, err := s.Sending.Get(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	setup, err := s.Sending.Remove(r.Context(), r.workspace())
	if err == nil {
		r.audit("email.removed", before.Domain)
	}
	return changedEmail(setup, "email-removed"), err
}
