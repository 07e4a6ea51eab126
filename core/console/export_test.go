package console

import "tenure/core/identity"

// Route is a row of the table of routes, for tests that go through all of it.
type Route struct {
	Method, Path string
	Role         identity.Role
	Streams      bool
}

// Anybody is the role of pages for everybody who is signed in.
const Anybody = anybody

// Routes returns the table of routes.
func Routes() []Route {
	all := make([]Route, len(routes))
	for i, r := range routes {
		all[i] = Route{r.method, r.path, r.role, r.streams}
	}
	return all
}

// Notice returns what people are told after a change.
func Notice(done string) string { return notices[done] }
